"""`BayesianMLP`: a perceptron with a distribution of weights, learned by variational inference.

The posterior of the weights w is approximated by independent Gaussians q that maximise the evidence lower
bound E_q[ln p(data | w)] − KL(q ‖ prior), here with its sign turned and for one of n_effective values:

    loss = E_q ⟨½ (t − μ_w(x))² / s²(x) + ½ ln s²(x)⟩ + T · ramp · KL(q ‖ prior) / n_effective

with the scatter s² of the data learned from the features (`nearsight.networks.noise`). Two things are not the
textbook's and are settings: the temperature T and how the points are weighed (β). See `BayesianSettings`.
"""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from nearsight.errors import InputError
from nearsight.networks.mean_field import MeanFieldLinear, affine, layer_noise
from nearsight.networks.mlp import _ACTIVATIONS, _FIRST_GAIN, MLPSettings
from nearsight.networks.noise import NoiseNetwork, gaussian_loss
from nearsight.networks.protocol import NETWORKS, Moments, require_trainable_layers
from nearsight.networks.trained import TrainedModule
from nearsight.provenance import generator as numpy_generator


@NETWORKS.register("bayesian")
@dataclass(frozen=True)
class BayesianSettings:
    """Shape, prior and inference of a Bayesian perceptron.

    Parameters
    ----------
    width, depth : int
        Units a hidden layer, and number of hidden layers.
    activation : {"gelu", "relu", "silu", "tanh"}
    prior : float
        The prior of every weight and bias is normal with mean zero and this standard deviation, in units of
        √(2/fan-in) in hidden layers (√(1/fan-in) in the last one, and everywhere with tanh): at 1 the size
        of what passes through is kept.
    deviation : float
        Standard deviations of the posterior at the start, in the same units.
    temperature : float
        T, the weight of the KL divergence. With 1 and a few hundred independent values a snapshot the
        divergence of tens of thousands of weights outweighs the data, most weights stay at the prior, and
        the error nearly doubles. A colder posterior is usual (Wenzel et al., arXiv:2002.02405). Error and
        negative log-likelihood on validation snapshots of 32-atom aluminium (12 for training, two seeds)
        were 0.353 % and −2.38 at 0.03, 0.351 % and −2.40 at 0.01, 0.353 % and −2.40 at 0.003. The
        epistemic variance shrinks with T and stands out more where the surroundings are new; its scale is
        for a calibration to settle.
    kl_warmup : float
        Share of the training over which the weight of the divergence rises from zero; weights from this time
        are not kept. A fine-tuned network starts with the full weight.
    beta : float
        0 weighs an error by 1/s²(x), as the likelihood does; 1 weighs all points alike by 1/⟨s²⟩, which
        keeps the mean as good as least squares (Seitzer et al., arXiv:2203.09168); between, s² to that power.
    samples : int
        Networks drawn for the epistemic variance.

    Raises
    ------
    InputError
        A setting outside these.
    """

    name: ClassVar[str] = "bayesian"

    width: int = 128
    depth: int = 3
    activation: Literal["gelu", "relu", "silu", "tanh"] = "gelu"
    prior: float = 1.0
    deviation: float = 0.05
    temperature: float = 0.01
    kl_warmup: float = 0.25
    beta: float = 1.0
    samples: int = 16

    def __post_init__(self) -> None:
        MLPSettings(self.width, self.depth, self.activation)
        for name in ("prior", "deviation", "temperature"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"a Bayesian network's {name} is positive, not {getattr(self, name)}")
        for name in ("kl_warmup", "beta"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"a Bayesian network's {name} lies in 0 … 1, not at {getattr(self, name)}")
        if self.samples < 1:
            raise InputError(f"a Bayesian network needs at least one sample, not {self.samples}")

    @property
    def positive(self) -> bool:
        """Whether the output cannot be negative: it can."""
        return False

    def build(self, n_inputs: int, generator: torch.Generator | None = None) -> "BayesianMLP":
        """A new network, its start drawn from `generator`; without one the weights are unset."""
        return BayesianMLP(n_inputs, self, generator)

    def as_dict(self) -> dict[str, Any]:
        """The fields, with the registered name under ``network``."""
        return {"network": self.name, **asdict(self)}


class BayesianMLP(TrainedModule):
    """Perceptron of `MeanFieldLinear` layers, with a plain network for the scatter of the data.

    Parameters
    ----------
    n_inputs : int
        Length of a feature vector.
    settings : BayesianSettings
    generator : torch.Generator, optional
        Source of the random start, which is that of `MLP`, and of the seed for whatever is drawn later.
        Without it the tensors are left unset, to be loaded.
    """

    seed: torch.Tensor

    def __init__(
        self, n_inputs: int, settings: BayesianSettings, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.n_inputs = n_inputs
        self.settings = settings
        #: share of the training before which its weights are not worth keeping
        self.settles_at = settings.kl_warmup
        sizes = [n_inputs] + [settings.width] * settings.depth
        self.hidden = nn.ModuleList(MeanFieldLinear(a, b) for a, b in pairwise(sizes))
        self.head = MeanFieldLinear(sizes[-1], 1)
        self.noise = NoiseNetwork(n_inputs)
        self.register_buffer("seed", torch.zeros((), dtype=torch.int64))
        self._activation = _ACTIVATIONS[settings.activation]
        if generator is not None:
            self._initialise(generator)

    def _initialise(self, generator: torch.Generator) -> None:
        settings = self.settings
        gain = 1.0 if settings.activation == "tanh" else 2.0
        for number, layer in enumerate(self._layers()):
            last = layer is self.head
            layer.initialise(
                ((1.0 if last else gain) / layer.n_in) ** 0.5,
                start=_FIRST_GAIN if number == 0 and not last else 1.0,
                prior=settings.prior,
                deviation=settings.deviation,
                generator=generator,
            )
        self.noise.initialise(generator)
        self.seed.random_(2**31, generator=generator)

    def _layers(self) -> list[MeanFieldLinear]:
        return [layer for layer in (*self.hidden, self.head) if isinstance(layer, MeanFieldLinear)]

    def undecayed(self) -> list[nn.Parameter]:
        """All of them: the weights have their prior, and a scatter has no use for zero."""
        return list(self.parameters())

    def _generator(self, *keys: str) -> torch.Generator:
        """Random numbers for one purpose, always the same."""
        seed = int(numpy_generator(int(self.seed), *keys).integers(2**32))
        return torch.Generator(device=self.device).manual_seed(seed)

    def loss(
        self, x: torch.Tensor, t: torch.Tensor, weight: torch.Tensor, *, n_effective: float, done: float
    ) -> torch.Tensor:
        """The loss of the module's page, up to a constant; what it draws is settled by seed and `done`.

        Its gradient is that of the formula, its value is not: mean and scatter have a term each, so that the
        weights of one do not follow from the errors of the other.
        """
        settings = self.settings
        square = (self._drawn(x, self._generator("step", repr(done))) - t).square()
        variance = self.noise(x)
        given = variance.detach()
        importance = weight * given.pow(settings.beta - 1) / given.mean().pow(settings.beta)
        fit = 0.5 * (importance * square).mean()
        ramp = min(1.0, done / self.settles_at) if self.settles_at else 1.0
        divergence = sum(layer.divergence() for layer in self._layers())
        scatter = gaussian_loss(square.detach(), variance, weight)
        return fit + scatter + settings.temperature * ramp / n_effective * divergence

    def _drawn(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Outputs (m,) with weights drawn for each row by itself, float32, with gradients."""
        *hidden, head = self._layers()
        noises = layer_noise(len(x), self.settings.width, len(hidden), generator)
        for layer, noise in zip(hidden, noises, strict=True):
            x = self._activation(layer.drawn(x, noise))
        with torch.autocast(x.device.type, enabled=False):
            noise = torch.randn(len(x), 1, device=x.device, generator=generator)
            return head.drawn(x.float(), noise).squeeze(1)

    @torch.no_grad()
    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Standardised density (m,), float32, of the posterior's mean weights: one pass, nothing drawn."""
        *hidden, head = self._layers()
        for layer in hidden:
            x = self._activation(layer(x))
        with torch.autocast(x.device.type, enabled=False):
            y: torch.Tensor = head(x.float()).squeeze(1)
            return y

    @property
    def knows_uncertainty(self) -> bool:
        """It does."""
        return True

    @torch.no_grad()
    def moments(self, x: torch.Tensor) -> Moments:
        """Mean and both variances; the same weights are drawn for every block.

        The epistemic variance is the mean square deviation of the drawn networks from `predict`, not from
        their own mean. The last layer, linear in its weights, is not drawn: its part is known exactly.
        """
        mean = self.predict(x)
        epistemic = torch.zeros_like(mean)
        generator = self._generator("moments")
        *hidden, head = self._layers()
        for _ in range(self.settings.samples if hidden else 1):
            a = x
            for layer in hidden:
                a = self._activation(affine(a, layer.drawn_weights(generator)))
            with torch.autocast(x.device.type, enabled=False):
                a = a.float()
                epistemic += (head(a).squeeze(1) - mean).square() + head.output_variance(a).squeeze(1)
        return Moments(mean, self.noise(x), epistemic / (self.settings.samples if hidden else 1))

    @property
    def n_layers(self) -> int:
        """Layers with weights of their own posterior, the output's included."""
        return len(self._layers())

    def fine_tuned(self, frozen_layers: int) -> "BayesianMLP":
        """A trainable copy whose prior is this posterior; its first layers keep theirs.

        A temperature does not spoil that: both trainings weigh their data with 1/T.
        """
        require_trainable_layers(frozen_layers, self.n_layers)
        copy = BayesianMLP(self.n_inputs, self.settings)
        copy.load_tensors(self.tensors())
        copy.settles_at = 0.0
        for number, layer in enumerate(copy._layers()):
            layer.adopt_posterior_as_prior()
            layer.requires_grad_(number >= frozen_layers)
        return copy
