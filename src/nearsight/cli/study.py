"""``nearsight study``."""

from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Device, Json, Quiet, Seed, Session


def study(
    data: Annotated[Path, typer.Argument(help="Data set (.zarr) with test trajectories.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    config: Annotated[Path | None, typer.Option("--config", help="Study settings (YAML).")] = None,
    device: Device = "auto",
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Compare selection methods at several kept fractions and seeds; run again to carry on."""
    from nearsight.cli.resolve import engine_of, read_study_config
    from nearsight.workflows.study import run_study

    session = Session(json, quiet)
    with session.progress() as progress:
        result = run_study(
            data,
            output,
            read_study_config(config),
            engine_for=engine_of,
            seed=seed,
            device=device,
            progress=progress,
        )
    session.table(f"{output}", {"runs": len(result["runs"]), "snapshots scored": result["n_scored"]})
    session.result(result)
