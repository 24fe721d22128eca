"""``nearsight evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Device, Json, Quiet, Seed, Session


def evaluate(
    model: Annotated[Path, typer.Argument(help="Model (.nst).")],
    data: Annotated[Path, typer.Argument(help="Data set (.zarr): every snapshot is scored.")],
    split: Annotated[
        str | None, typer.Option("--split", help="Score only train, validation or test snapshots.")
    ] = None,
    energies: Annotated[
        bool, typer.Option("--energies", help="Also the Harris–Foulkes energy errors (runs the engine).")
    ] = False,
    device: Device = "auto",
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Score a model on every snapshot of a data set."""
    from nearsight.cli.resolve import engine_of
    from nearsight.workflows.evaluate import evaluate as run

    session = Session(json, quiet)
    with session.progress() as progress:
        result = run(
            model,
            data,
            split=split,
            engine_for=engine_of if energies else None,
            device=device,
            progress=progress,
        )
    session.table(
        f"{model} on {data}",
        {
            "snapshots": len(result["per_snapshot"]),
            "NRMSE": f"{result['nrmse_percent']:.3f} %",
            "NMAE": f"{result['nmae_percent']:.3f} %",
            "Hartree error": f"{1e3 * result['hartree_error_ha_per_atom']:.4f} mHa/atom",
            **(
                {"energy error": f"{1e3 * result['energy_error_ha_per_atom']:.4f} mHa/atom"}
                if energies
                else {}
            ),
        },
    )
    session.notes(data, result["notes"])
    session.result(result)
