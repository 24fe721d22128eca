"""Whether errors are larger where σ is: rank correlation, and error in deciles of σ.

A rank correlation of σ and |e| has no fixed best value: a perfect σ that is nearly the same everywhere gives
a small one, because |e| is σ times the size of a normal number. The yardstick is therefore what that very σ
would give if it were perfect, by simulation.
"""

from dataclasses import dataclass

import numpy as np

#: simulations of perfect errors
N_SIMULATIONS = 8


@dataclass(frozen=True)
class Deciles:
    """Tenths of the points in order of σ.

    Attributes
    ----------
    sigma, error : tuple of float
        Mean σ and mean |e| of each, one unit; with few points there are fewer than ten.
    """

    sigma: tuple[float, ...]
    error: tuple[float, ...]

    @property
    def rises(self) -> bool:
        """Whether the mean |e| rises from each to the next."""
        return bool((np.diff(self.error) > 0).all())


def deciles(sigma: np.ndarray, error: np.ndarray) -> Deciles:
    """Mean σ and |e| of tenths of the points (n,); equal σ are parted in the order given."""
    order = np.argsort(sigma, kind="stable")
    parts = np.array_split(order, min(10, len(order)))
    size = np.abs(error)
    return Deciles(
        tuple(float(sigma[part].mean()) for part in parts), tuple(float(size[part].mean()) for part in parts)
    )


class Ranking:
    """Values (n,) in order once, ranked under any number of weightings.

    Parameters
    ----------
    values : ndarray (n,)
    """

    def __init__(self, values: np.ndarray) -> None:
        self._place = np.unique(values, return_inverse=True)[1]

    def ranks(self, weight: np.ndarray) -> np.ndarray:
        """Middle ranks (n,) of values that each come `weight` times; ties share theirs."""
        total = np.bincount(self._place, weights=weight)
        return np.asarray((np.cumsum(total) - 0.5 * total)[self._place])


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's: Pearson's correlation of the ranks, ties sharing theirs; NaN where all x or y are equal."""
    return correlation_of(Ranking(x), Ranking(y), np.ones(len(x)))


def correlation_of(x: Ranking, y: Ranking, weight: np.ndarray) -> float:
    """Rank correlation of points that each come `weight` times."""
    a, b = x.ranks(weight), y.ranks(weight)
    middle = 0.5 * weight.sum()  # the mean rank, whatever the ties
    a, b = a - middle, b - middle
    # einsum, not a threaded product: many short sums follow each other
    squares = float(np.einsum("i,i,i", weight, a, a)) * float(np.einsum("i,i,i", weight, b, b))
    return float(np.einsum("i,i,i", weight, a, b)) / squares**0.5 if squares > 0 else float("nan")


def ideal_rank_correlation(sigma: np.ndarray, rng: np.random.Generator) -> float:
    """What σ would have if it were perfect: its mean rank correlation with |z|σ, z normal."""
    ranking, weight = Ranking(sigma), np.ones(len(sigma))
    perfect = (Ranking(perfect_errors(sigma, rng)) for _ in range(N_SIMULATIONS))
    return float(np.mean([correlation_of(ranking, errors, weight) for errors in perfect]))


def perfect_errors(sigma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sizes of errors that σ would be perfect for: |z|σ, z normal."""
    return np.asarray(np.abs(rng.standard_normal(sigma.shape)) * sigma)
