"""``nearsight predict``."""

from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Device, Json, Quiet, Seed, Session, parse_shape


def predict(
    model: Annotated[Path, typer.Argument(help="Model (.nst).")],
    structure: Annotated[Path, typer.Argument(help="Structure in any format that ASE reads.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Density to write: CHGCAR, .cube, .xsf, .zarr or .npz.")
    ],
    spacing: Annotated[
        float | None, typer.Option("--spacing", help="Grid spacing in bohr; else the training spacing.")
    ] = None,
    shape: Annotated[str | None, typer.Option("--shape", help="Grid shape, such as 48,48,48.")] = None,
    device: Device = "auto",
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Predict the electron density of a structure of any size."""
    from nearsight.workflows.predict import predict as run

    session = Session(json, quiet)
    with session.progress() as progress:
        result = run(
            model,
            structure,
            output,
            spacing=spacing,
            shape=parse_shape(shape),
            device=device,
            progress=progress,
        )
    session.table(
        f"{output}",
        {
            "structure": result["formula"],
            "grid": " x ".join(str(n) for n in result["shape"]),
            "electrons": f"{result['n_electrons']:.6g}",
            "rescaled by": f"{result['factor']:.6f}",
            "clipped charge": f"{result['clipped_charge']:.3g} e",
            "points per second": f"{result['points_per_second']:,.0f}",
        },
    )
    session.notes(output, result["notes"])
    session.result(result)
