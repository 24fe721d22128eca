"""`train_model`: from a table of described points to a density model."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearsight.atomic.radial import RadialDensity
from nearsight.descriptors.protocol import Descriptor
from nearsight.errors import ConvergenceError
from nearsight.model.density_model import DensityModel, require_atomic_densities
from nearsight.model.target import TargetKind
from nearsight.networks.protocol import NetworkSettings
from nearsight.progress import Progress, silent
from nearsight.store.table import PointTable
from nearsight.training.checkpoint import Checkpoints
from nearsight.training.run import RunState
from nearsight.training.settings import TrainSettings
from nearsight.training.task import TrainingTask
from nearsight.training.trainer import torch_threads
from nearsight.training.validation import Validation

#: steps between two calls of the progress
_REPORT_EVERY = 20


@dataclass(frozen=True, eq=False)
class TrainResult:
    """A trained model and how it came about.

    Attributes
    ----------
    model : DensityModel
        With the weights that did best on the validation points.
    history : list of dict
        One entry a validation: ``step``, ``loss`` (of the last batch, standardised) and, with
        validation points, ``validation_nrmse_percent``.
    seconds : float
        Spent training, interruptions not counted.
    steps : int
        Optimiser steps taken.
    stopped_early : bool
    validation_nrmse_percent : float or None
        Of the model, on the validation points used; None without any.
    """

    model: DensityModel
    history: list[dict[str, float]]
    seconds: float
    steps: int
    stopped_early: bool
    validation_nrmse_percent: float | None


def train_model(
    table: PointTable,
    validation: PointTable | None,
    descriptor: Descriptor,
    network: NetworkSettings,
    target: TargetKind,
    settings: TrainSettings,
    *,
    radial: Mapping[int, RadialDensity],
    valence: Mapping[int, float],
    engine: Mapping[str, Any] | None,
    spacing: float,
    seed: int = 0,
    checkpoint_dir: Path | None = None,
    checkpoint_seconds: float = 10.0,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> TrainResult:
    """Train a network on a table of points.

    Parameters
    ----------
    table : PointTable
        Training points.
    validation : PointTable or None
        Points of held-out snapshots: they decide when to stop and which weights are kept.
    descriptor : Descriptor
        The one that made the features.
    network : NetworkSettings
        A network that is a `torch.nn.Module`, such as `MLPSettings`.
    target : {"total", "difference"}
    settings : TrainSettings
    radial, valence, engine, spacing
        Kept in the model; see `DensityModel`.
    seed : int
        Settles start, batches and validation points.
    checkpoint_dir : Path, optional
        Where to leave checkpoints and look for one of this very run (same data, settings, seed) to
        carry on. The last one stays there: remove it with `Checkpoints.clear` once the model is safe.
    checkpoint_seconds : float
        Seconds between checkpoints at least; 0 writes one at every validation.
    provenance : mapping, optional
        Kept in the model beside the settings and the history.
    progress : Progress

    Raises
    ------
    InputError
        Settings that do not fit together, such as a ReLU output with the difference density.
    ConvergenceError
        The loss is no longer finite.
    """
    task = TrainingTask(table, validation, descriptor, network, target, settings, seed)
    if task.learned.needs_atoms:
        require_atomic_densities(valence, radial)
    with torch_threads(settings.threads):
        state = task.start()
        checkpoints = None
        if checkpoint_dir is not None:
            checkpoints = Checkpoints(checkpoint_dir, task.digest(), checkpoint_seconds)
            checkpoints.restore(state)
        _run(state, task.judge(), checkpoints, progress)
    state.network.load_tensors(state.best)
    model = DensityModel(
        descriptor=descriptor,
        network=state.network.frozen(),
        scaler=task.scaler,
        target=task.learned,
        radial=dict(radial),
        valence=dict(valence),
        engine=dict(engine or {}),
        spacing=spacing,
        provenance=task.record(state, provenance or {}),
    )
    return TrainResult(
        model=model,
        history=state.history,
        seconds=state.seconds,
        steps=state.trainer.step_number,
        stopped_early=state.trainer.step_number < state.trainer.total,
        validation_nrmse_percent=state.best_error,
    )


def _run(
    state: RunState, validation: Validation | None, checkpoints: Checkpoints | None, progress: Progress
) -> None:
    """Take the steps that are left, validating on the way."""
    trainer = state.trainer
    every = max(1, math.ceil(trainer.total / trainer.settings.checks))
    began = time.perf_counter() - state.seconds
    progress("training", trainer.step_number, trainer.total)
    while trainer.step_number < trainer.total and not state.patience_is_out:
        loss = trainer.step()
        state.update_average()
        step = trainer.step_number
        if step % every == 0 or step == trainer.total:
            _require_finite(float(loss), step)
            state.check(validation, float(loss))
            state.seconds = time.perf_counter() - began
            if checkpoints is not None:
                checkpoints.save(state, force=step == trainer.total or state.patience_is_out)
        if step % _REPORT_EVERY == 0:
            progress("training", step, trainer.total)
    progress("training", trainer.total, trainer.total)


def _require_finite(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise ConvergenceError(
            f"training diverged at step {step}: the loss is {loss}; lower learning_rate or check the data"
        )
