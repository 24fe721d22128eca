"""``nearsight acquire``."""

from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Device, Json, Quiet, Seed, Session


def acquire(
    model: Annotated[Path, typer.Argument(help="Model (.nst) that is to be taught.")],
    candidates: Annotated[Path, typer.Argument(help="Structures to choose from (extxyz).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Chosen structures to write (extxyz).")],
    n: Annotated[int, typer.Option("--n", help="How many to choose.")] = 10,
    by: Annotated[str, typer.Option("--by", help="coverage, both, epistemic or random.")] = "coverage",
    points: Annotated[int, typer.Option("--points", help="Random points that stand for a structure.")] = 200,
    data: Annotated[
        Path | None, typer.Option("--data", help="What is labelled already (.zarr): it is covered.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", help="σ in e/bohr³ above which a point counts as uncertain."),
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Choose the structures whose calculation teaches the model most."""
    from nearsight.workflows.acquire import acquire as run

    session = Session(json, quiet)
    with session.progress() as progress:
        result = run(
            model,
            candidates,
            output,
            n=n,
            by=by,
            points=points,
            data=data,
            threshold=threshold,
            seed=seed,
            device=device,
            progress=progress,
        )
    columns = ("rank", "label", "formula", "chosen by", "σ, e/bohr³", "distance")
    rows = [
        (c.rank, c.label, c.formula, c.reason, _figure(c.sigma, "{:.2e}"), _figure(c.distance, "{:.3f}"))
        for c in result.chosen
    ]
    session.listing(f"{output}: {len(rows)} of {len(rows) + len(result.others)} candidates", columns, rows)
    session.notes(candidates, result.notes)
    session.result(
        {
            "output": str(output),
            "by": result.by,
            "points": result.n_points,
            "threshold": result.threshold,
            "chosen": result.chosen,
            "others": result.others,
            "notes": result.notes,
        }
    )


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
