"""``nearsight demo``."""

from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Json, Quiet, Seed, Session


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for data, models and report.")] = Path(
        "nearsight-demo"
    ),
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Make real KS-DFT data of aluminium, learn it from all and from 1 % of the points, and report."""
    from nearsight.cli.resolve import engine_of
    from nearsight.engines import ENGINES
    from nearsight.workflows.demo import run_demo

    session = Session(json, quiet)
    with session.progress() as progress:
        result = run_demo(
            out,
            engine=ENGINES["lcao"].from_settings({}),
            engine_for=engine_of,
            seed=seed,
            command=f"nearsight demo --out {out} --seed {seed}",
            progress=progress,
        )
    session.table("nearsight demo", result.summary())
    session.result(result.as_json())
