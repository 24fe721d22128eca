"""Choosing whole structures before they are labelled: by what their points would teach, or by cover.

`most_informative` is greedy I-optimal design: an epistemic covariance that is linear in a few Gaussian
parameters θ ~ N(0, 1) falls by labelling a structure by an amount that does not depend on the labels
(D. J. C. MacKay, Neural Comput. 4, 590 (1992)), so that a batch is chosen one by one, each knowing what the
earlier ones will have taught (J. Ash, S. Goel, A. Krishnamurthy, S. Kakade, NeurIPS 2021, arXiv:2106.09675).
`covering_groups` needs the features alone: greedy k-median of all points.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

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
        What each was worth when it was chosen: the fall of the mean epistemic variance, or distance.
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


def covering_groups(
    groups: np.ndarray,
    n: int,
    *,
    known: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    n_targets: int = 3000,
) -> Design:
    """The groups that bring all points nearest to what is known, one by one; the chosen become known.

    Each choice lowers the mean distance of all points to the nearest known one most: greedy k-median, within
    63 % of the largest fall there is (G. L. Nemhauser, L. A. Wolsey, M. L. Fisher, Math. Program. 14, 265
    (1978)).

    Parameters
    ----------
    groups : ndarray (n_groups, m, d)
        Features on one scale.
    n : int
    known : ndarray (k, d), optional
        Points that are labelled already.
    weight : ndarray (n_groups, m), optional
        What the distance of a point counts, such as its uncertainty.
    n_targets : int
        So many points stand for all.

    Raises
    ------
    InputError
        More to choose than there are.
    """
    _require_count(n, len(groups))
    d = groups.shape[2]
    total = groups.shape[0] * groups.shape[1]
    # any would do, as long as they are no pattern of groups and points
    which = np.sort(np.random.default_rng(0).permutation(total)[:n_targets])
    targets = groups.reshape(-1, d)[which]
    counts = np.ones(len(which)) if weight is None else weight.reshape(-1)[which]
    counts = counts / max(counts.sum(), np.finfo(float).tiny)
    each = np.stack([group_distances(targets[None], group)[0] for group in groups], axis=1)
    if known is None or len(known) == 0:
        nearest = each.max(axis=1)
    else:
        nearest = group_distances(targets[None], known)[0]
    order: list[int] = []
    value: list[float] = []
    for _ in range(n):
        fall = counts @ np.maximum(nearest[:, None] - each, 0.0)
        fall[order] = -np.inf
        best = int(np.argmax(fall))
        order.append(best)
        value.append(float(fall[best]))
        nearest = np.minimum(nearest, each[:, best])
    return Design(np.array(order, dtype=np.int64), np.array(value))


def _require_count(n: int, available: int) -> None:
    if not 1 <= n <= available:
        raise InputError(f"cannot choose {n} of {available} structures; ask for 1 to {available}")
