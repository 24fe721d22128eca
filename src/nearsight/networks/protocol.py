"""What a network is: settings that build it, tensors that fill it, and a prediction for a block.

`Network` asks for so little that a linear model, a Gaussian process or a Bayesian network fits behind
it. What is trained by gradients is also a `torch.nn.Module`; what GraNd scores is a `TraceableNetwork`;
what needs no gradient steps has settings that are a `DirectFit`, and fits itself to a `FitData`; what
knows how sure it is of a prediction is an `UncertainNetwork`; what brings its own loss is a `LossNetwork`,
and what can go on learning elsewhere a `FineTunableNetwork`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch

from nearsight.errors import InputError, ModelFileError
from nearsight.networks.fit_data import FitData
from nearsight.registry import Registry


@runtime_checkable
class Network(Protocol):
    """A function of standardised features; `nearsight.networks.conformance` holds its suite."""

    #: length of a feature vector
    n_inputs: int
    #: what built it
    settings: "NetworkSettings"

    @property
    def device(self) -> torch.device:
        """Where its tensors live."""
        ...

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Standardised density (m,), float32, of standardised features (m, n_inputs), float32.

        Row by row: the value of a point does not depend on the others of its block. No gradients.
        """
        ...

    def to(self, device: Any) -> Any:
        """Move its tensors to `device`, in place."""
        ...

    def frozen(self) -> "Network":
        """Itself, moved to the CPU and done with training."""
        ...

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything learned, by name, on the CPU: what a model file stores."""
        ...

    def load_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Fill in what `tensors` gave; raises `ModelFileError` where names or shapes differ."""
        ...


class NetworkSettings(Protocol):
    """Frozen settings of one kind of network, JSON-ready by their fields."""

    #: registered name
    name: ClassVar[str]

    @property
    def positive(self) -> bool:
        """Whether the output cannot be negative: the target must then be scaled and not shifted."""
        ...

    def build(self, n_inputs: int, generator: torch.Generator | None = None) -> Any:
        """A new network; `generator` settles its random start, none leaves the weights unset."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """The fields, with the registered name under ``network``."""
        ...


class LinearTrace(NamedTuple):
    """What one linear layer saw: inputs a (m, n_in) and outputs z = Wa + b (m, n_out)."""

    inputs: torch.Tensor
    outputs: torch.Tensor


@runtime_checkable
class TraceableNetwork(Network, Protocol):
    """A network all of whose parameters are the weights and biases of linear layers."""

    def traced(self, x: torch.Tensor) -> tuple[torch.Tensor, list[LinearTrace]]:
        """The output (m,) and each linear layer's inputs and outputs, first layer first."""
        ...


@runtime_checkable
class DirectFit(NetworkSettings, Protocol):
    """Settings of a network that is fitted at once, without gradient steps."""

    def fit(self, data: FitData, *, generator: torch.Generator) -> Network:
        """A network fitted to `data`, on the data's device.

        `generator` settles what is drawn at random (such as inducing points), if anything is. What the
        fit chose by itself stands in the network's `notes`, if it has them: a dict that JSON can hold.

        Raises
        ------
        InputError, ConvergenceError
            Data or settings that cannot be fitted.
        """
        ...


class Moments(NamedTuple):
    """What a network believes of a block, in units of the standardised density; all (m,), float32.

    Attributes
    ----------
    mean : Tensor
        What `predict` gives.
    aleatoric : Tensor
        Variance ≥ 0 of the data around the mean: more data of this kind would not lower it.
    epistemic : Tensor
        Variance ≥ 0 of the mean itself: more data near this point would.
    """

    mean: torch.Tensor
    aleatoric: torch.Tensor
    epistemic: torch.Tensor


@runtime_checkable
class UncertainNetwork(Network, Protocol):
    """A network that can tell how sure it is of a prediction."""

    @property
    def knows_uncertainty(self) -> bool:
        """Whether this very network can: not an ensemble of one, or a fit that stored no variances."""
        ...

    def moments(self, x: torch.Tensor) -> Moments:
        """Mean and variances of the standardised density of a block, row by row as `predict`.

        Drawing at random inside is repeatable: the same x gives the same moments. No gradients.

        Raises
        ------
        InputError
            `knows_uncertainty` is false.
        """
        ...


@runtime_checkable
class LossNetwork(Network, Protocol):
    """A trained network with a loss of its own in place of the weighted mean square."""

    def loss(
        self, x: torch.Tensor, t: torch.Tensor, weight: torch.Tensor, *, n_effective: float, done: float
    ) -> torch.Tensor:
        """Loss of a batch, a scalar with gradients.

        Parameters
        ----------
        x, t, weight : Tensor (m, n_inputs), (m,), (m,)
            Standardised features and target, and weights of mean one.
        n_effective : float
            Independent values in the whole training set: what a prior is weighed against.
        done : float
            Share of the training that is over, 0 … 1, for schedules.
        """
        ...


@runtime_checkable
class FineTunableNetwork(Network, Protocol):
    """A network that can go on learning from other data."""

    @property
    def n_layers(self) -> int:
        """Layers that can be frozen one after the other, the first first; the output's included."""
        ...

    def fine_tuned(self, frozen_layers: int) -> Any:
        """A trainable copy that starts from this network, its first `frozen_layers` layers fixed.

        What is Bayesian takes its posterior as the copy's prior.

        Raises
        ------
        InputError
            Nothing would be left to train, or a negative count.
        """
        ...


#: network names to settings classes
NETWORKS: Registry[type[NetworkSettings]] = Registry("network", "nearsight.networks")


def network_from_settings(settings: Mapping[str, Any]) -> NetworkSettings:
    """Rebuild the settings object that `NetworkSettings.as_dict` described.

    Raises
    ------
    UnknownNameError
        No network of that name.
    ModelFileError
        Settings that the network does not know.
    """
    fields = dict(settings)
    name = str(fields.pop("network", "mlp"))
    kind = NETWORKS[name]
    try:
        return kind(**fields)
    except TypeError as error:
        raise ModelFileError(f"settings of the network '{name}' do not fit this version: {error}") from None


def require_trainable_layers(frozen: int, n_layers: int) -> None:
    """Raise `InputError` unless freezing so many of the layers leaves one to train."""
    if not 0 <= frozen < n_layers:
        raise InputError(
            f"of the network's {n_layers} layers, 0 to {n_layers - 1} can be frozen, not {frozen}"
        )
