"""``nearsight study``."""

from pathlib import Path
from typing import Annotated

import typer

from nearsight.cli.console import Device, Json, Quiet, Seed, Session


def study(
    data: Annotated[Path, typer.Argument(help="Data set (.zarr) with test trajectories.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    config: Annotated[Path | None, typer.Option("--config", help="Study settings (YAML).")] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", help="Runs side by side here, one thread each; this process if unset."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Dask scheduler that runs already: tcp://host:8786.")
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Compare selection methods at several kept fractions and seeds; run again to carry on."""
    from nearsight.cli.resolve import engine_of, read_study_config
    from nearsight.workflows.study import run_study
    from nearsight.workflows.study_metrics import SUMMARY_COLUMNS, summary_rows

    session = Session(json, quiet)
    with session.progress() as progress:
        result = run_study(
            data,
            output,
            read_study_config(config),
            engine_for=engine_of,
            seed=seed,
            device=device,
            jobs=jobs,
            scheduler=scheduler,
            command=_command(data, output, config, jobs, seed),
            progress=progress,
        )
    session.table(f"{output}", {"runs": len(result["runs"]), "snapshots scored": result["n_scored"]})
    session.listing("means over test snapshots and seeds", SUMMARY_COLUMNS, summary_rows(result))
    session.result(result)


def _command(data: Path, output: Path, config: Path | None, jobs: int | None, seed: int) -> str:
    """The command as another person would give it: names without their folders."""
    parts = ["nearsight study", data.name, "-o", output.name]
    parts += [] if config is None else ["--config", config.name]
    parts += [] if jobs is None else ["--jobs", str(jobs)]
    return " ".join([*parts, "--seed", str(seed)])
