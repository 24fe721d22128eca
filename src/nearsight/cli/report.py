"""``nearsight report``."""

from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Json, Quiet, Seed, Session


def report(
    study: Annotated[Path, typer.Argument(help="Folder that `nearsight study` wrote.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="HTML page to write.")] = Path("report.html"),
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Draw a study as one self-contained page."""
    from nearsight.report import write_report

    session = Session(json, quiet)
    path = write_report(study, output)
    session.table(str(path), {"size": f"{path.stat().st_size / 1e6:.1f} MB"})
    session.result({"output": str(path), "bytes": path.stat().st_size})
