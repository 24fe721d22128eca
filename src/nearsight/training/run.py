"""`RunState`: a training run with what it has learned and found so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from nearsight.networks.protocol import Network
from nearsight.training.trainer import Trainer
from nearsight.training.validation import Validation


@dataclass
class RunState:
    """What a run changes as it goes, all of it in a checkpoint.

    Attributes
    ----------
    trainer : Trainer
    network : Network
        The trainer's.
    best : dict
        Tensors of the best network so far, on the CPU; empty until the first validation.
    average : dict
        Running average of the weights, where it is asked for.
    best_error : float
        Validation error of `best`, per cent.
    stale : int
        Validations since the best.
    history : list of dict
        One entry a validation: step, loss (none before the first step), error.
    seconds : float
        Spent training, interruptions not counted.
    """

    trainer: Trainer
    network: Network
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    average: dict[str, torch.Tensor] = field(default_factory=dict)
    best_error: float | None = None
    stale: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0

    def record(self) -> dict[str, Any]:
        """The numbers, JSON-ready."""
        return {
            "step": self.trainer.step_number,
            "best_error": self.best_error,
            "stale": self.stale,
            "history": self.history,
            "seconds": self.seconds,
        }

    def adopt(self, record: Mapping[str, Any]) -> None:
        """Take over numbers that `record` gave."""
        self.trainer.step_number = record["step"]
        self.best_error = record["best_error"]
        self.stale = record["stale"]
        self.history = list(record["history"])
        self.seconds = record["seconds"]

    @property
    def patience_is_out(self) -> bool:
        """Whether validation has not improved for as long as the settings allow."""
        patience = self.trainer.settings.patience
        return patience is not None and self.stale >= patience

    def update_average(self) -> None:
        """Move the running average of the weights one step on; its start is free of bias."""
        decay = self.trainer.settings.ema
        if not decay:
            return
        weights = dict(self.trainer.network.named_parameters())
        if not self.average:
            self.average = {name: w.detach().clone() for name, w in weights.items()}
            return
        # a young average forgets faster, so that it never remembers the random start
        share = max(1 - decay, 1 / self.trainer.step_number)
        for name, w in weights.items():
            self.average[name].lerp_(w.detach(), share)

    def check(self, validation: Validation | None, loss: float | None) -> None:
        """Validate, note the result with the loss if there is one, and keep the best weights so far.

        What decides is the error of the prediction, also where the network states variances: those are
        calibrated on held-out snapshots afterwards. While a schedule is still under way that the
        variances hang on (`settles_at`, a share of the training), weights are neither kept nor stale.
        """
        entry = {"step": float(self.trainer.step_number)}
        if loss is not None:
            entry["loss"] = loss
        with self._averaged():
            error = None if validation is None else validation.nrmse(self.network)
            if error is not None:
                entry["validation_nrmse_percent"] = error
            if self.trainer.done < getattr(self.network, "settles_at", 0.0):
                pass
            elif error is None or self.best_error is None or error < self.best_error:
                self.best = {name: t.clone() for name, t in self.network.tensors().items()}
                self.best_error, self.stale = error, 0
            else:
                self.stale += 1
        self.history.append(entry)

    def _averaged(self) -> "_Swapped":
        return _Swapped(self.network, self.average)


class _Swapped:
    """The network with other weights, for as long as the context lasts."""

    def __init__(self, network: Network, tensors: Mapping[str, torch.Tensor]) -> None:
        self._network, self._tensors = network, tensors

    def __enter__(self) -> None:
        if self._tensors:
            self._own = {name: t.clone() for name, t in self._network.tensors().items()}
            # buffers, such as a prior, have no average
            self._network.load_tensors({**self._own, **self._tensors})

    def __exit__(self, *error: object) -> None:
        if self._tensors:
            self._network.load_tensors(self._own)
