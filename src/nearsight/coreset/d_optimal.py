"""`DOptimal`: leverage-score sampling of the features themselves, which needs no network at all.

The ridge leverage τ_i = x_iᵀ (XᵀX + λ)⁻¹ x_i says how much a linear model's fit hangs on point i; sampling
∝ τ with weights 1/π approximates the full least-squares problem (P. Drineas, M. W. Mahoney,
S. Muthukrishnan, SIAM J. Matrix Anal. Appl. 30, 844 (2008); ridge: A. El Alaoui, M. W. Mahoney, NeurIPS
2015), and is the randomised form of D-optimal design, which maximises det XᵀX. With the last layer's
features instead it is `Importance` with ``score="leverage"``.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.linalg import cho_factor, solve_triangular

from nearsight.coreset.columns import feature_blocks, feature_table
from nearsight.coreset.draws import inclusion_probabilities, sample
from nearsight.coreset.protocol import METHODS, Candidates, Selection, checked_count
from nearsight.errors import InputError


@METHODS.register("d_optimal")
@dataclass(frozen=True)
class DOptimal:
    """Sample with chances ∝ u/N + (1 − u) τ_i/Στ, and unbiased weights.

    Parameters
    ----------
    ridge : float
        λ in units of the mean eigenvalue of XᵀX, positive: directions with less variance do not count.
    uniform : float
        Share u in (0, 1] of the uniform distribution, which bounds the weights by 1/u.

    Raises
    ------
    InputError
        A setting outside its range.
    """

    name: ClassVar[str] = "d_optimal"

    ridge: float = 1e-3
    uniform: float = 0.2

    def __post_init__(self) -> None:
        if not self.ridge > 0:
            raise InputError(f"the ridge of leverage scores is positive, not {self.ridge}")
        if not 0 < self.uniform <= 1:
            raise InputError(f"the uniform share of leverage sampling is in (0, 1], not {self.uniform}")

    @property
    def needs(self) -> frozenset[str]:
        """The features."""
        return frozenset({"features"})

    def select(self, candidates: Candidates, n_keep: int, rng: np.random.Generator) -> Selection:
        """See `SelectionMethod.select`."""
        n_keep = checked_count(n_keep, candidates.n_points)
        leverage = ridge_leverage(feature_table(self.name, candidates), self.ridge)
        chance = inclusion_probabilities(leverage, n_keep, self.uniform)
        note = f"effective dimension of the features: {leverage.sum():.1f}"
        return sample(chance, n_keep, rng, weighted=True, notes=(note,))


def ridge_leverage(features: np.ndarray, ridge: float) -> np.ndarray:
    """τ_i = x_iᵀ (XᵀX + λ)⁻¹ x_i of each row, in two passes over blocks.

    Parameters
    ----------
    features : ndarray (n, n_features)
    ridge : float
        λ = ridge · tr(XᵀX)/n_features.

    Returns
    -------
    ndarray (n,)
        In [0, 1]; their sum is the effective dimension Σ s/(s + λ) over the eigenvalues s of XᵀX.
    """
    n_features = features.shape[1]
    gram = np.zeros((n_features, n_features))
    for _, rows in feature_blocks(features):
        wide = rows.astype(np.float64)
        gram += wide.T @ wide
    scale = np.trace(gram) / n_features
    if scale == 0:
        return np.zeros(len(features))
    factor = cho_factor(gram / scale + ridge * np.eye(n_features), lower=True)[0]
    leverage = np.empty(len(features))
    for part, rows in feature_blocks(features):
        half = solve_triangular(factor, rows.T.astype(np.float64), lower=True, check_finite=False)
        leverage[part] = np.einsum("ij,ij->j", half, half) / scale
    return leverage
