"""``nearsight label``."""

from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Json, Quiet, Seed, Session, parse_shape
from nearsight.errors import InputError


def label(
    structures: Annotated[Path, typer.Argument(help="Structures to label (extxyz).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Data set to write or carry on (.zarr).")],
    engine: Annotated[str, typer.Option("--engine", help="Kohn–Sham engine.")] = "lcao",
    config: Annotated[Path | None, typer.Option("--config", help="Engine settings (YAML).")] = None,
    spacing: Annotated[float | None, typer.Option("--spacing", help="Grid spacing in bohr.")] = None,
    shape: Annotated[str | None, typer.Option("--shape", help="Grid shape, such as 48,48,48.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", help="Snapshots labelled side by side.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Address of a Dask scheduler (not in this version).")
    ] = None,
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Compute ground-state densities, energies and forces; run again to carry on where it stopped."""
    from nearsight.cli.resolve import build_engine
    from nearsight.workflows.label import label as run

    if scheduler is not None:
        raise InputError(
            "--scheduler is not available in this version; use --jobs N to label on this machine"
        )
    session = Session(json, quiet)
    with session.progress() as progress:
        result = run(
            structures,
            output,
            build_engine(engine, config),
            jobs=jobs,
            spacing=spacing,
            shape=parse_shape(shape),
            progress=progress,
        )
    if result.failed and not (result.done or result.skipped):
        number, message = next(iter(result.failed.items()))
        raise InputError(
            f"none of the {len(result.failed)} snapshots of {structures} could be labelled; "
            f"snapshot {number}: {message}"
        )
    session.table(
        f"{output}",
        {
            "labelled now": len(result.done),
            "there already": len(result.skipped),
            "failed": len(result.failed),
            "seconds": f"{result.seconds:.1f}",
        },
    )
    for number, message in result.failed.items():
        session.say(f"[yellow]snapshot {number} failed:[/yellow] {message}")
    session.result(
        {
            "output": str(output),
            "done": result.done,
            "skipped": result.skipped,
            "failed": result.failed,
            "seconds": result.seconds,
        }
    )
