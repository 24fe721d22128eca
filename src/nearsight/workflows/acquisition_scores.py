"""What acquisition knows of structures that nobody has labelled: features of random points, and σ there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from nearsight.descriptors.protocol import Descriptor
from nearsight.errors import InputError
from nearsight.model.calibration import Calibration
from nearsight.model.density_model import DensityModel
from nearsight.networks.ensemble import Ensemble
from nearsight.networks.protocol import Network, UncertainNetwork
from nearsight.progress import Progress, silent
from nearsight.provenance import generator
from nearsight.structure import Structure
from nearsight.workflows.material import INDEPENDENT_VOLUME


@runtime_checkable
class LinearPosterior(Network, Protocol):
    """A network whose epistemic part is linear in Gaussian weights, as `last_layer`."""

    @property
    def precision(self) -> torch.Tensor:
        """Posterior precision (p, p), float64."""
        ...

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What the weights multiply, (m, p)."""
        ...


@runtime_checkable
class SampledNetwork(Network, Protocol):
    """A network that draws whole functions from its posterior."""

    def draws(self, x: torch.Tensor, n: int) -> torch.Tensor:
        """Standardised densities (n, m): each row one function, the same ones at each call."""
        ...


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Epistemic uncertainty at the points of structures, and what labels there would be worth.

    Attributes
    ----------
    sigma : ndarray (n_structures, m)
        Standard deviation, e/bohr³.
    factors : ndarray (n_structures, m, q) or None
        Their products are the covariances of the points, (e/bohr³)²; None where the model knows no joint
        distribution, or one of too few parameters to tell structures apart.
    share : ndarray (n_structures, m)
        Independent values that a point stands for, over the variance of the noise, (e/bohr³)⁻².
    """

    sigma: np.ndarray
    factors: np.ndarray | None
    share: np.ndarray

    @property
    def rms(self) -> np.ndarray:
        """Root of the mean variance of each structure, (n_structures,), e/bohr³."""
        return np.sqrt((self.sigma**2).mean(axis=1))


def random_features(
    descriptor: Descriptor,
    structures: Sequence[Structure],
    n_points: int,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> np.ndarray:
    """Features at points drawn uniformly in each cell: (n_structures, n_points, n_features), float32.

    The points of a structure depend on the seed and the structure alone.

    Raises
    ------
    UnknownElementError
        An atom that the descriptor does not know.
    """
    found = np.empty((len(structures), n_points, descriptor.n_features), dtype=np.float32)
    for number, structure in enumerate(structures):
        progress("describing structures", number, len(structures))
        rng = generator(seed, "acquire", structure.digest())
        found[number] = descriptor.prepare(structure)(rng.random((n_points, 3)) @ structure.cell)
    progress("describing structures", len(structures), len(structures))
    return found


def require_uncertainty(model: DensityModel) -> UncertainNetwork:
    """The network of a model that knows how sure it is.

    Raises
    ------
    InputError
        It does not.
    """
    network = model.network
    if not (isinstance(network, UncertainNetwork) and network.knows_uncertainty):
        raise InputError(
            f"a model of kind '{network.settings.name}' states no uncertainty to rank structures by; use "
            "--by coverage, or train one with network: {name: last_layer}, bayesian or ensemble"
        )
    return network


def uncertainty_at(model: DensityModel, features: np.ndarray, volumes: np.ndarray) -> Uncertainty:
    """Epistemic uncertainty of a model at points of structures.

    Parameters
    ----------
    model : DensityModel
    features : ndarray (n_structures, m, n_features)
        As the descriptor gave them.
    volumes : ndarray (n_structures,)
        Of the cells, bohr³: a structure holds volume/9 independent values.

    Raises
    ------
    InputError
        The model states no uncertainty.
    """
    network = require_uncertainty(model)
    calibration, scale = Calibration.from_dict(model.calibration), model.target.scale
    sigma, noise = np.empty(features.shape[:2]), np.empty(features.shape[:2])
    factors = []
    for number, points in enumerate(features):
        x = torch.from_numpy((points - model.scaler.mean) / model.scaler.std).to(network.device)
        moments = network.moments(x)
        variances = calibration.apply(moments.aleatoric.cpu().numpy(), moments.epistemic.cpu().numpy())
        noise[number], sigma[number] = scale**2 * variances.aleatoric, scale * np.sqrt(variances.epistemic)
        if (factor := epistemic_factors(network, x)) is not None:
            factors.append(scale * np.sqrt(calibration.epistemic) * factor.cpu().numpy())
    n_effective = np.asarray(volumes)[:, None] / INDEPENDENT_VOLUME
    share = n_effective / (features.shape[1] * _noise(noise, sigma))
    return Uncertainty(sigma, np.stack(factors) if factors else None, share)


def _noise(noise: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Variance of the noise at each point.

    A model that states none is taken to be as uncertain of a label as of its own prediction on average.
    """
    if (noise > 0).all():
        return noise
    return np.full_like(noise, max(float((sigma**2).mean()), np.finfo(float).tiny))


#: functions drawn from a posterior; fewer parameters than these do not tell the structures of a batch apart
_DRAWS, _FEWEST = 64, 16


@torch.no_grad()
def epistemic_factors(network: Network, x: torch.Tensor) -> torch.Tensor | None:
    """Factors l (m, q) whose products are the epistemic covariances of the points, standardised units.

    None for a network that gives no joint distribution, or one of too few parameters.
    """
    if isinstance(network, LinearPosterior):
        lower = torch.linalg.cholesky(network.precision)
        right = network.features(x).to(lower.dtype).T
        return torch.linalg.solve_triangular(lower, right, upper=False).T
    if isinstance(network, SampledNetwork):
        drawn = network.draws(x, _DRAWS).double()
    elif isinstance(network, Ensemble) and len(network.members) >= _FEWEST:
        drawn = torch.stack([member.predict(x) for member in network.members]).double()
    else:
        return None
    return ((drawn - drawn.mean(dim=0)) / (len(drawn) - 1) ** 0.5).T
