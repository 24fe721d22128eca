"""How strongly to hold weights back, and how noisy a target is, from the points themselves.

Prior precision α of a linear model by MacKay's fixed point (Neural Computation 4 (1992) 415, sec. 4.3): where
the data has curvature d_k along direction k, γ = Σ d_k/(d_k + α) directions are settled by the data rather
than by the prior, and the evidence is largest where α = γ / ‖θ‖².

Noise as a function of the point by gamma regression: the square of a Gaussian error of variance
exp(a·φ) has the log-likelihood −½(a·φ + e² exp(−a·φ)), which is concave in a, with the Fisher
information ½ φ φᵀ a point (McCullagh and Nelder, Generalized Linear Models, 1989, ch. 8).
"""

from typing import NamedTuple

import torch

#: rounds of a fixed point, and relative change at which it has settled
_ROUNDS, _SETTLED = 200, 1e-6
#: bounds of a prior precision
_WEAKEST, _STRONGEST = 1e-8, 1e12
#: steps of the scoring at one prior, and priors tried
_STEPS, _PRIORS = 20, 12
#: directions of a feature below this share of the largest variance are rounding errors
_KEPT = 1e-10


class Prior(NamedTuple):
    """Precision α of the weights' prior, and how many of them the data settles, γ."""

    precision: float
    settled: float


def prior_by_evidence(curvature: torch.Tensor, weights: torch.Tensor) -> Prior:
    """The prior precision of largest evidence.

    Parameters
    ----------
    curvature : Tensor (p,), float64
        Eigenvalues ≥ 0 of the data's precision matrix.
    weights : Tensor (p,)
        The weights as they were learned, in any rotation.
    """
    curvature, square = curvature.clamp(min=0), float(weights.double().square().sum())
    precision, settled = 1.0, 0.0
    for _ in range(_ROUNDS):
        settled = float((curvature / (curvature + precision)).sum())
        found = min(max(settled / max(square, 1e-300), _WEAKEST), _STRONGEST)
        done = abs(found - precision) <= _SETTLED * precision
        precision = found
        if done:
            break
    return Prior(precision, settled)


def fit_log_variance(
    features: torch.Tensor, squares: torch.Tensor, weight: torch.Tensor, n_effective: float
) -> torch.Tensor:
    """Weights (p + 1,), float64, the offset last, of a log variance that is linear in the features.

    A Gaussian prior on the weights of the decorrelated features holds them back, as strongly as has the
    largest evidence; the offset is free.

    Parameters
    ----------
    features : Tensor (m, p), float64
    squares : Tensor (m,), float64
        Squared errors.
    weight : Tensor (m,), float64
    n_effective : float
        Independent values among the points.
    """
    mass = weight / weight.sum()
    mean = mass @ features
    centred = features - mean
    spread = centred.square().T @ mass
    scale = spread.clamp(min=_KEPT * float(spread.max().clamp(min=1e-300))).sqrt()
    scaled = centred / scale
    curvature, vectors = torch.linalg.eigh(scaled.T @ (scaled * mass[:, None]))
    directions = vectors / scale[:, None]
    scoring = _Scoring(centred @ directions, squares, mass, curvature.clamp(min=0), n_effective)
    slope, offset = scoring.run()
    slope = directions @ slope
    return torch.cat([slope, (offset - mean @ slope).reshape(1)])


class _Scoring:
    """Fisher scoring in features that are decorrelated, so that its matrix is diagonal."""

    def __init__(
        self,
        features: torch.Tensor,
        squares: torch.Tensor,
        mass: torch.Tensor,
        curvature: torch.Tensor,
        n_effective: float,
    ) -> None:
        self._features, self._mass, self._n = features, mass, n_effective
        level = (mass @ squares).clamp(min=1e-300)
        self._squares = squares / level
        self._level = level.log()
        self._curvature = 0.5 * n_effective * curvature

    def run(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Slopes (p,) and offset ()."""
        slope, offset = torch.zeros_like(self._curvature), self._level.new_zeros(())
        precision = 1.0
        for _ in range(_PRIORS):
            slope, offset = self._climb(slope, offset, precision)
            prior = prior_by_evidence(self._curvature, slope)
            if abs(prior.precision - precision) <= 0.05 * precision:
                break
            precision = prior.precision
        return slope, offset + self._level

    def _climb(
        self, slope: torch.Tensor, offset: torch.Tensor, precision: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        value = self._value(slope, offset, precision)
        for _ in range(_STEPS):
            pull = self._mass * (self._squares * torch.exp(-self._log(slope, offset)) - 1)
            gradient = 0.5 * self._n * (pull @ self._features) - precision * slope
            step, shift = gradient / (self._curvature + precision), pull.sum()
            share = 1.0
            while share > 1e-3:
                there = slope + share * step, offset + share * shift
                found = self._value(*there, precision)
                if found >= value:
                    break
                share /= 2
            else:
                return slope, offset
            gained, value = found - value, found
            slope, offset = there
            if gained <= 1e-6 * self._n:
                break
        return slope, offset

    def _log(self, slope: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        return self._features @ slope + offset

    def _value(self, slope: torch.Tensor, offset: torch.Tensor, precision: float) -> float:
        """Log posterior, without constants."""
        log = self._log(slope, offset)
        likelihood = self._mass @ (log + self._squares * torch.exp(-log))
        return float(-0.5 * self._n * likelihood - 0.5 * precision * slope.square().sum())
