"""`TrainingTask`: data, network, target and settings of one training, and what follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from nearsight.descriptors.protocol import Descriptor
from nearsight.model.scaler import FeatureScaler
from nearsight.model.target import Target, TargetKind, require_compatible
from nearsight.networks.precision import resolve_device, resolve_precision
from nearsight.networks.protocol import Network, NetworkSettings
from nearsight.provenance import digest, generator, to_plain
from nearsight.store.table import PointTable
from nearsight.training.run import RunState
from nearsight.training.settings import TrainSettings
from nearsight.training.trainer import Trainer, TrainingData
from nearsight.training.validation import Validation


@dataclass(frozen=True, eq=False)
class TrainingTask:
    """What is to be trained on what; see `nearsight.training.fit.train_model` for the parameters.

    Raises
    ------
    InputError
        A ReLU output with the difference density; ``cuda`` without a GPU.
    """

    table: PointTable
    validation: PointTable | None
    descriptor: Descriptor
    network: NetworkSettings
    target: TargetKind
    settings: TrainSettings
    seed: int

    def __post_init__(self) -> None:
        require_compatible(self.target, self.network.positive)
        precision = resolve_precision(self.settings.precision, self.device)
        object.__setattr__(self, "settings", replace(self.settings, precision=precision))

    @cached_property
    def device(self) -> torch.device:
        """Where the network is trained."""
        return resolve_device(self.settings.device)

    @cached_property
    def scaler(self) -> FeatureScaler:
        """Standardisation of the training features."""
        return FeatureScaler.fit(self.table.features, self.table.weight)

    @cached_property
    def learned(self) -> Target:
        """Shift and scale of the training target."""
        table, positive = self.table, self.network.positive
        return Target.fit(self.target, table.density, table.rho_saed, table.weight, positive=positive)

    def start(self) -> RunState:
        """A run at step zero."""
        module = self.network.build(self.table.n_features, torch_generator(self.seed, "network"))
        data = TrainingData(self.table, self.scaler, self.learned, self.device)
        return RunState(Trainer(module.to(self.device), data, self.settings, self.seed), module)

    def judge(self) -> Validation | None:
        """The validation, if there are points for it."""
        if self.validation is None:
            return None
        return Validation(
            self.validation,
            self.scaler,
            self.learned,
            n_points=self.settings.validation_points,
            seed=self.seed,
            device=self.device,
            precision=self.settings.precision,
        )

    def digest(self) -> str:
        """What makes a run this run: a checkpoint of another one is of no use."""
        return digest(
            self.table.digest(),
            None if self.validation is None else self.validation.digest(),
            self.descriptor.settings(),
            self.network.as_dict(),
            self.target,
            self.settings,
            self.seed,
        )

    def record(self, outcome: "Outcome", provenance: Mapping[str, Any]) -> dict[str, Any]:
        """Provenance of the model: what was given, and under ``training`` how it was trained."""
        training = {
            "points": len(self.table),
            "points_digest": self.table.digest(),
            "settings": to_plain(self.settings),
            "seed": self.seed,
            **outcome.record,
        }
        return {**to_plain(provenance), "training": training}


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a training came to, however it was done.

    Attributes
    ----------
    network : Network
        As it did best.
    history : list of dict
        One entry a validation.
    seconds : float
    steps : int
        Optimiser steps; 0 for a fit in closed form.
    stopped_early : bool
    error : float or None
        Validation NRMSE of `network`, per cent.
    record : dict
        All that is worth keeping in the model, JSON-ready.
    """

    network: Network
    history: list[dict[str, float]]
    seconds: float
    steps: int
    stopped_early: bool
    error: float | None
    record: dict[str, Any]

    @classmethod
    def of_run(cls, state: RunState) -> "Outcome":
        """Of a run that has ended; its network is filled with the best weights."""
        state.network.load_tensors(state.best)
        return cls(
            network=state.network,
            history=state.history,
            seconds=state.seconds,
            steps=state.trainer.step_number,
            stopped_early=state.trainer.step_number < state.trainer.total,
            error=state.best_error,
            record=state.record(),
        )


def torch_generator(seed: int, *keys: int | str) -> torch.Generator:
    """A torch generator for one purpose, seeded from nearsight's own streams."""
    return torch.Generator().manual_seed(int(generator(seed, *keys).integers(2**62)))
