"""``nearsight sample``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nearsight.cli.console import Json, Quiet, Seed, Session

_DISTANCES = {
    "train_to_test": "test frames to the nearest training frame, mean",
    "nearest_test": "the nearest of them",
    "consecutive": "consecutive frames, nearest",
}


def sample(
    recipe: Annotated[str, typer.Argument(help="A recipe (YAML file), or the name of a shipped one.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Structures to write (extxyz).")],
    size: Annotated[
        str | None,
        typer.Option("--size", help="demo or paper, where the recipe has both; demo unless given."),
    ] = None,
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Make structures by molecular dynamics, as a recipe says."""
    from nearsight.workflows.sample import sample as run

    session = Session(json, quiet)
    with session.progress() as progress:
        result = run(recipe, output, size=size, seed=seed, progress=progress)
    for warning in result.warnings:
        session.say(f"warning: {warning}")
    rows: dict[str, Any] = {"structures": result.n_frames, "trajectories": len(result.trajectories)}
    rows |= {
        f"RMS displacement, {text}": f"{distance:.3f} Å"
        for name, text in _DISTANCES.items()
        if (distance := getattr(result.decorrelation, name)) is not None
    }
    session.table(f"{output}", rows | ({"note": result.note} if result.note else {}))
    session.result(
        {
            "output": str(output),
            "recipe": result.recipe,
            "size": result.size,
            "n_frames": result.n_frames,
            "trajectories": result.trajectories,
            "decorrelation": result.decorrelation,
            "warnings": result.warnings,
        }
    )
