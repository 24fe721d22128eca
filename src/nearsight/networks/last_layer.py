"""`LastLayer`: a plain network whose last layer knows how well the data settles it.

The hidden layers of a trained network are kept as they are, and the output, which is linear in what they
give, is taken as Bayesian linear regression: the Laplace approximation of the last layer (Daxberger and
others, NeurIPS 2021, arXiv:2106.14806). With φ the hidden activations and a one, and θ the weights of the
last layer, the posterior precision is

    Λ = (n_effective / Σ w) Σ w φ φᵀ / σ²(φ) + α,

the mean is the network's own output, the epistemic variance φᵀ Λ⁻¹ φ, and the aleatoric one σ²(φ) = exp(a·φ),
held within the values it had on the points it was fitted to. Where the output is rectified, the variance is
that of the output before.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch

from nearsight.errors import InputError, ModelFileError
from nearsight.networks.protocol import (
    NETWORKS,
    FineTunableNetwork,
    Moments,
    Network,
    NetworkSettings,
    network_from_settings,
)
from nearsight.networks.quadratic_form import QuadraticForm

_INNER = "inner."


@runtime_checkable
class HiddenNetwork(FineTunableNetwork, Network, Protocol):
    """A network whose output is linear in something it can show."""

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        """What the last layer sees (m, p), float32."""
        ...

    def read_out(self, hidden: torch.Tensor) -> torch.Tensor:
        """The output (m,) of what `hidden` gave."""
        ...

    def head(self) -> torch.Tensor:
        """Weights (p + 1,) of the last layer, its bias last."""
        ...


@NETWORKS.register("last_layer")
@dataclass(frozen=True)
class LastLayerSettings:
    """A plain network with the uncertainty of its last layer.

    Parameters
    ----------
    inner : dict
        Settings of the network: the registered name under ``name`` (or ``network``; an ``mlp`` unless
        given), and what that kind knows. Kept as its full settings, with the name under ``network``.
    noise : {"features", "constant"}
        The aleatoric variance: a function of the hidden activations, or one number.
    prior_precision : float, optional
        α, of standardised densities; that of largest evidence unless given.

    Raises
    ------
    InputError
        Settings that the network does not know; a network without a last layer; a setting out of range.
    UnknownNameError
        A kind of network that is not installed.
    """

    name: ClassVar[str] = "last_layer"

    inner: dict[str, Any] = field(default_factory=dict)
    noise: Literal["features", "constant"] = "features"
    prior_precision: float | None = None

    def __post_init__(self) -> None:
        given = dict(self.inner)
        kind = given.pop("name", None)
        given = {"network": given.pop("network", kind or "mlp"), **given}
        try:
            settings = network_from_settings(given)
        except ModelFileError as error:
            raise InputError(f"'inner' of the network last_layer: {error}") from None
        if given["network"] == self.name or not isinstance(settings.build(1), HiddenNetwork):
            raise InputError(
                f"a network of kind '{given['network']}' has no last layer to be uncertain of; take an mlp"
            )
        object.__setattr__(self, "inner", settings.as_dict())
        if self.noise not in ("features", "constant"):
            raise InputError(f"noise of last_layer is features or constant, not '{self.noise}'")
        if self.prior_precision is not None and not 0 < self.prior_precision < float("inf"):
            raise InputError(f"prior_precision must be positive, not {self.prior_precision}")

    @property
    def each(self) -> NetworkSettings:
        """Settings of the network inside."""
        return network_from_settings(self.inner)

    @property
    def positive(self) -> bool:
        """Whether the output cannot be negative."""
        return self.each.positive

    def build(self, n_inputs: int, generator: torch.Generator | None = None) -> "LastLayer":
        """The network at its start, which knows no uncertainty yet."""
        return LastLayer(self, self.each.build(n_inputs, generator))

    def as_dict(self) -> dict[str, Any]:
        """The fields, with the registered name under ``network``."""
        own = {"noise": self.noise, "prior_precision": self.prior_precision}
        return {"network": self.name, "inner": dict(self.inner), **own}


class LastLayer:
    """A network, and what is known of its last layer.

    Parameters
    ----------
    settings : LastLayerSettings
    inner : HiddenNetwork
    """

    def __init__(self, settings: LastLayerSettings, inner: HiddenNetwork) -> None:
        self.settings: NetworkSettings = settings
        self.inner = inner
        self.n_inputs = inner.n_inputs
        double = torch.float64
        self._tensors = {
            "precision": torch.zeros(0, 0, dtype=double),
            "noise.weights": torch.zeros(0, dtype=double),
            "noise.range": torch.zeros(2, dtype=double),
        }
        self._form: QuadraticForm | None = None

    @property
    def device(self) -> torch.device:
        """Where its tensors live."""
        return self.inner.device

    @property
    def precision(self) -> torch.Tensor:
        """Posterior precision Λ (p, p), float64, of the last layer's weights, the bias last.

        Points can be added to it without their densities: Λ + Σ φ φᵀ / σ²(φ), φ from `features`.
        """
        return self._tensors["precision"]

    @torch.no_grad()
    def features(self, x: torch.Tensor) -> torch.Tensor:
        """φ (m, p), float32: hidden activations and a one."""
        hidden = self.inner.hidden(x)
        return torch.cat([hidden, torch.ones_like(hidden[:, :1])], dim=1)

    def set_noise(self, weights: torch.Tensor, lowest: float, highest: float) -> None:
        """Log σ² = weights (p,) · φ, held between two values."""
        bounds = torch.tensor([lowest, highest], dtype=torch.float64)
        self._tensors |= {"noise.weights": weights.double(), "noise.range": bounds.to(self.device)}
        self._form = None

    def scale_noise(self, factor: float) -> None:
        """Multiply σ² by a factor."""
        weights, bounds = self._tensors["noise.weights"].clone(), self._tensors["noise.range"]
        weights[-1] += math.log(factor)
        self.set_noise(weights, *(bounds + math.log(factor)).tolist())

    def set_precision(self, precision: torch.Tensor) -> None:
        """Λ (p, p), symmetric and positive definite."""
        self._tensors["precision"] = precision.double()
        self._form = None

    def noise_variance(self, features: torch.Tensor) -> torch.Tensor:
        """σ² (m,), float64, where `features` gave φ."""
        low, high = self._tensors["noise.range"].tolist()
        return (features.double() @ self._tensors["noise.weights"]).clamp(low, high).exp()

    @torch.no_grad()
    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Standardised density (m,), float32: the network's own."""
        return self.inner.predict(x)

    @property
    def knows_uncertainty(self) -> bool:
        """Whether its posterior was fitted."""
        return len(self.precision) > 0

    @torch.no_grad()
    def moments(self, x: torch.Tensor) -> Moments:
        """Mean and variances (m,), float32, from one pass through the hidden layers.

        Raises
        ------
        InputError
            The posterior was never fitted.
        """
        hidden = self.inner.hidden(x)
        mean = self.inner.read_out(hidden)
        if self._form is None:
            self._form = self._quadratic_form()
        with torch.autocast(x.device.type, enabled=False):
            epistemic, log = self._form.values(hidden)
        low, high = self._tensors["noise.range"].tolist()
        return Moments(mean, log.clamp(low, high).exp(), epistemic)

    def _quadratic_form(self) -> "QuadraticForm":
        if not self.knows_uncertainty:
            raise InputError("this last_layer network was not fitted to data yet; train it first")
        return QuadraticForm.of(self.precision, self._tensors["noise.weights"])

    @property
    def n_layers(self) -> int:
        """Layers of the network inside, the output's included."""
        return self.inner.n_layers

    def fine_tuned(self, frozen_layers: int) -> "LastLayer":
        """A copy with a trainable network inside, which knows no uncertainty until it is fitted again."""
        settings = self.settings
        assert isinstance(settings, LastLayerSettings)
        return LastLayer(settings, self.inner.fine_tuned(frozen_layers))

    def to(self, device: Any) -> "LastLayer":
        """Itself, its tensors moved to `device`."""
        self.inner = self.inner.to(device)
        self._tensors = {name: t.to(device) for name, t in self._tensors.items()}
        self._form = None
        return self

    def frozen(self) -> "LastLayer":
        """Itself, moved to the CPU and done with training."""
        inner = self.inner.frozen()
        assert isinstance(inner, HiddenNetwork)
        self.inner = inner
        return self.to("cpu")

    def tensors(self) -> dict[str, torch.Tensor]:
        """Posterior and noise, and the network's tensors under ``inner.``."""
        inner = {f"{_INNER}{name}": t for name, t in self.inner.tensors().items()}
        return inner | {name: t.detach().cpu().contiguous() for name, t in self._tensors.items()}

    def load_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Fill in all; raises `ModelFileError` where names or shapes differ."""
        inner = {n.removeprefix(_INNER): t for n, t in tensors.items() if n.startswith(_INNER)}
        own = {n: t for n, t in tensors.items() if not n.startswith(_INNER)}
        if own.keys() != self._tensors.keys():
            found, needed = ", ".join(sorted(own)), ", ".join(sorted(self._tensors))
            raise ModelFileError(
                f"the stored tensors do not fit the network last_layer: {found} for {needed}"
            )
        self.inner.load_tensors(inner)
        p = len(own["precision"])
        if (
            own["precision"].shape != (p, p)
            or own["noise.weights"].shape != (p,)
            or p
            not in (
                0,
                len(self.inner.head()),
            )
        ):
            raise ModelFileError("the stored posterior does not fit the last layer; write the model again")
        self._tensors = {name: t.detach().to(self.device) for name, t in own.items()}
        self._form = None
