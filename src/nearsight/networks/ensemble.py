"""`Ensemble`: several networks of one kind, trained independently; their mean and their spread.

Deep ensembles (Lakshminarayanan, Pritzel, Blundell, NeurIPS 2017, arXiv:1612.01474): members differ in the
random start and in the order of the batches, and where they disagree the data does not settle the answer.
Their predictive distribution is the even mixture of the members' (ibid., sec. 2.4), so by the law of total
variance

    epistemic = variance among the members' means + mean of their own epistemic variances,
    aleatoric = mean of their aleatoric variances,

each member's own being zero where it states none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from nearsight.errors import InputError, ModelFileError
from nearsight.networks.protocol import (
    NETWORKS,
    FineTunableNetwork,
    Moments,
    Network,
    NetworkSettings,
    UncertainNetwork,
    network_from_settings,
)


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

    @torch.no_grad()
    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Mean standardised density (m,), float32."""
        return torch.stack([member.predict(x) for member in self.members]).mean(dim=0)

    @property
    def knows_uncertainty(self) -> bool:
        """Whether there are members to disagree, or a single one knows by itself."""
        return len(self.members) > 1 or _knows(self.members[0])

    @torch.no_grad()
    def moments(self, x: torch.Tensor) -> Moments:
        """Moments (m,), float32, of the mixture; the variance of the means has K − 1 in the denominator.

        Raises
        ------
        InputError
            A single member that states no uncertainty.
        """
        if not self.knows_uncertainty:
            kind = self.members[0].settings.name
            raise InputError(f"an ensemble of one '{kind}' states no uncertainty; train two members or more")
        means, aleatoric, epistemic = (
            torch.stack(part) for part in zip(*map(_moments(x), self.members), strict=True)
        )
        mean = means.mean(dim=0)
        spread = (means - mean).square().sum(dim=0) / max(1, len(means) - 1)
        return Moments(mean, aleatoric.mean(dim=0), spread + epistemic.mean(dim=0))

    @property
    def n_layers(self) -> int:
        """Layers of a member that can be frozen; none where its kind cannot be fine-tuned."""
        first = self.members[0]
        return first.n_layers if isinstance(first, FineTunableNetwork) else 0

    def fine_tuned(self, frozen_layers: int) -> "Ensemble":
        """Trainable copies of all members, the first `frozen_layers` layers of each fixed."""
        copies = []
        for member in self.members:
            if not isinstance(member, FineTunableNetwork):
                raise InputError(
                    f"members of kind '{member.settings.name}' cannot be fine-tuned; train a new ensemble"
                )
            copies.append(member.fine_tuned(frozen_layers))
        assert isinstance(self.settings, EnsembleSettings)
        return Ensemble(self.settings, copies)

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


def _knows(member: Network) -> bool:
    return isinstance(member, UncertainNetwork) and member.knows_uncertainty


def _moments(x: torch.Tensor) -> Callable[[Network], Moments]:
    """A member's moments at x; without variances where it states none."""

    def of(member: Network) -> Moments:
        if isinstance(member, UncertainNetwork) and member.knows_uncertainty:
            return member.moments(x)
        mean = member.predict(x)
        return Moments(mean, torch.zeros_like(mean), torch.zeros_like(mean))

    return of
