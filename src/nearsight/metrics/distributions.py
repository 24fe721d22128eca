"""How far two samples of feature vectors are from each other, and how much of one lies outside the other."""

from dataclasses import dataclass

import numpy as np

from nearsight.errors import InputError
from nearsight.metrics.coverage import nearest_distances


def ks_distances(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """The two-sample Kolmogorov–Smirnov distance of each feature, (d,), between 0 and 1.

    The largest difference between the two empirical distribution functions, max |F₁(x) − F₂(x)|.

    Parameters
    ----------
    one : ndarray (m, d), m ≥ 1
    two : ndarray (n, d), n ≥ 1

    Raises
    ------
    InputError
        Shapes that do not fit, or an empty sample.
    """
    _require_alike(one, two)
    return np.array([_ks(a, b) for a, b in zip(one.T, two.T, strict=True)])


def _ks(one: np.ndarray, two: np.ndarray) -> float:
    one, two = np.sort(one), np.sort(two)
    every = np.concatenate([one, two])
    below = [np.searchsorted(sample, every, side="right") / len(sample) for sample in (one, two)]
    return float(np.abs(below[0] - below[1]).max())


@dataclass(frozen=True, eq=False)
class Outside:
    """Points of one sample against those of another that is held out fold by fold.

    Attributes
    ----------
    threshold : float
        The distance that a share `chance` of the small sample's own points exceed.
    chance : float
    small, large : ndarray (m,), (n,)
        Distance of each point to the nearest of the small sample outside its fold.
    """

    threshold: float
    chance: float
    small: np.ndarray
    large: np.ndarray

    @property
    def share(self) -> float:
        """Share of the large sample farther away than `threshold`; `chance` for samples alike."""
        return float((self.large > self.threshold).mean())


def outside(
    small: np.ndarray,
    fold: np.ndarray,
    large: np.ndarray,
    large_fold: np.ndarray,
    *,
    quantile: float = 0.99,
) -> Outside:
    """Nearest distances of two samples to the same references: all of `small` but one fold.

    A point of fold f, of either sample, is compared with the small points of other folds. So both are
    measured against equally many points, and a large sample from the same distribution is outside as
    often as the small one's own points, which are independent of the others if a fold is a snapshot.

    Parameters
    ----------
    small : ndarray (m, d)
        Standardised features.
    fold : ndarray (m,), int
        At least two different numbers.
    large : ndarray (n, d)
    large_fold : ndarray (n,), int
        Which fold's absence each point is measured in: any, evenly.
    quantile : float
        Of the small sample's own distances, beyond which a point is outside.

    Raises
    ------
    InputError
        Shapes that do not fit, one fold only, or a fold of `large_fold` that `fold` does not have.
    """
    _require_alike(small, large)
    folds = np.unique(fold)
    if len(folds) < 2:
        raise InputError("coverage is measured between snapshots and needs at least two of them")
    if not np.isin(large_fold, folds).all():
        raise InputError("every fold of the large sample must be one of the small sample")
    own, other = np.empty(len(small)), np.empty(len(large))
    for f in folds:
        rest = small[fold != f]
        for points, rows, found in ((small, fold == f, own), (large, large_fold == f, other)):
            if rows.any():
                found[rows] = nearest_distances(points[rows], rest)
    return Outside(float(np.quantile(own, quantile)), 1.0 - quantile, own, other)


def _require_alike(one: np.ndarray, two: np.ndarray) -> None:
    if one.ndim != 2 or two.ndim != 2 or one.shape[1] != two.shape[1] or not len(one) or not len(two):
        raise InputError(f"two samples (m, d) and (n, d) are compared, not {one.shape} and {two.shape}")
