"""`Importance`: sample more where the gradient is large, and weight the loss so that nothing is biased.

The chance of a point grows with its score, and its loss is divided by that chance (Horvitz and
Thompson, J. Am. Stat. Assoc. 47, 663 (1952)): the weighted loss of the coreset then has the full data's
loss as its mean, with a smaller variance than uniform sampling where the score follows the gradient's
norm (Katharopoulos and Fleuret, ICML 2018). A share of uniform chances bounds the weights.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nearsight.coreset.protocol import METHODS, Selection, checked_count, checked_scores
from nearsight.errors import InputError


@METHODS.register("importance")
@dataclass(frozen=True)
class Importance:
    """Sample without replacement with chances from a mixture of uniform and score.

    Parameters
    ----------
    uniform : float
        Share u in (0, 1] of the uniform distribution: chances ∝ u/N + (1 − u) s_i/Σs. No weight
        exceeds 1/u times what uniform sampling would give. On 32-atom aluminium with 1 % kept and GraNd
        scores 0.2 did best of 0.1, 0.2 and 0.5.

    Notes
    -----
    Systematic sampling in random order (Madow, Ann. Math. Stat. 20, 333 (1949)) takes exactly `n_keep`
    points, none twice, and point i with exactly the chance π_i. Weights are 1/π_i divided by their mean
    over the sample; before that division the weighted sum is unbiased exactly, after it up to O(1/n).
    """

    name: ClassVar[str] = "importance"
    needs_scores: ClassVar[bool] = True

    uniform: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.uniform <= 1:
            raise InputError(f"the uniform share of importance sampling is in (0, 1], not {self.uniform}")

    def select(
        self,
        scores: np.ndarray | None,
        n_keep: int,
        rng: np.random.Generator,
        *,
        n_points: int | None = None,
    ) -> Selection:
        """See `SelectionMethod.select`."""
        chance = inclusion_probabilities(checked_scores(self.name, scores), n_keep, self.uniform)
        indices = systematic_sample(chance, n_keep, rng)
        weights = 1.0 / chance[indices]
        return Selection(indices, weights / weights.mean())


def inclusion_probabilities(scores: np.ndarray, n_keep: int, uniform: float) -> np.ndarray:
    """Chance π_i of each point to be among `n_keep`: min(1, c p_i), adding up to `n_keep`.

    Parameters
    ----------
    scores : ndarray (n,)
        Non-negative.
    n_keep : int
    uniform : float
        Share of the uniform distribution in p.

    Returns
    -------
    ndarray (n,)
        In (0, 1].
    """
    n_keep = checked_count(n_keep, len(scores))
    even = np.full(len(scores), 1 / len(scores))
    total = scores.sum()
    p = uniform * even + (1 - uniform) * (scores / total if total > 0 else even)
    certain = np.zeros(len(p), dtype=bool)
    while True:
        # points whose share exceeds one are taken surely; the rest divide what is left
        scale = (n_keep - certain.sum()) / p[~certain].sum() if not certain.all() else 0.0
        over = ~certain & (p * scale >= 1)
        if not over.any():
            return np.where(certain, 1.0, p * scale)
        certain |= over


def systematic_sample(chance: np.ndarray, n_keep: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of `n_keep` points, none twice, point i with the chance `chance[i]`.

    The chances, in random order, are laid end to end along [0, n_keep]; the point on which each of the
    ticks u, u + 1, … falls is taken, u uniform in [0, 1).
    """
    order = rng.permutation(len(chance))
    ticks = np.arange(n_keep)
    at = np.searchsorted(np.cumsum(chance[order]), ticks + rng.random(), side="right")
    # rounding of the sum could let two ticks fall on one point of chance one, or the last beyond the end
    at = np.maximum.accumulate(at - ticks) + ticks
    return order[np.minimum(at, len(order) - n_keep + ticks)]
