"""Length, noise and metric of a Gaussian process from the points themselves, on a few of them.

The log marginal likelihood with the amplitude at its best value a² = tᵀ C⁻¹ t / n, where C = K + σ²/w and
σ² is the noise relative to a² (Rasmussen and Williams 2006, eq. 5.8), is −½ n log a² − ½ log det C
and a constant: high where a simple function explains the data, so that it needs no data held out.

The metric says which directions of feature space matter: squared distances are taken with the square root of
the mean outer product of the gradient of a first fit, ⟨∇f ∇fᵀ⟩^½, damped (after Radhakrishnan, Beaglehole,
Pandit, Belkin, Science 383 (2024) 1461).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from nearsight.networks.fit_data import Block
from nearsight.networks.kernels import Kernel, half_squares

#: last step of the search in units of the first (1 in log₂ length, ½ in log₁₀ noise)
_FINEST = 0.25
#: bounds of log₂(length/√d) and log₁₀ noise
_LENGTHS = (-4.0, 8.0)
_NOISES = (-7.0, 1.0)
#: share of the strongest direction's scale that every direction keeps
_DAMPING = 0.1


@dataclass(frozen=True)
class Scale:
    """Length in units of the scaled features, noise variance relative to the amplitude's square."""

    length: float
    noise: float


def log_likelihood(gram: torch.Tensor, t: torch.Tensor, noise: torch.Tensor) -> float:
    """Log marginal likelihood a point, without constants; −inf where `gram` is singular.

    Parameters
    ----------
    gram : Tensor (n, n)
        Covariance at amplitude one; overwritten.
    t, noise : Tensor (n,)
        Target, and noise variance of each point relative to the amplitude's square.
    """
    gram.diagonal().add_(noise)
    factor, failed = torch.linalg.cholesky_ex(gram)
    if int(failed):
        return -math.inf
    whitened = torch.linalg.solve_triangular(factor, t[:, None], upper=False)
    amplitude = whitened.square().mean().clamp(min=1e-300)
    return float(-0.5 * amplitude.log() - factor.diagonal().log().mean())


def choose_scale(
    kernel: Kernel,
    points: Block,
    start: Scale,
    *,
    fixed_length: bool = False,
    fixed_noise: bool = False,
    rough: bool = False,
) -> Scale:
    """Climb the marginal likelihood from `start`, in at most a few dozen steps.

    Parameters
    ----------
    kernel : Kernel
    points : Block
        Scaled features in float64.
    start : Scale
    fixed_length, fixed_noise : bool
        What must stay as it is.
    rough : bool
        Be content with a factor of √2 in length; enough to learn a metric at.
    """
    half, inner = half_squares(points.x, points.x), points.x @ points.x.T
    centre = 0.5 * math.log2(max(1, points.x.shape[1]))

    def value(at: tuple[float, float]) -> float:
        length, noise = at
        within = _LENGTHS[0] <= length - centre <= _LENGTHS[1] or fixed_length
        if not within or not (_NOISES[0] <= noise <= _NOISES[1] or fixed_noise):
            return -math.inf
        gram = kernel.scaled_gram(half, inner, 2.0**length)
        return log_likelihood(gram, points.t, 10.0**noise / points.weight)

    steps = (0.0 if fixed_length else 1.0, 0.0 if fixed_noise else 0.5)
    finest = 0.5 if rough else _FINEST
    length, noise = _climb(value, (math.log2(start.length), math.log10(start.noise)), steps, finest)
    return Scale(start.length if fixed_length else 2.0**length, start.noise if fixed_noise else 10.0**noise)


def _climb(
    value: Callable[[tuple[float, float]], float],
    at: tuple[float, float],
    steps: tuple[float, float],
    finest: float,
) -> tuple[float, float]:
    """Coordinate search with steps that are halved, down to the finest, where none of them leads up."""
    best, share, known = value(at), 1.0, {at}
    while share >= finest:
        for move in ((steps[0], 0.0), (-steps[0], 0.0), (0.0, steps[1]), (0.0, -steps[1])):
            there = (at[0] + share * move[0], at[1] + share * move[1])
            if there not in known:
                known.add(there)
                found = value(there)
                if found > best:
                    best, at = found, there
                    break
        else:
            share /= 2
    return at


def learned_metric(kernel: Kernel, points: Block, metric: torch.Tensor, scale: Scale) -> torch.Tensor:
    """Matrix (d, d) that turns features into those in which distances matter.

    Its columns are the eigenvectors of ⟨∇f ∇fᵀ⟩, each by the fourth root of its eigenvalue, relative to the
    largest, and the damping; f is the fit of `points` in the present `metric` (d, d) at `scale`.
    """
    x = points.x @ metric / scale.length
    gram = kernel.gram(x, x)
    gram.diagonal().add_(scale.noise / points.weight)
    alpha = torch.cholesky_solve(points.t[:, None], torch.linalg.cholesky(gram))[:, 0]
    gradient = kernel.gradient(x, x, alpha) @ metric.T
    values, vectors = torch.linalg.eigh(gradient.T @ (gradient * points.weight[:, None]))
    largest = values[-1]
    if not float(largest) > 0:  # a constant target has no direction that matters
        return metric
    return vectors * ((values / largest).clamp(min=0).pow(0.25) + _DAMPING)


def unit_scale(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Factor () that makes the mean square of a feature one: lengths then mean the same in any metric."""
    square = (weight @ x.square()).mean() / weight.sum()
    return torch.where(square > 0, 1 / square.clamp(min=1e-300).sqrt(), 1.0)
