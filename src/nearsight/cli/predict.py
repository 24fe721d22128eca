"""``nearsight predict``."""

from pathlib import Path
from typing import Annotated, Any

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
    uncertainty: Annotated[
        bool | None,
        typer.Option(
            "--uncertainty/--no-uncertainty",
            help="Write the two standard deviations too; else where the model knows them.",
        ),
    ] = None,
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
            uncertainty=uncertainty,
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
            **_uncertainty(result),
        },
    )
    session.notes(output, result["notes"])
    session.result(result)


def _uncertainty(result: dict[str, Any]) -> dict[str, str]:
    """Mean standard deviations, and the files that hold them where those are others."""
    if result["uncertainty"] is None:
        return {}
    rows = {
        f"{kind} σ": f"{of['mean']:.3g} e/bohr³ on average, {100 * of['share_of_mean_density']:.2f} % of the "
        f"mean density; at most {of['max']:.3g}"
        for kind, of in result["uncertainty"].items()
    }
    beside = result["files"][1:]
    return rows | ({"beside it": ", ".join(Path(path).name for path in beside)} if beside else {})
