"""Choosing whole structures before they are labelled: by what their points would teach, or by cover.

`most_informative` is greedy I-optimal design: an epistemic covariance that is linear in a few Gaussian
parameters θ ~ N(0, 1) falls by labelling a structure by an amount that does not depend on the labels
(D. J. C. MacKay, Neural Comput. 4, 590 (1992)), so that a batch is chosen one by one, each knowing what the
earlier ones will have taught (J. Ash, S. Goel, A. Krishnamurthy, S. Kakade, NeurIPS 2021, arXiv:2106.09675).
`farthest_groups` needs the features alone: T. F. Gonzalez, Theor. Comput. Sci. 38, 293 (1985).
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from nearsight.errors import InputError

#: entries of a block of distances
_BLOCK = 1 << 24


@dataclass(frozen=True, eq=False)
class Design:
    """Structures in the order they were chosen.

    Attributes
    ----------
    order : ndarray (n,), int64
        Positions among those offered.
    value : ndarray (n,)
        What each was worth when it was chosen: the fall of the mean epistemic variance, or its distance.
    """

    order: np.ndarray
    value: np.ndarray


def most_informative(information: np.ndarray, n: int, *, target: np.ndarray) -> Design:
    """The structures whose labels lower the mean epistemic variance most, one by one.

    With C the covariance of θ, a point of factor l has the epistemic variance lᵀCl. Labelling a structure
    turns C⁻¹ into C⁻¹ + H, H the sum of l lᵀ over its independent values, each divided by the variance of its
    noise; C is 1 before the first choice.

    Parameters
    ----------
    information : ndarray (n_structures, q, q)
        H of every candidate.
    n : int
    target : ndarray (q, q)
        Mean of l lᵀ over the points that are to be known.

    Raises
    ------
    InputError
        More to choose than there are.
    """
    _require_count(n, len(information))
    goal = np.asarray(target, dtype=np.float64)
    precision, total = np.eye(len(goal)), float(np.trace(goal))
    order: list[int] = []
    value: list[float] = []
    for _ in range(n):
        left = np.full(len(information), np.inf)
        for number in sorted(set(range(len(information))) - set(order)):
            left[number] = _remaining(precision + information[number], goal)
        best = int(np.argmin(left))
        order.append(best)
        value.append(total - float(left[best]))
        total = float(left[best])
        precision = precision + information[best]
    return Design(np.array(order, dtype=np.int64), np.array(value))


def _remaining(precision: np.ndarray, goal: np.ndarray) -> float:
    """Mean epistemic variance tr(C goal) at this precision C⁻¹."""
    factor = cho_factor(precision, lower=True, check_finite=False)
    return float(np.trace(cho_solve(factor, goal, check_finite=False)))


def linear_factors(
    groups: np.ndarray, known: np.ndarray, n_known: float, *, n_directions: int = 128, noise: float = 0.1
) -> np.ndarray:
    """Factors of what is not known of a function that is linear in the features.

    The function's coefficients are independent along the principal directions of the features, of variance
    one; labels of the known points carry noise.

    Parameters
    ----------
    groups : ndarray (n_groups, m, d)
        Standardised features.
    known : ndarray (k, d)
        Those of points that are labelled; may be empty.
    n_known : float
        Independent values behind the known points.
    n_directions : int
        Principal directions kept, at most.
    noise : float
        Variance of a label's noise, over that of the function.

    Returns
    -------
    ndarray (n_groups, m, q), float64
        Their products are the covariances of the function at the points, given the labels.
    """
    rows = groups.reshape(-1, groups.shape[2]).astype(np.float64)
    sizes, directions = np.linalg.eigh(rows.T @ rows / len(rows))
    basis = directions[:, ::-1][:, :n_directions]
    precision = np.eye(basis.shape[1])
    if len(known):
        seen = known @ basis
        precision += n_known / len(known) / (noise * sizes.sum()) * (seen.T @ seen)
    lower = np.linalg.cholesky(precision)
    found = solve_triangular(lower, (rows @ basis).T, lower=True, check_finite=False).T
    return np.asarray(found).reshape(*groups.shape[:2], -1)


def group_distances(groups: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Distance of every point of every group to the nearest known point.

    Parameters
    ----------
    groups : ndarray (n_groups, m, d)
    known : ndarray (k, d)
        At least one.

    Returns
    -------
    ndarray (n_groups, m), float64
        Euclidean, over √d: one is a deviation in every standardised feature.
    """
    n_groups, m, d = groups.shape
    points = groups.reshape(-1, d)
    nearest = np.empty(len(points))
    square = np.einsum("ij,ij->i", known, known, dtype=np.float64)
    step = max(1, _BLOCK // len(known))
    for start in range(0, len(points), step):
        block = points[start : start + step]
        own = np.einsum("ij,ij->i", block, block, dtype=np.float64)
        apart = own[:, None] + square - 2.0 * (block @ known.T)
        nearest[start : start + step] = apart.min(axis=1)
    return np.sqrt(np.maximum(nearest, 0.0) / d).reshape(n_groups, m)


def farthest_groups(
    groups: np.ndarray, n: int, *, known: np.ndarray | None = None, weight: np.ndarray | None = None
) -> Design:
    """The groups of points farthest from all that is known, one by one; the chosen become known.

    A group is as far as its points are on average. Where nothing is known the first is the group closest to
    the others' mean features.

    Parameters
    ----------
    groups : ndarray (n_groups, m, d)
        Standardised features.
    n : int
    known : ndarray (k, d), optional
        Points that are labelled already.
    weight : ndarray (n_groups,), optional
        What a distance is multiplied by, such as an uncertainty.

    Raises
    ------
    InputError
        More to choose than there are.
    """
    _require_count(n, len(groups))
    times = np.ones(len(groups)) if weight is None else weight
    order: list[int] = []
    value: list[float] = []
    if known is None or len(known) == 0:
        first = _most_central(groups)
        order, value = [first], [0.0]
        nearest = group_distances(groups, groups[first])
    else:
        nearest = group_distances(groups, known)
    while len(order) < n:
        worth = nearest.mean(axis=1) * times
        worth[order] = -np.inf
        best = int(np.argmax(worth))
        order.append(best)
        value.append(float(worth[best]))
        nearest = np.minimum(nearest, group_distances(groups, groups[best]))
    return Design(np.array(order, dtype=np.int64), np.array(value))


def _most_central(groups: np.ndarray) -> int:
    means = groups.mean(axis=1, dtype=np.float64)
    return int(np.argmin(((means - means.mean(axis=0)) ** 2).sum(axis=1)))


def _require_count(n: int, available: int) -> None:
    if not 1 <= n <= available:
        raise InputError(f"cannot choose {n} of {available} structures; ask for 1 to {available}")
