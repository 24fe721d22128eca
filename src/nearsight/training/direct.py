"""Trainings that are not one descent: a fit in closed form, and the members of an ensemble."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nearsight.errors import InputError
from nearsight.networks.ensemble import Ensemble, EnsembleSettings
from nearsight.networks.fit_data import FitData
from nearsight.networks.protocol import DirectFit, Network
from nearsight.progress import Progress
from nearsight.provenance import generator
from nearsight.store.table import PointTable
from nearsight.training.task import Outcome, TrainingTask, torch_generator


def fit_directly(task: TrainingTask, progress: Progress) -> Outcome:
    """Fit a network that fits itself, and judge it once.

    The seconds are those of the fit with all that it chooses by itself; standardising the data is in them,
    the validation is not, as a descent that is never validated would be none the worse trained.

    Raises
    ------
    InputError, ConvergenceError
        Data or settings that cannot be fitted; a model to go on from.
    """
    settings = task.network
    assert isinstance(settings, DirectFit)
    if task.base is not None:
        raise InputError(f"a network of kind '{settings.name}' cannot be fine-tuned; train a new one")
    progress("fitting", 0, 1)
    began = time.perf_counter()
    data = fit_data(task)
    network = settings.fit(data, generator=torch_generator(task.seed, "network"))
    seconds = time.perf_counter() - began
    progress("fitting", 1, 1)
    judge = task.judge()
    error = None if judge is None else judge.nrmse(network)
    entry = {"step": 0.0, "loss": _loss(network, data, task)}
    if error is not None:
        entry["validation_nrmse_percent"] = error
    record = {"step": 0, "best_error": error, "stale": 0, "history": [entry], "seconds": seconds}
    notes = getattr(network, "notes", {})
    return Outcome(network, [entry], seconds, 0, False, error, {**record, "fit": notes} if notes else record)


def fit_data(task: TrainingTask) -> FitData:
    """The task's tables as a network that fits itself reads them."""
    data = replace(_standardised(task, task.table), n_effective=task.n_effective)
    if task.validation is None:
        return data
    table, n = task.validation, task.settings.validation_points
    if len(table) > n:
        rng = generator(task.seed, "validation")
        table = table.take(np.sort(rng.choice(len(table), n, replace=False)))
    return replace(data, validation=_standardised(task, table))


def _standardised(task: TrainingTask, table: PointTable) -> FitData:
    target = task.learned.encode(table.density, table.rho_saed).astype(np.float64)
    weight = np.asarray(table.weight, dtype=np.float64)
    return FitData(table.features, target, weight, task.scaler.mean, task.scaler.std, task.device)


def _loss(network: Network, data: FitData, task: TrainingTask) -> float:
    """Weighted mean square of the standardised error on a random batch."""
    x, t, weight = data.take(data.sample(task.settings.batch, torch_generator(task.seed, "loss")))
    return float((weight * (network.predict(x) - t).square()).mean())


def train_members(task: TrainingTask, learn: Callable[[TrainingTask, str], Outcome]) -> Outcome:
    """Train the members of an ensemble one after the other, each with a seed of its own.

    Parameters
    ----------
    task : TrainingTask
        Whose network is an `EnsembleSettings`. Member k goes on from member k of the base's, if there is one.
    learn : callable
        Trains the task of a member; the text names the member, for its checkpoint. Member 0 has the
        task's own seed: an ensemble of one is that network.
    """
    settings = task.network
    assert isinstance(settings, EnsembleSettings)
    outcomes = [learn(_member(task, settings, k), f"member-{k}") for k in range(settings.members)]
    network = Ensemble(settings, [outcome.network for outcome in outcomes])
    judge = task.judge()
    error = None if judge is None else judge.nrmse(network)
    steps, history = 0, []
    for k, outcome in enumerate(outcomes):
        history += [{**entry, "step": steps + entry["step"], "member": float(k)} for entry in outcome.history]
        steps += outcome.steps
    if error is not None:
        loss = float(np.mean([outcome.history[-1]["loss"] for outcome in outcomes]))
        history.append({"step": float(steps), "loss": loss, "validation_nrmse_percent": error})
    seconds = sum(outcome.seconds for outcome in outcomes)
    record = {
        "step": steps,
        "best_error": error,
        "stale": 0,
        "history": history,
        "seconds": seconds,
        "members": [outcome.record for outcome in outcomes],
    }
    stopped = any(outcome.stopped_early for outcome in outcomes)
    return Outcome(network, history, seconds, steps, stopped, error, record)


def _member(task: TrainingTask, settings: EnsembleSettings, number: int) -> TrainingTask:
    """The task of one member."""
    base = task.base
    if base is not None:
        if not isinstance(base.network, Ensemble) or len(base.network.members) != settings.members:
            raise InputError(f"an ensemble of {settings.members} goes on from one of as many members")
        base = replace(base, network=base.network.members[number])
    return replace(task, network=settings.each, seed=member_seed(task.seed, number), base=base)


def member_seed(seed: int, number: int) -> int:
    """Seed of a member of an ensemble; the first has the run's own."""
    return seed if number == 0 else int(generator(seed, "member", number).integers(2**31))
