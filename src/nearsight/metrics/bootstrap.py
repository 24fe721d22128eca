"""Intervals by bootstrap over whole snapshots.

B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), section 13.3: the percentile interval. What
is drawn are snapshots, never points: neighbouring points of a grid repeat each other, and intervals over
points would be far too narrow.
"""

import numpy as np

from nearsight.errors import InputError

#: resamples of an interval of means
RESAMPLES = 2000
#: share of the resamples inside the interval
CONFIDENCE = 0.95

Interval = tuple[float, float]


def draws(n_snapshots: int, rng: np.random.Generator, resamples: int = RESAMPLES) -> np.ndarray:
    """Snapshots of each resample, with repetition: (resamples, n_snapshots), int64.

    Raises
    ------
    InputError
        No snapshots, or no resamples.
    """
    if n_snapshots < 1 or resamples < 1:
        raise InputError(f"a bootstrap needs snapshots and resamples, not {n_snapshots} and {resamples}")
    return rng.integers(n_snapshots, size=(resamples, n_snapshots))


def percentile_interval(statistics: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """The middle share `confidence` of the statistics of the resamples."""
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(statistics, [tail, 100.0 - tail])
    return float(low), float(high)


def mean_interval(
    values: np.ndarray,
    rng: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Interval | None:
    """Interval of the mean over snapshots; None for one snapshot, of which it would say nothing.

    Parameters
    ----------
    values : ndarray (n_snapshots,)
        One figure a snapshot.
    """
    if len(values) < 2:
        return None
    return percentile_interval(values[draws(len(values), rng, resamples)].mean(axis=1), confidence)
