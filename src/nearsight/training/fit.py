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
from nearsight.networks.ensemble import EnsembleSettings
from nearsight.networks.last_layer import LastLayerSettings
from nearsight.networks.protocol import DirectFit, NetworkSettings
from nearsight.progress import Progress, silent
from nearsight.store.table import PointTable
from nearsight.training.checkpoint import Checkpoints
from nearsight.training.direct import fit_directly, train_members
from nearsight.training.last_layer import train_last_layer
from nearsight.training.run import RunState
from nearsight.training.settings import TrainSettings
from nearsight.training.task import Outcome, TrainingTask
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
        validation points, ``validation_nrmse_percent``. A fit in closed form has one, at step 0, its loss
        that of a random batch. Where a base goes on learning, the first is the base's own error, at step 0
        and without a loss. An ensemble has those of its members one after the other, with the
        ``member``'s number, and last its own error.
    seconds : float
        Spent training, interruptions not counted.
    steps : int
        Optimiser steps taken; 0 for a fit in closed form.
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
    n_effective: float | None = None,
    base: DensityModel | None = None,
    frozen_layers: int = 0,
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
        A network that is a `torch.nn.Module`, such as `MLPSettings`; one that fits itself without steps
        (`DirectFit`), for which of `settings` device, threads and validation points alone count; or an
        ensemble, whose members are trained one after the other, each with its own checkpoint.
    target : {"total", "difference"}
    settings : TrainSettings
    radial, valence, engine, spacing
        Kept in the model; see `DensityModel`.
    seed : int
        Settles start, batches and validation points.
    n_effective : float, optional
        Independent values among the points, which Bayesian networks weigh against their prior:
        neighbouring grid points repeat each other. Each point counts as one unless given.
    base : DensityModel, optional
        Go on from this model, which has the same descriptor, network and target, in its units. Its weights
        are kept where none do better on the validation points.
    frozen_layers : int
        First layers of `base` that stay as they are.
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
    task = TrainingTask(
        table, validation, descriptor, network, target, settings, seed, n_effective, base, frozen_layers
    )
    if task.learned.needs_atoms:
        require_atomic_densities(valence, radial)
    with torch_threads(settings.threads):
        outcome = _learn(task, checkpoint_dir, checkpoint_seconds, progress)
    model = DensityModel(
        descriptor=descriptor,
        network=outcome.network.frozen(),
        scaler=task.scaler,
        target=task.learned,
        radial=dict(radial),
        valence=dict(valence),
        engine=dict(engine or {}),
        spacing=spacing,
        provenance=task.record(outcome, provenance or {}),
    )
    return TrainResult(
        model=model,
        history=outcome.history,
        seconds=outcome.seconds,
        steps=outcome.steps,
        stopped_early=outcome.stopped_early,
        validation_nrmse_percent=outcome.error,
    )


def _learn(task: TrainingTask, folder: Path | None, seconds: float, progress: Progress) -> Outcome:
    """In closed form, member by member, or step by step, as the network asks for."""
    if isinstance(task.network, EnsembleSettings):
        return train_members(
            task, lambda member, name: _learn(member, folder and folder / name, seconds, progress)
        )
    if isinstance(task.network, LastLayerSettings):
        return train_last_layer(task, lambda inner: _learn(inner, folder, seconds, progress))
    if isinstance(task.network, DirectFit):
        return fit_directly(task, progress)
    state = task.start()
    checkpoints = None
    if folder is not None:
        checkpoints = Checkpoints(folder, task.digest(), seconds)
        checkpoints.restore(state)
    judge = task.judge()
    if task.base is not None and judge is not None and not state.history:
        state.check(judge, None)  # the base's weights are kept unless others do better
    _run(state, judge, checkpoints, progress)
    return Outcome.of_run(state)


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
