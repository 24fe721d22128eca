"""``nearsight import``."""

from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Json, Quiet, Seed, Session


def import_(
    files: Annotated[
        list[Path], typer.Argument(help="Density files: CHGCAR, cube, .dens, xsf, .save, .gpw, npz.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Data set to write or add to (.zarr).")],
    split: Annotated[
        str | None,
        typer.Option("--split", help="train, validation or test for all; else every tenth validates."),
    ] = None,
    trajectory: Annotated[
        str | None, typer.Option("--trajectory", help="The one trajectory that all files come from.")
    ] = None,
    electrons: Annotated[
        float | None, typer.Option("--electrons", help="Electron count, where the files do not state it.")
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Note files that cannot be read, and go on.")
    ] = False,
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Bring densities of another code into a data set, their electron counts checked."""
    from nearsight.workflows.import_files import import_files

    session = Session(json, quiet)
    with session.progress() as progress:
        result = import_files(
            files,
            output,
            split=split,
            trajectory=trajectory,
            n_electrons=electrons,
            keep_going=keep_going,
            progress=progress,
        )
    session.table(
        f"{output}",
        {
            "imported": len(result.done),
            "there already": len(result.skipped),
            "could not be read": len(result.failed),
            "electrons counted by the integral": len(result.counted),
        },
    )
    for note, noted in result.notes.items():
        others = f" and {len(noted) - 1} others" if len(noted) > 1 else ""
        session.say(f"[yellow]{noted[0]}{others}:[/yellow] {note}")
    for file, message in result.failed.items():
        session.say(f"[yellow]{file}:[/yellow] {message}")
    session.result(
        {
            "output": str(output),
            "done": result.done,
            "skipped": result.skipped,
            "failed": result.failed,
            "counted": result.counted,
            "notes": result.notes,
        }
    )
