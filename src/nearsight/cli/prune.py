"""``nearsight prune``."""

from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Json, Quiet, Seed, Session


def prune(
    data: Annotated[Path, typer.Argument(help="Data set (.zarr).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Coreset to write (.zarr).")],
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="random, importance, ccs, grand, el2n, density, k_centre, facility, herding, dual, strata, "
            "snapshots, d_optimal, or a plug-in's.",
        ),
    ] = "random",
    keep: Annotated[float, typer.Option("--keep", help="Fraction of the training points kept.")] = 0.01,
    config: Annotated[Path | None, typer.Option("--config", help="Training settings (YAML).")] = None,
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Keep the essential part of a data set's training points."""
    from nearsight.cli.resolve import build_method, read_config
    from nearsight.workflows.prune import prune as run

    session = Session(json, quiet)
    settings = read_config(config)
    with session.progress() as progress:
        result = run(
            data, output, build_method(method, settings), keep, settings, seed=seed, progress=progress
        )
    session.table(
        f"{output}",
        {
            "method": result.method,
            "points kept": f"{result.n_points:,} of {result.n_available:,}",
            "describing": f"{result.seconds['describe']:.1f} s",
            "scoring": f"{result.seconds['scoring']:.1f} s",
            "selection": f"{result.seconds['selection']:.1f} s",
            **{f"note {i + 1}": note for i, note in enumerate(result.notes)},
        },
    )
    session.result(result.as_json())
