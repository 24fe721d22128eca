"""``nearsight info``."""

from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Json, Quiet, Seed, Session


def info(
    artefact: Annotated[Path, typer.Argument(help="A data set, coreset, model, study or density file.")],
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Say what a file or store holds and where it comes from."""
    from nearsight.workflows.info import describe

    session = Session(json, quiet)
    facts = describe(artefact)
    session.table(str(artefact), {k: v for k, v in facts.items() if not isinstance(v, dict | list)})
    session.result(facts)
