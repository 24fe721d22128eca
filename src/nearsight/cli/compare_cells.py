"""``nearsight compare-cells``."""

from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Json, Quiet, Seed, Session


def compare_cells(
    small: Annotated[Path, typer.Argument(help="Small cells: a data set (.zarr) or structures (.extxyz).")],
    large: Annotated[Path, typer.Argument(help="Large cells: a data set (.zarr) or structures (.extxyz).")],
    descriptor: Annotated[
        str | None,
        typer.Option("--descriptor", help="Its name, or a YAML file with a 'descriptor' part."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="Take descriptor and scale of this model (.nst).")
    ] = None,
    points: Annotated[int, typer.Option("--points", min=100, help="Points of each set.")] = 10_000,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Histograms of a few features to write (.svg).")
    ] = None,
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Tell whether small cells hold the atomic neighbourhoods of large ones, before any label is paid for."""
    from nearsight.cli.resolve import read_config
    from nearsight.io.atomic import atomic_file
    from nearsight.workflows.compare_cells import compare_cells as run
    from nearsight.workflows.compare_cells_figure import cell_figure

    session = Session(json, quiet)
    settings = None
    if descriptor is not None:
        is_file = Path(descriptor).suffix in (".yaml", ".yml")
        settings = read_config(Path(descriptor)).descriptor if is_file else {"name": descriptor}
    with session.progress() as progress:
        found = run(small, large, settings, model=model, n_points=points, seed=seed, progress=progress)
    session.listing(
        f"{small} ({found.small_snapshots} snapshots) against {large} ({found.large_snapshots}), "
        f"{found.n_points:,} points each",
        ["Kolmogorov–Smirnov distance", "features", "mean", "within the small set", "largest", "within"],
        [
            (g.name, g.n_features, *(f"{x:.3f}" for x in (g.mean, g.own_mean, g.largest, g.own_largest)))
            for g in found.groups
        ],
    )
    session.table(
        found.verdict,
        {"mean distance to the small cell's points": f"{found.mean_ratio:.3f} times the small cell's own"},
    )
    if figure is not None:
        with atomic_file(figure) as temporary:
            temporary.write_text(cell_figure(found), encoding="utf-8")
    session.result(found.as_json())
