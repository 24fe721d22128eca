"""`TrainingTask`: data, network, target and settings of one training, and what follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from nearsight.descriptors.protocol import Descriptor
from nearsight.errors import InputError
from nearsight.model.density_model import DensityModel
from nearsight.model.scaler import FeatureScaler
from nearsight.model.target import Target, TargetKind, require_compatible
from nearsight.networks.ensemble import Ensemble
from nearsight.networks.last_layer import LastLayerSettings
from nearsight.networks.precision import resolve_device, resolve_precision
from nearsight.networks.protocol import FineTunableNetwork, Network, NetworkSettings
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
        A ReLU output with the difference density; ``cuda`` without a GPU; a base that cannot go on learning,
        or whose descriptor, network or target are others.
    """

    table: PointTable
    validation: PointTable | None
    descriptor: Descriptor
    network: NetworkSettings
    target: TargetKind
    settings: TrainSettings
    seed: int
    #: independent values among the points; each point is one if None
    n_effective: float | None = None
    #: the model that goes on learning, with its scaler and target; None starts at random
    base: DensityModel | None = None
    #: layers of the base that stay as they are
    frozen_layers: int = 0

    def __post_init__(self) -> None:
        require_compatible(self.target, self.network.positive)
        if self.base is not None:
            _require_base(self.base, self)
        precision = resolve_precision(self.settings.precision, self.device)
        object.__setattr__(self, "settings", replace(self.settings, precision=precision))

    @cached_property
    def device(self) -> torch.device:
        """Where the network is trained."""
        return resolve_device(self.settings.device)

    @cached_property
    def scaler(self) -> FeatureScaler:
        """Standardisation of the training features: the base's, or this data's own."""
        if self.base is not None:
            return self.base.scaler
        return FeatureScaler.fit(self.table.features, self.table.weight)

    @cached_property
    def learned(self) -> Target:
        """Shift and scale of the training target: the base's, or this data's own."""
        if self.base is not None:
            return self.base.target
        table, positive = self.table, self.network.positive
        return Target.fit(self.target, table.density, table.rho_saed, table.weight, positive=positive)

    def start(self) -> RunState:
        """A run at step zero."""
        module = self._module().to(self.device)
        data = TrainingData(self.table, self.scaler, self.learned, self.device)
        return RunState(Trainer(module, data, self.settings, self.seed, self.n_effective), module)

    def _module(self) -> Any:
        """The network at its random start, or the base's, ready to go on."""
        if self.base is None:
            return self.network.build(self.table.n_features, torch_generator(self.seed, "network"))
        network = self.base.network
        assert isinstance(network, FineTunableNetwork)
        return network.fine_tuned(self.frozen_layers)

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
            self.n_effective,
            *(() if self.base is None else (self.base.digest(), self.frozen_layers)),
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
        if self.n_effective is not None:
            training["effective_points"] = self.n_effective
        base = {} if self.base is None else {"base": _base_record(self.base, self.frozen_layers)}
        return {**to_plain(provenance), **base, "training": training}


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


def layers_to_train(network: Network) -> int:
    """Layers of a network that can go on learning, an ensemble's those of each member.

    Raises
    ------
    InputError
        It is fitted at once, and has no weights to go on from.
    """
    if isinstance(network, Ensemble):
        return min(layers_to_train(member) for member in network.members)
    if not isinstance(network, FineTunableNetwork):
        raise InputError(
            f"a network of kind '{network.settings.name}' cannot be fine-tuned: it is fitted at once; train "
            "a new one on all the data, or fine-tune an mlp"
        )
    return network.n_layers


def require_base_network(base: NetworkSettings, network: NetworkSettings) -> None:
    """Raise `InputError` unless a network can go on from a base's: the same, or `last_layer` around it."""
    own, asked = (_weights_of(settings).as_dict() for settings in (base, network))
    if to_plain(own) != to_plain(asked):
        raise InputError(f"fine-tuning keeps the network of the base model, {own}; leave out {asked}")


def _weights_of(settings: NetworkSettings) -> NetworkSettings:
    """The network whose weights are trained."""
    return settings.each if isinstance(settings, LastLayerSettings) else settings


def _require_base(base: DensityModel, task: TrainingTask) -> None:
    """Refuse a base that the task does not go on from."""
    layers_to_train(base.network)
    require_base_network(base.network.settings, task.network)
    for what, own, asked in (
        ("descriptor", base.descriptor.settings(), task.descriptor.settings()),
        ("target", base.target.kind, task.target),
    ):
        if to_plain(own) != to_plain(asked):
            raise InputError(f"fine-tuning keeps the {what} of the base model, {own}; leave out {asked}")


def _base_record(base: DensityModel, frozen_layers: int) -> dict[str, Any]:
    """What a fine-tuned model remembers of where it comes from, its whole history included."""
    return {
        "digest": base.digest(),
        "frozen_layers": frozen_layers,
        "calibration": to_plain(base.calibration),
        "provenance": to_plain(base.provenance),
    }


def torch_generator(seed: int, *keys: int | str) -> torch.Generator:
    """A torch generator for one purpose, seeded from nearsight's own streams."""
    return torch.Generator().manual_seed(int(generator(seed, *keys).integers(2**62)))
