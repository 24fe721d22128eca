"""`Ensemble`: several networks of one kind, trained independently; their mean and their spread.

Deep ensembles (Lakshminarayanan, Pritzel, Blundell, NeurIPS 2017, arXiv:1612.01474): members differ in the
random start and in the order of the batches, and where they disagree the data does not settle the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from nearsight.errors import InputError, ModelFileError
from nearsight.networks.protocol import NETWORKS, Network, NetworkSettings, network_from_settings


@NETWORKS.register("ensemble")
@dataclass(frozen=True)
class EnsembleSettings:
    """So many networks of one kind.

    Parameters
    ----------
    members : int
    member : dict
        Settings of each: the registered name under ``name`` (or ``network``; an ``mlp`` unless given), and
        what that kind of network knows. Kept as its full settings, with the name under ``network``.

    Raises
    ------
    InputError
        No members; settings that the members do not know; an ensemble of ensembles.
    UnknownNameError
        A kind of network that is not installed.
    """

    name: ClassVar[str] = "ensemble"

    members: int = 4
    member: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.members < 1:
            raise InputError(f"an ensemble needs at least one member, not {self.members}")
        given = dict(self.member)
        kind = given.pop("name", None)
        given = {"network": given.pop("network", kind or "mlp"), **given}
        if given["network"] == self.name:
            raise InputError("the members of an ensemble cannot be ensembles; raise members instead")
        try:
            settings = network_from_settings(given)
        except ModelFileError as error:
            raise InputError(f"'member' of the ensemble: {error}") from None
        object.__setattr__(self, "member", settings.as_dict())

    @property
    def each(self) -> NetworkSettings:
        """Settings of a member."""
        return network_from_settings(self.member)

    @property
    def positive(self) -> bool:
        """Whether the output cannot be negative."""
        return self.each.positive

    def build(self, n_inputs: int, generator: torch.Generator | None = None) -> "Ensemble":
        """New members, one after the other from `generator`; without one their weights are unset."""
        return Ensemble(self, [self.each.build(n_inputs, generator) for _ in range(self.members)])

    def as_dict(self) -> dict[str, Any]:
        """The fields, with the registered name under ``network``."""
        return {"network": self.name, "members": self.members, "member": dict(self.member)}


class Ensemble:
    """The mean of its members.

    Parameters
    ----------
    settings : EnsembleSettings
    members : sequence of Network
        As many as the settings say.
    """

    def __init__(self, settings: EnsembleSettings, members: Sequence[Network]) -> None:
        if len(members) != settings.members:
            raise InputError(f"an ensemble of {settings.members} was given {len(members)} members")
        self.settings: NetworkSettings = settings
        self.members = list(members)
        self.n_inputs = self.members[0].n_inputs

    @property
    def device(self) -> torch.device:
        """Where its members live."""
        return self.members[0].device

    def _outputs(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([member.predict(x) for member in self.members])

    @torch.no_grad()
    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Mean standardised density (m,), float32."""
        return self._outputs(x).mean(dim=0)

    @torch.no_grad()
    def variance(self, x: torch.Tensor) -> torch.Tensor:
        """Variance among the members (m,), float32, with K − 1 in the denominator; zero for one member."""
        if len(self.members) == 1:
            return torch.zeros(len(x), device=x.device)
        outputs = self._outputs(x)
        return (outputs - outputs.mean(dim=0)).square().sum(dim=0) / (len(outputs) - 1)

    def to(self, device: Any) -> "Ensemble":
        """Itself, its members moved to `device`."""
        self.members = [member.to(device) for member in self.members]
        return self

    def frozen(self) -> "Ensemble":
        """Itself, moved to the CPU and done with training."""
        self.members = [member.frozen() for member in self.members]
        return self

    def tensors(self) -> dict[str, torch.Tensor]:
        """Tensors of member k under ``k.``."""
        return {f"{k}.{name}": t for k, m in enumerate(self.members) for name, t in m.tensors().items()}

    def load_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Fill in every member; raises `ModelFileError` where names or shapes differ."""
        parts: dict[str, dict[str, torch.Tensor]] = {str(k): {} for k in range(len(self.members))}
        for full, tensor in tensors.items():
            number, _, name = full.partition(".")
            if number not in parts:
                raise ModelFileError(f"the stored tensor {full} belongs to no member of the ensemble")
            parts[number][name] = tensor
        for member, part in zip(self.members, parts.values(), strict=True):
            member.load_tensors(part)
