"""``nearsight sample``."""

from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Json, Quiet, Seed, Session


def sample(
    recipe: Annotated[str, typer.Argument(help="A recipe (YAML file), or the name of a shipped one.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Structures to write (extxyz).")],
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Make structures by molecular dynamics, as a recipe says."""
    from nearsight.workflows.sample import sample as run

    session = Session(json, quiet)
    with session.progress() as progress:
        result = run(recipe, output, seed=seed, progress=progress)
    session.table(f"{output}", {"structures": result.n_frames, "trajectories": len(result.trajectories)})
    session.result({"output": str(output), "n_frames": result.n_frames, "trajectories": result.trajectories})
