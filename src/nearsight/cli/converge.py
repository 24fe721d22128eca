"""``nearsight converge``."""

from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Device, Json, Quiet, Seed, Session


def converge(
    data: Annotated[Path, typer.Argument(help="Data set (.zarr) with training and validation snapshots.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="Descriptor, plan and small model (YAML).")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Table to write (.json), or settings for train (.yaml)."),
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Find a descriptor's settings: grow one after the other until the validation error stops falling."""
    from nearsight.workflows.config import read_yaml
    from nearsight.workflows.converge import ConvergeConfig
    from nearsight.workflows.converge import converge as run
    from nearsight.workflows.converge_output import (
        record_beside,
        require_writable,
        settings_yaml,
        write_output,
    )

    session = Session(json, quiet)
    require_writable(output)
    record = record_beside(output)
    with session.progress() as progress:
        result = run(
            data,
            read_yaml(config, ConvergeConfig),
            record=record,
            seed=seed,
            device=device,
            progress=progress,
        )
    session.listing(
        f"{data}: {result.n_points:,} training points, judged on {result.n_validation:,} validation points",
        ["setting", "value", "features", "NRMSE %", "points/s", ""],
        [
            (
                row.setting,
                row.value,
                row.n_features,
                f"{row.nrmse_percent:.3f}" + ("" if row.spread is None else f" (spread {row.spread:.3f})"),
                f"{row.points_per_second:,.0f}",
                "chosen" if row.chosen else "",
            )
            for row in result.rows
        ],
    )
    session.say("\nfor train.yaml:\n\n" + settings_yaml(result.descriptor))
    session.notes(data, result.notes)
    write_output(output, result, record)
    session.result(result.as_json())
