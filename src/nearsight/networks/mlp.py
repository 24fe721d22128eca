"""`MLP`: a multilayer perceptron, plain linear layers with one activation between them."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from nearsight.errors import InputError, ModelFileError
from nearsight.networks.protocol import NETWORKS, LinearTrace, require_trainable_layers

_ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": F.gelu,
    "relu": F.relu,
    "silu": F.silu,
    "tanh": torch.tanh,
}

#: factor on the first layer's random start. The network then begins as a smooth, nearly linear function
#: of the features and stays smooth where data is scarce: with 1 % of 32-atom aluminium the error fell
#: from 1.14 to 1.03 times that of all the data, itself a little lower (weight decay raised with it).
_FIRST_GAIN = 0.1


@NETWORKS.register("mlp")
@dataclass(frozen=True)
class MLPSettings:
    """Shape of a multilayer perceptron.

    Parameters
    ----------
    width, depth : int
        Units a hidden layer, and number of hidden layers. The papers on density learning take
        900 and 12.
    activation : {"gelu", "relu", "silu", "tanh"}
    output : {"linear", "relu"}
        ``relu`` cannot give a negative density; it belongs to the total density alone.

    Raises
    ------
    InputError
        A setting outside these.
    """

    name: ClassVar[str] = "mlp"

    width: int = 128
    depth: int = 3
    activation: Literal["gelu", "relu", "silu", "tanh"] = "gelu"
    output: Literal["linear", "relu"] = "linear"

    def __post_init__(self) -> None:
        if self.width < 1 or self.depth < 0:
            raise InputError(f"an MLP needs width ≥ 1 and depth ≥ 0, not {self.width} and {self.depth}")
        if self.activation not in _ACTIVATIONS:
            known = ", ".join(_ACTIVATIONS)
            raise InputError(f"unknown activation '{self.activation}'; known: {known}")
        if self.output not in ("linear", "relu"):
            raise InputError(f"an MLP's output is linear or relu, not '{self.output}'")

    @property
    def positive(self) -> bool:
        """Whether the output cannot be negative."""
        return self.output == "relu"

    def build(self, n_inputs: int, generator: torch.Generator | None = None) -> "MLP":
        """A new network, its start drawn from `generator`; without one the weights are unset."""
        return MLP(n_inputs, self, generator)

    def as_dict(self) -> dict[str, Any]:
        """The fields, with the registered name under ``network``."""
        return {"network": self.name, **asdict(self)}


class MLP(nn.Module):
    """Multilayer perceptron on standardised features.

    The hidden products run in whatever precision autocast asks for; the last layer, whose rounding
    would go straight into the density, is always float32.

    Parameters
    ----------
    n_inputs : int
        Length of a feature vector.
    settings : MLPSettings
    generator : torch.Generator, optional
        Source of the random start: He's normal initialisation (arXiv:1502.01852) for hidden layers,
        the first a tenth of that; variance 1/fan-in for the last layer, a hundredth of that where the
        output is rectified. Without it the weights are left unset, to be loaded.
    """

    def __init__(
        self, n_inputs: int, settings: MLPSettings, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.n_inputs = n_inputs
        self.settings = settings
        sizes = [n_inputs] + [settings.width] * settings.depth + [1]
        # skip_init leaves torch's global random state alone
        self.layers = nn.ModuleList(
            nn.utils.skip_init(nn.Linear, a, b)  # type: ignore[no-untyped-call]
            for a, b in pairwise(sizes)
        )
        self._activation = _ACTIVATIONS[settings.activation]
        if generator is not None:
            self._initialise(generator)

    def _initialise(self, generator: torch.Generator) -> None:
        gain = 1.0 if self.settings.activation == "tanh" else 2.0
        *hidden, head = self._linear()
        with torch.no_grad():
            for layer in hidden:
                layer.weight.normal_(0.0, (gain / layer.in_features) ** 0.5, generator=generator)
                layer.bias.zero_()
            if hidden:
                hidden[0].weight *= _FIRST_GAIN
            # a rectified output starts close to the target's mean, which is one: not dead
            spread, centre = (0.1, 1.0) if self.settings.positive else (1.0, 0.0)
            head.weight.normal_(0.0, spread / head.in_features**0.5, generator=generator)
            head.bias.fill_(centre)

    @property
    def device(self) -> torch.device:
        """Where its weights live."""
        return self._linear()[0].weight.device

    def _linear(self) -> list[nn.Linear]:
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def traced(self, x: torch.Tensor) -> tuple[torch.Tensor, list[LinearTrace]]:
        """The output (m,) and each linear layer's inputs and outputs, first layer first."""
        *hidden, head = self._linear()
        trace = []
        for layer in hidden:
            z = layer(x)
            trace.append(LinearTrace(x, z))
            x = self._activation(z)
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            z = head(x)
        trace.append(LinearTrace(x, z))
        return self._output(z), trace

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Standardised density (m,), float32, of standardised features (m, n_inputs)."""
        return self.read_out(self.hidden(x))

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        """What the last layer sees (m, last hidden width), float32."""
        for layer in self._linear()[:-1]:
            x = self._activation(layer(x))
        return x.float()

    def read_out(self, hidden: torch.Tensor) -> torch.Tensor:
        """The output (m,) of what `hidden` gave."""
        with torch.autocast(hidden.device.type, enabled=False):
            return self._output(self._linear()[-1](hidden))

    def head(self) -> torch.Tensor:
        """Weights (p + 1,) of the last layer, its bias last."""
        last = self._linear()[-1]
        return torch.cat([last.weight.detach()[0], last.bias.detach()])

    def _output(self, z: torch.Tensor) -> torch.Tensor:
        y = z.squeeze(1)
        return F.relu(y) if self.settings.positive else y

    @torch.no_grad()
    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """`forward` without gradients."""
        y: torch.Tensor = self(x)
        return y

    @property
    def n_layers(self) -> int:
        """Linear layers, the output's included."""
        return len(self.layers)

    def fine_tuned(self, frozen_layers: int) -> "MLP":
        """A trainable copy, its first `frozen_layers` linear layers fixed."""
        require_trainable_layers(frozen_layers, self.n_layers)
        copy = MLP(self.n_inputs, self.settings)
        copy.load_tensors(self.tensors())
        for layer in copy._linear()[:frozen_layers]:
            layer.requires_grad_(False)
        return copy

    def frozen(self) -> "MLP":
        """Itself, moved to the CPU, its weights no longer trainable."""
        return self.to("cpu").requires_grad_(False)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Weights and biases by name, on the CPU."""
        return {name: t.detach().cpu().contiguous() for name, t in self.state_dict().items()}

    def load_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Fill in weights and biases; raises `ModelFileError` where names or shapes differ."""
        try:
            self.load_state_dict(dict(tensors))
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise ModelFileError(f"the stored weights do not fit the network: {reason}") from None
