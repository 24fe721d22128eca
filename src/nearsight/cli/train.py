"""``nearsight train``."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearsight.cli.console import Device, Json, Quiet, Seed, Session

if TYPE_CHECKING:
    from nearsight.model.density_model import DensityModel


def _calibration(model: "DensityModel") -> str:
    n = model.calibration.get("n_snapshots", 0)
    return f"recalibrated on {n} validation snapshots" if n else "not calibrated: no validation snapshots"


def train(
    data: Annotated[Path, typer.Argument(help="Data set or coreset (.zarr).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Model to write (.nst).")],
    config: Annotated[Path | None, typer.Option("--config", help="Training settings (YAML).")] = None,
    teacher: Annotated[
        Path | None, typer.Option("--teacher", help="Model (.nst) whose predictions are learned instead.")
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Train a density model; run again after an interruption to carry on from the last checkpoint."""
    from nearsight.cli.resolve import read_config
    from nearsight.workflows.train import train as run

    session = Session(json, quiet)
    with session.progress() as progress:
        result = run(
            data, output, read_config(config), teacher=teacher, seed=seed, device=device, progress=progress
        )
    error = result.validation_nrmse_percent
    session.table(
        f"{output}",
        {
            "points": f"{result.n_points:,}",
            "steps": f"{result.steps:,}" + (" (stopped early)" if result.stopped_early else ""),
            "validation NRMSE": "none: the data has no validation snapshots"
            if math.isnan(error)
            else f"{error:.3f} %",
            "training": f"{result.seconds:.1f} s",
            **({"error bars": _calibration(result.model)} if result.model.knows_uncertainty else {}),
        },
    )
    session.notes(output, result.notes)
    session.result(result.as_json())
