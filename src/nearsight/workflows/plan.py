"""`Plan`: what a person's settings mean for one set of data, strings resolved to objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nearsight.descriptors import descriptor_from_settings
from nearsight.descriptors.protocol import Descriptor
from nearsight.errors import InputError
from nearsight.model.target import TargetKind, require_compatible
from nearsight.networks.mlp import MLPSettings
from nearsight.networks.protocol import NetworkSettings, TraceableNetwork
from nearsight.training import ScoreSettings, TrainSettings
from nearsight.workflows.building import build, network_settings
from nearsight.workflows.config import Config

__all__ = ["Plan", "build", "make_plan", "network_settings"]


@dataclass(frozen=True)
class Plan:
    """How to describe, score and train.

    Attributes
    ----------
    descriptor : Descriptor
    network : NetworkSettings
    target : {"total", "difference"}
    training : TrainSettings
    scoring : ScoreSettings
    validation_points : int
        Points drawn once from the validation snapshots.
    effective_points : float or None
        Independent values among the training points; None lets the data say.
    """

    descriptor: Descriptor
    network: NetworkSettings
    target: TargetKind
    training: TrainSettings
    scoring: ScoreSettings
    validation_points: int
    effective_points: float | None = None

    @property
    def scoring_network(self) -> NetworkSettings:
        """The network that scores points: the model's where its gradients have a closed form, else an MLP."""
        traceable = isinstance(self.network.build(1), TraceableNetwork)
        return self.network if traceable else MLPSettings()

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, for provenance and for recognising a run again."""
        # no key where nothing is set: a run from before there was this setting is still the same run
        own = {} if self.effective_points is None else {"effective_points": self.effective_points}
        return own | {
            "descriptor": self.descriptor.settings(),
            "network": self.network.as_dict(),
            "target": self.target,
            "training": self.training,
            "scoring": self.scoring,
            "validation_points": self.validation_points,
        }


def make_plan(config: Config, species: Sequence[int], *, has_atoms: bool, device: str = "auto") -> Plan:
    """Resolve settings for data with these elements.

    Parameters
    ----------
    config : Config
    species : sequence of int
        Atomic numbers in the data.
    has_atoms : bool
        Whether the data holds radial atomic densities: target ``auto`` is then the difference.
    device : {"auto", "cpu", "cuda"}

    Raises
    ------
    InputError
        A key or value that a room refuses, or settings that do not fit together.
    """
    target: TargetKind = "difference" if has_atoms else "total"
    if config.target != "auto":
        target = config.target
    if target == "difference" and not has_atoms:
        raise InputError(
            "target: difference needs atomic densities and the data has none; label it with an engine, or "
            "use target: total"
        )
    network = network_settings(config.network)
    require_compatible(target, network.positive)
    return Plan(
        descriptor=descriptor_from_settings({"species": tuple(species), **config.descriptor}),
        network=network,
        target=target,
        training=build(TrainSettings, {"device": device, **config.training}, "training"),
        scoring=build(ScoreSettings, config.scoring, "scoring"),
        validation_points=config.validation_points,
        effective_points=config.effective_points,
    )
