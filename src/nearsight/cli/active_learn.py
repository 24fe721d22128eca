"""``nearsight active-learn``."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearsight.cli.console import Device, Json, Quiet, Seed, Session

if TYPE_CHECKING:
    from nearsight.engines.protocol import Engine
    from nearsight.io.extxyz import Frame
    from nearsight.workflows.loop_state import Round

_COLUMNS = ("round", "snapshots", "DFT, s", "validation NRMSE, %", "mean σ left", "max σ left", "left")


def active_learn(
    source: Annotated[
        str, typer.Argument(help="A recipe (YAML file or shipped name), or structures (extxyz).")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the loop, to make or carry on.")],
    config: Annotated[Path | None, typer.Option("--config", help="Settings of the loop (YAML).")] = None,
    size: Annotated[
        str | None, typer.Option("--size", help="demo or paper, where a recipe has both.")
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Label, train and choose what to label next, round after round; run again to carry on."""
    from nearsight.workflows.active_learning import active_learning
    from nearsight.workflows.config import read_yaml
    from nearsight.workflows.loop_settings import LoopConfig
    from nearsight.workflows.loop_state import loop_candidates

    session = Session(json, quiet)
    settings = read_yaml(config, LoopConfig)
    form = "{:>7}" + "".join(f"  {{:>{len(name)}}}" for name in _COLUMNS[1:])
    with session.progress() as progress:
        candidates = loop_candidates(source, output, size=size, seed=seed, progress=progress)
        engine = _engine(settings.engine, candidates)
        session.say(form.format(*_COLUMNS))
        result = active_learning(
            candidates,
            output,
            engine,
            settings,
            seed=seed,
            device=device,
            progress=progress,
            on_round=lambda done: session.say(form.format(*_row(done))),
        )
    session.table(
        f"{output}", {"stopped": result.stopped, "model": result.model, "data": output / "data.zarr"}
    )
    if failed := result.rounds[-1].failed:
        session.notes(
            output, [f"{len(failed)} candidates could not be labelled: {next(iter(failed.values()))}"]
        )
    session.result(
        {
            "folder": str(output),
            "model": str(result.model),
            "stopped": result.stopped,
            "rounds": [asdict(done) for done in result.rounds],
        }
    )


def _row(done: "Round") -> tuple[str, ...]:
    def figure(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    return (
        str(done.round),
        str(done.n_train),
        figure(done.dft_seconds_total, ".1f"),
        figure(done.validation_nrmse_percent, ".3f"),
        figure(done.sigma_mean, ".2e"),
        figure(done.sigma_max, ".2e"),
        str(done.n_left),
    )


def _engine(own: Mapping[str, Any], frames: "Sequence[Frame]") -> "Engine":
    """The engine of the loop's settings, key by key over the recipe's, as `label` takes it."""
    from nearsight.engines import ENGINES
    from nearsight.workflows.recipe_engine import SHARED_SETTINGS, recipe_engine

    mine = dict(own)
    name = mine.pop("name", None)
    recipes, settings = recipe_engine(frames) or (str(name or "lcao"), {})
    if name is not None and name != recipes:
        settings = {key: value for key, value in settings.items() if key in SHARED_SETTINGS}
    return ENGINES[str(name or recipes)].from_settings({**settings, **mine})
