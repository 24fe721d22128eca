"""Intrinsic dimension of a cloud of features, from the ratio of two distances.

E. Facco, M. d'Errico, A. Rodriguez, A. Laio, Sci. Rep. 7, 12140 (2017): where the density of points is
uniform on the scale of the second neighbour, the ratio μ = r₂/r₁ of the distances to the second and the
first neighbour follows the Pareto law P(μ) = d μ^(−d−1), whatever the density is. The paper fits a line
to its cumulative distribution with the largest tenth of the ratios left out; here the same tenth is
censored in the maximum-likelihood estimate, which has no fit and gives an error bar.
"""

from dataclasses import dataclass

import numpy as np

from nearsight.errors import InputError

#: share of the largest ratios whose size is not believed, only that they are large
DISCARD = 0.1
_BLOCK = 1024


@dataclass(frozen=True)
class IntrinsicDimension:
    """Number of coordinates that would describe the points.

    Attributes
    ----------
    value, standard_error : float
        The error counts ratios as independent and does not know of curvature or noise.
    n : int
        Different points among which neighbours were sought.
    """

    value: float
    standard_error: float
    n: int


def two_nn(
    features: np.ndarray, rng: np.random.Generator, n_sample: int = 8192, *, discard: float = DISCARD
) -> IntrinsicDimension:
    """Intrinsic dimension by TwoNN.

    Parameters
    ----------
    features : ndarray (n, d)
        One point a row; may be a memory map. Points that are equal to another count once: a repetition
        says nothing of the dimension, and would give r₁ = 0.
    rng : numpy.random.Generator
    n_sample : int
        Points drawn without repetition, all where there are fewer; neighbours are sought among them, so
        that fewer points mean a larger scale. Neighbouring points of one grid lie on a sheet of dimension
        three; a sample sparse enough to hold few of them sees the whole cloud.
    discard : float
        Share of the largest ratios that are censored, 0 ≤ discard < 1.

    Returns
    -------
    IntrinsicDimension
        d = (k − 1) / (Σ_{i ≤ k} ln μ_i + (n − k) ln μ_k) with μ ascending and k = (1 − discard) n; its
        relative error is 1/√k.

    Raises
    ------
    InputError
        No table of finite numbers, a share outside its range, or too few different points.
    """
    if features.ndim != 2 or features.shape[1] < 1:
        raise InputError(f"features are a table (n, d), not of shape {features.shape}")
    if not 0 <= discard < 1:
        raise InputError(f"the share of discarded ratios is in [0, 1), not {discard}")
    if len(features) > n_sample:
        features = features[np.sort(rng.choice(len(features), n_sample, replace=False))]
    points = np.unique(np.asarray(features, dtype=np.float64), axis=0)
    if not np.isfinite(points).all():
        raise InputError("the features are not all finite")
    n_used = int(np.ceil((1 - discard) * len(points)))
    if len(points) < 3 or n_used < 2:
        raise InputError(f"TwoNN needs at least three different points, not {len(points)}")
    logs = np.sort(_log_ratios(points))
    total = float(logs[:n_used].sum() + (len(logs) - n_used) * logs[n_used - 1])
    if not total > 0:
        raise InputError(
            "every point has two neighbours at the same distance: points of a lattice have no TwoNN"
        )
    value = (n_used - 1) / total
    return IntrinsicDimension(value, value / float(np.sqrt(n_used)), len(points))


def _log_ratios(points: np.ndarray) -> np.ndarray:
    """ln(r₂/r₁) of each point; products choose the neighbours, differences give the distances."""
    points = points - points.mean(axis=0)
    half = 0.5 * np.einsum("ij,ij->i", points, points)
    logs = np.empty(len(points))
    for start in range(0, len(points), _BLOCK):
        rows = points[start : start + _BLOCK]
        here = np.arange(len(rows))
        gap = half - rows @ points.T
        gap[here, start + here] = np.inf  # a point is not its own neighbour
        two = np.argpartition(gap, 1, axis=1)[:, :2]
        r = np.sort(np.linalg.norm(rows[:, None] - points[two], axis=2), axis=1)
        logs[start + here] = np.log(r[:, 1]) - np.log(r[:, 0])
    return logs
