"""`GaussianProcess`: exact on a small coreset, inducing points beyond.

The mean of the process given the data is Σ_j k(x, x_j) α_j with (K + σ²/w) α = t: the exact kernel method
(Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, alg. 2.1), here with the noise σ²
relative to the squared amplitude and a point's weight in the loss as so many repetitions of it. Beyond
`max_exact` points the same is done with m inducing points, the deterministic training conditional
(Quiñonero-Candela and Rasmussen, JMLR 6 (2005) 1939): (σ² K_mm + K_mn w K_nm) α = K_mn w t,
summed block by block.

The epistemic variance is that of the process given the data, the aleatoric one the noise σ² times the squared
amplitude, both by the marginal likelihood. Points count as `FitData.n_effective` says: many neighbouring
grid points do not settle what a few would not.

Fits run in float64. A prediction with the default kernel is a float32 product and exponential a block, with
others float64; see `Kernel.sum` for what keeps its digits.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch

from nearsight.errors import InputError
from nearsight.networks.fit_data import Block, FitData
from nearsight.networks.gaussian_solve import InducingFit, solve_exact
from nearsight.networks.kernels import Centres, Kernel, KernelName
from nearsight.networks.likelihood import Scale, choose_scale, learned_metric, unit_scale
from nearsight.networks.protocol import NETWORKS, Moments, NetworkSettings
from nearsight.networks.stored import StoredNetwork, require_shapes

#: where the search starts: length relative to √d, noise; close to what many densities end with
_START = (4.0, 3e-4)
#: kernel values worked on at a time: they stay in the processor's cache
_CACHED = 1 << 19


@NETWORKS.register("gaussian_process")
@dataclass(frozen=True)
class GaussianProcessSettings:
    """A Gaussian process, fitted by linear algebra.

    Parameters
    ----------
    kernel : {"rbf", "matern52", "linear", "linear+rbf"}
    length : float, optional
        Distance of standardised features (√ of summed squared differences) over which densities are alike;
        in a learned metric the features are first scaled to the same mean square. Chosen by marginal
        likelihood unless given.
    noise : float, optional
        Variance of what the features cannot tell, relative to the amplitude's square; chosen likewise.
    metric_rounds : int
        How often the metric is learned anew; 0 keeps plain distances of standardised features.
    choose_on : int
        Random points on which length and noise are chosen, in a few dozen trials.
    metric_on : int
        Random points from which each round learns the metric, in one fit.
    max_exact : int
        Points up to which the fit is exact. It may be 10,000 (half a minute, 2 GB), but a prediction asks all
        of them, and on aluminium 1,000 inducing points lose nothing against 10,000 exact ones.
    inducing : int
        Inducing points, drawn at random, beyond that; also those that carry the variance.
    store_variance : bool
        Keep what `GaussianProcess.moments` needs: 8 · `inducing`² bytes at most.

    Raises
    ------
    InputError
        A setting outside these.
    """

    name: ClassVar[str] = "gaussian_process"

    kernel: KernelName = "rbf"
    length: float | None = None
    noise: float | None = None
    metric_rounds: int = 2
    choose_on: int = 1000
    metric_on: int = 4000
    max_exact: int = 4000
    inducing: int = 2000
    store_variance: bool = False

    def __post_init__(self) -> None:
        Kernel(self.kernel)
        for name in ("length", "noise", "choose_on", "metric_on", "max_exact", "inducing"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"{name} of a Gaussian process must be positive, not {value}")
        if self.metric_rounds < 0:
            raise InputError(f"metric_rounds must not be negative, as {self.metric_rounds} is")

    @property
    def positive(self) -> bool:
        """Whether the output cannot be negative."""
        return False

    def build(self, n_inputs: int, generator: torch.Generator | None = None) -> "GaussianProcess":
        """A process that knows no point and gives zero, to be filled; `generator` has no say."""
        return GaussianProcess(n_inputs, self)

    def fit(self, data: FitData, *, generator: torch.Generator) -> "GaussianProcess":
        """The process given `data`.

        Raises
        ------
        ConvergenceError
            The covariance is singular to double precision: the noise is too small.
        """
        kernel = Kernel(self.kernel)
        metric, scale = self._choose(data, generator)
        metric = metric / scale.length
        exact = len(data) <= self.max_exact
        chosen = data.take(data.sample(len(data) if exact else self.inducing, generator))
        # rounded now, so that the fit sees the very centres that a prediction will
        centres = (chosen.x.double() @ metric).float().double()
        basis = None
        if self.store_variance or not exact:
            few = torch.randperm(len(centres), generator=generator)[: self.inducing].sort().values
            basis = InducingFit.of(kernel, centres[few.to(data.device)], data, metric, scale.noise)
        network = GaussianProcess(data.n_inputs, self).to(data.device)
        if exact:
            network.fill(metric, centres, solve_exact(kernel, centres, chosen, scale.noise))
        elif basis is not None:
            network.fill(metric, basis.centres, basis.alpha)
        if self.store_variance and basis is not None:
            independent = len(data) if data.n_effective is None else min(data.n_effective, len(data))
            network.fill_variance(basis, independent / len(data))
        network.notes = {**asdict(scale), "centres": len(centres), "exact": exact}
        return network

    def _choose(self, data: FitData, generator: torch.Generator) -> tuple[torch.Tensor, Scale]:
        """The metric (d, d) and what length and noise are best in it."""
        kernel, d = Kernel(self.kernel), data.n_inputs
        points = _double(data.take(data.sample(self.choose_on, generator)))
        many = _double(data.take(data.sample(self.metric_on, generator))) if self.metric_rounds else points
        start = Scale(self.length or _START[0] * d**0.5, self.noise or _START[1])
        held = {"fixed_length": self.length is not None, "fixed_noise": self.noise is not None}
        metric = torch.eye(d, dtype=torch.float64, device=data.device)
        for number in range(self.metric_rounds + 1):
            if self.metric_rounds:
                metric = metric * unit_scale(points.x @ metric, points.weight)
            rough = number < self.metric_rounds
            start = choose_scale(kernel, points._replace(x=points.x @ metric), start, **held, rough=rough)
            if rough:
                metric = learned_metric(kernel, many, metric, start)
        return metric, start

    def as_dict(self) -> dict[str, Any]:
        """The fields, with the registered name under ``network``."""
        return {"network": self.name, **asdict(self)}


def _double(block: Block) -> Block:
    return block._replace(x=block.x.double())


class GaussianProcess(StoredNetwork):
    """The mean of a process given its data, and its variance where that was asked for.

    Parameters
    ----------
    n_inputs : int
    settings : GaussianProcessSettings
    """

    def __init__(self, n_inputs: int, settings: GaussianProcessSettings) -> None:
        self.settings: NetworkSettings = settings
        self._kernel = Kernel(settings.kernel)
        single, double = torch.float32, torch.float64
        tensors = {
            "metric": torch.zeros(n_inputs, n_inputs, dtype=double),
            "centres": torch.zeros(0, n_inputs, dtype=single),
            "alpha": torch.zeros(0, dtype=double),
        }
        if settings.store_variance:
            tensors |= {
                "variance.centres": torch.zeros(0, n_inputs, dtype=single),
                "variance.factor": torch.zeros(0, 0, dtype=double),
                "variance.amplitude": torch.ones(1, dtype=double),
                "variance.noise": torch.zeros(1, dtype=double),
            }
        super().__init__(n_inputs, tensors)

    def fill(self, metric: torch.Tensor, centres: torch.Tensor, alpha: torch.Tensor) -> None:
        """Metric (d, d) with the length in it, centres (m, d) scaled by it, and weights (m,), in float64."""
        found = {"metric": metric, "centres": centres.float(), "alpha": alpha}
        self._tensors |= {name: t.contiguous() for name, t in found.items()}

    def fill_variance(self, basis: InducingFit, independent: float) -> None:
        """What `moments` needs; `independent` is the share of the points that count as independent."""
        self._tensors["variance.centres"] = basis.centres.float()
        self._tensors["variance.factor"] = basis.reduction(independent)
        self._tensors["variance.amplitude"] = basis.square_amplitude.reshape(1)
        self._tensors["variance.noise"] = basis.square_amplitude.reshape(1) * basis.noise

    @torch.no_grad()
    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Standardised density (m,), float32."""
        with torch.autocast(x.device.type, enabled=False):
            centres = Centres(self._tensors["centres"], self._tensors["alpha"])
            scaled = x.double() @ self._tensors["metric"]
            parts = [self._kernel.sum(z, centres) for z in torch.split(scaled, self._rows("centres"))]
            return torch.cat(parts).float()

    @property
    def knows_uncertainty(self) -> bool:
        """Whether it was fitted with ``store_variance``."""
        return len(self._tensors.get("variance.centres", ())) > 0

    @torch.no_grad()
    def moments(self, x: torch.Tensor) -> Moments:
        """Mean, noise, and variance of the process given the data (m,), float32.

        Raises
        ------
        InputError
            The process was fitted without ``store_variance``.
        """
        if not self.knows_uncertainty:
            raise InputError("this Gaussian process keeps no variance; fit it with store_variance: true")
        mean = self.predict(x)
        noise = self._tensors["variance.noise"].float().expand(len(x)).clone()
        return Moments(mean, noise, self._variance(x))

    def _variance(self, x: torch.Tensor) -> torch.Tensor:
        """Variance (m,), float32, of the standardised density given the data, noise not included."""
        own = self._tensors
        with torch.autocast(x.device.type, enabled=False):
            centres = own["variance.centres"].double()
            parts = []
            for z in torch.split(x.double() @ own["metric"], self._rows("variance.centres")):
                known = (self._kernel.gram(z, centres) @ own["variance.factor"].T).square().sum(1)
                parts.append((self._kernel.diagonal(z) - known).clamp(min=0))
            return (torch.cat(parts) * own["variance.amplitude"]).float()

    def load_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """As `StoredNetwork.load_tensors`; a file written before noise was stored states none."""
        if "variance.factor" in tensors and "variance.noise" not in tensors:
            tensors = {**tensors, "variance.noise": torch.zeros(1, dtype=torch.float64)}
        super().load_tensors(tensors)

    def _rows(self, centres: str) -> int:
        """Rows whose covariances with all centres stay in the cache."""
        return max(64, _CACHED // max(1, len(self._tensors[centres])))

    def _check_shapes(self, tensors: Mapping[str, torch.Tensor]) -> None:
        d, m = self.n_inputs, len(tensors["centres"])
        require_shapes(tensors, {"metric": (d, d), "centres": (m, d), "alpha": (m,)})
        if "variance.factor" in tensors:
            rank, m = tensors["variance.factor"].shape
            require_shapes(tensors, {"variance.factor": (rank, m), "variance.centres": (m, d)})
            require_shapes(tensors, {"variance.amplitude": (1,), "variance.noise": (1,)})
