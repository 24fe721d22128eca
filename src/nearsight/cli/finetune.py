"""``nearsight finetune``."""

import math
from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Device, Json, Quiet, Seed, Session


def finetune(
    model: Annotated[Path, typer.Argument(help="Model to go on from (.nst).")],
    data: Annotated[Path, typer.Argument(help="Data set or coreset (.zarr) with a few more snapshots.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Model to write (.nst).")],
    freeze: Annotated[
        int | None, typer.Option("--freeze", metavar="N", help="First layers that stay as they are.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Training settings (YAML).")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Go on where model and data differ in their physics.")
    ] = False,
    device: Device = "auto",
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Let a model go on learning from a few snapshots, such as of larger cells; run again to carry on."""
    from nearsight.cli.resolve import read_config
    from nearsight.workflows.finetune import finetune as run

    session = Session(json, quiet)
    with session.progress() as progress:
        result = run(
            model,
            data,
            output,
            read_config(config),
            freeze=freeze,
            force=force,
            seed=seed,
            device=device,
            progress=progress,
        )
    training = result.training
    before, after = result.base_nrmse_percent, training.validation_nrmse_percent
    session.table(
        f"{output}",
        {
            "points": f"{training.n_points:,}",
            "frozen layers": f"{result.frozen_layers} of {result.n_layers}",
            "steps": f"{training.steps:,}" + (" (stopped early)" if training.stopped_early else ""),
            "validation NRMSE": "none: the data has no validation snapshots"
            if math.isnan(after)
            else f"{before:.3f} % → {after:.3f} %",
            "training": f"{training.seconds:.1f} s",
        },
    )
    session.notes(output, result.notes)
    session.result(result.as_json())
