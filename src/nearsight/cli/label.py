"""``nearsight label``."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from nearsight.cli.console import Json, Quiet, Seed, Session, parse_shape
from nearsight.errors import IncompleteError

if TYPE_CHECKING:
    from nearsight.workflows.label import LabelResult


def label(
    structures: Annotated[Path, typer.Argument(help="Structures to label (extxyz).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Data set to write or carry on (.zarr).")],
    engine: Annotated[
        str | None, typer.Option("--engine", help="Kohn–Sham engine; the recipe's, or lcao, if unset.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Engine settings (YAML), over the recipe's.")
    ] = None,
    spacing: Annotated[float | None, typer.Option("--spacing", help="Grid spacing in bohr.")] = None,
    shape: Annotated[str | None, typer.Option("--shape", help="Grid shape, such as 48,48,48.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", help="Snapshots labelled side by side here.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Dask scheduler that runs already: tcp://host:8786.")
    ] = None,
    retries: Annotated[
        int, typer.Option("--retries", help="Times that a snapshot is begun again if its process dies.")
    ] = 1,
    timeout: Annotated[
        float | None, typer.Option("--timeout", help="Seconds after which a snapshot is given up.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option("--threads", help="Threads of one snapshot; its share of the cores if unset."),
    ] = None,
    memory: Annotated[
        float | None, typer.Option("--memory", help="MB that all jobs together may take here.")
    ] = None,
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Compute ground-state densities, energies and forces; run again to carry on where it stopped."""
    from nearsight.cli.resolve import engine_to_label
    from nearsight.io.extxyz import read_frames
    from nearsight.workflows.label import label as run

    session = Session(json, quiet)
    frames = read_frames(structures)
    chosen = engine_to_label(engine, config, frames)
    with session.progress() as progress:
        result = run(
            frames,
            output,
            chosen,
            jobs=jobs,
            scheduler=scheduler,
            retries=retries,
            timeout=timeout,
            threads=threads,
            memory_mb=memory,
            spacing=spacing,
            shape=parse_shape(shape),
            progress=progress,
        )
    _summarise(session, result, chosen.fingerprint())
    session.result(
        {
            "output": str(output),
            "engine": chosen.fingerprint(),
            "done": result.done,
            "skipped": result.skipped,
            "failed": result.failed,
            "failures": [asdict(failure) for failure in result.failures],
            "warnings": result.warnings,
            "seconds": result.seconds,
        }
    )
    _require_all(structures, result)


def _summarise(session: Session, result: "LabelResult", engine: Mapping[str, Any]) -> None:
    """What was done, what the engine warned of, and what failed, for a person."""
    from nearsight.engines.kpoints import k_points_text

    points = k_points_text(engine.get("k_points"))
    session.table(
        f"{result.output}",
        {
            "engine": f"{engine['engine']}, {engine['functional']}, k-points {points}",
            "labelled now": len(result.done),
            "there already": len(result.skipped),
            "failed": len(result.failures),
            "seconds": f"{result.seconds:.1f}",
        },
    )
    for text, numbers in result.warnings.items():
        session.say(
            f"[yellow]warning[/yellow] ({len(numbers)} snapshots, first {numbers[0]}): {escape(text)}"
        )
    session.listing(
        "failures",
        ("snapshot", "label", "formula", "kind", "tries", "message"),
        [(f.number, f.label, f.formula, f.kind, f.tries, f.message) for f in result.failures],
    )


def _require_all(structures: Path, result: "LabelResult") -> None:
    """Raise unless every snapshot is in the data set."""
    from nearsight.workflows.outcome import KINDS

    if not result.failures:
        return
    first, failed = result.failures[0], len(result.failures)
    complete = len(result.done) + len(result.skipped)
    reason = f"snapshot {first.number}: {first.message}"
    if not complete:
        raise KINDS[first.kind](f"none of the {failed} snapshots of {structures} could be labelled; {reason}")
    raise IncompleteError(
        f"{failed} of the {failed + complete} snapshots of {structures} could not be labelled, the rest is "
        f"in {result.output}; the same command tries them again; {reason}"
    )
