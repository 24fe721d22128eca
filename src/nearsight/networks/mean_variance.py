"""`MeanVarianceMLP`: a perceptron for the mean and a small one for the variance of the data around it."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from nearsight.networks.mlp import MLP, MLPSettings
from nearsight.networks.noise import NoiseNetwork, gaussian_loss
from nearsight.networks.protocol import NETWORKS, Moments
from nearsight.networks.trained import TrainedModule


@NETWORKS.register("mean_variance")
@dataclass(frozen=True)
class MeanVarianceSettings:
    """Shape of the perceptron that gives the mean.

    Parameters
    ----------
    width, depth : int
        Units a hidden layer, and number of hidden layers.
    activation : {"gelu", "relu", "silu", "tanh"}

    Raises
    ------
    InputError
        A setting outside these.
    """

    name: ClassVar[str] = "mean_variance"

    width: int = 128
    depth: int = 3
    activation: Literal["gelu", "relu", "silu", "tanh"] = "gelu"

    def __post_init__(self) -> None:
        self.mean_settings()

    def mean_settings(self) -> MLPSettings:
        """Those of the plain perceptron that gives the mean."""
        return MLPSettings(self.width, self.depth, self.activation)

    @property
    def positive(self) -> bool:
        """Whether the output cannot be negative: it can."""
        return False

    def build(self, n_inputs: int, generator: torch.Generator | None = None) -> "MeanVarianceMLP":
        """A new network, its start drawn from `generator`; without one the weights are unset."""
        return MeanVarianceMLP(n_inputs, self, generator)

    def as_dict(self) -> dict[str, Any]:
        """The fields, with the registered name under ``network``."""
        return {"network": self.name, **asdict(self)}


class MeanVarianceMLP(TrainedModule):
    """Mean and aleatoric variance, trained by the heteroscedastic Gaussian likelihood; no epistemic variance.

    The plain likelihood weighs an error by 1/s², learns least where it errs most and spoils the mean
    (Seitzer et al., arXiv:2203.09168). Here the mean sees those gradients times s² (their β = 1), which is
    the plain mean square error, and the variance is a network of its own. So the mean is the plain
    perceptron's: with the same seed bit for bit.

    Parameters
    ----------
    n_inputs : int
        Length of a feature vector.
    settings : MeanVarianceSettings
    generator : torch.Generator, optional
        Source of the random start; without it the weights are left unset, to be loaded.
    """

    def __init__(
        self, n_inputs: int, settings: MeanVarianceSettings, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.n_inputs = n_inputs
        self.settings = settings
        self.mean = MLP(n_inputs, settings.mean_settings(), generator)
        self.noise = NoiseNetwork(n_inputs)
        if generator is not None:
            self.noise.initialise(generator)

    def undecayed(self) -> list[nn.Parameter]:
        """Those of the variance: weight decay would pull it towards its value at the start."""
        return list(self.noise.parameters())

    def loss(
        self, x: torch.Tensor, t: torch.Tensor, weight: torch.Tensor, *, n_effective: float, done: float
    ) -> torch.Tensor:
        """Mean square error for the mean, plus the likelihood's loss for the variance alone."""
        square = (self.mean(x) - t).square()
        scatter = gaussian_loss(square.detach(), self.noise(x), weight)
        return (weight * square).mean() + scatter

    @torch.no_grad()
    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Standardised density (m,), float32."""
        return self.mean.predict(x)

    @property
    def knows_uncertainty(self) -> bool:
        """It does."""
        return True

    @torch.no_grad()
    def moments(self, x: torch.Tensor) -> Moments:
        """Mean and aleatoric variance; the epistemic one is zero."""
        mean = self.predict(x)
        return Moments(mean, self.noise(x), torch.zeros_like(mean))

    @property
    def n_layers(self) -> int:
        """Linear layers of the mean, the output's included."""
        return self.mean.n_layers

    def fine_tuned(self, frozen_layers: int) -> "MeanVarianceMLP":
        """A trainable copy, the first layers of its mean fixed; its variance learns on."""
        copy = MeanVarianceMLP(self.n_inputs, self.settings)
        copy.load_tensors(self.tensors())
        copy.mean = self.mean.fine_tuned(frozen_layers)
        return copy
