"""Sampling without replacement: exact counts, stated chances, unbiased weights.

Chances are shares of a budget, capped at one; systematic sampling honours them exactly. Quotas are the
same for strata, whose caps are their sizes.
"""

import numpy as np

from nearsight.coreset.protocol import Selection, checked_count


def inclusion_probabilities(scores: np.ndarray, n_keep: int, uniform: float) -> np.ndarray:
    """Chance π_i of each point to be among `n_keep`: min(1, c p_i), adding up to `n_keep`.

    Parameters
    ----------
    scores : ndarray (n,)
        Non-negative.
    n_keep : int
    uniform : float
        Share of the uniform distribution in p = u/n + (1 − u) s/Σs, in [0, 1].

    Returns
    -------
    ndarray (n,)
        In [0, 1], and positive where `uniform` is.
    """
    n_keep = checked_count(n_keep, len(scores))
    top = scores.max()
    scaled = scores / top if top > 0 else np.ones(len(scores))  # so that the sum cannot overflow
    p = uniform / len(scores) + (1 - uniform) * scaled / scaled.sum()
    if np.count_nonzero(p) <= n_keep:  # all that may be taken are taken; chance decides on the rest
        rest = p == 0
        return np.where(rest, (n_keep - (~rest).sum()) / max(rest.sum(), 1), 1.0)
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
    ticks u, u + 1, … falls is taken, u uniform in [0, 1) (Madow, Ann. Math. Stat. 20, 333 (1949)).
    """
    order = rng.permutation(len(chance))
    ticks = np.arange(n_keep)
    at = np.searchsorted(np.cumsum(chance[order]), ticks + rng.random(), side="right")
    # rounding of the sum could let two ticks fall on one point of chance one, or the last beyond the end
    at = np.maximum.accumulate(at - ticks) + ticks
    return order[np.minimum(at, len(order) - n_keep + ticks)]


def sample(
    chance: np.ndarray,
    n_keep: int,
    rng: np.random.Generator,
    *,
    weighted: bool,
    notes: tuple[str, ...] = (),
) -> Selection:
    """`systematic_sample` as a selection, with weights ∝ 1/chance of mean one where they are wanted.

    Before the division by their mean weighted sums are unbiased exactly, after it up to O(1/n)
    (Horvitz and Thompson, J. Am. Stat. Assoc. 47, 663 (1952)).
    """
    indices = systematic_sample(chance, n_keep, rng)
    if not weighted:
        return Selection(indices, notes=notes)
    weights = 1.0 / chance[indices]
    return Selection(indices, weights / weights.mean(), notes=notes)


def quotas(shares: np.ndarray, sizes: np.ndarray, n_keep: int) -> np.ndarray:
    """Whole numbers in proportion to `shares`, between one and `sizes`, that add up to `n_keep`.

    Parameters
    ----------
    shares : ndarray (k,)
        Positive.
    sizes : ndarray (k,)
        Caps, at least one each.
    n_keep : int
        From k to the sum of the sizes.

    Returns
    -------
    ndarray (k,), int64
        Largest remainders of clip(c·shares, 1, sizes), c such that it adds up to `n_keep`.
    """
    low, high = 0.0, 2.0 * n_keep / float((shares / shares.sum()).min())
    share = shares / shares.sum()
    for _ in range(200):  # the sum grows with c; bisect to the last bit
        middle = 0.5 * (low + high)
        low, high = (middle, high) if np.clip(middle * share, 1, sizes).sum() < n_keep else (low, middle)
    exact = np.clip(high * share, 1, sizes)
    quota = np.floor(exact + 1e-9).astype(np.int64)
    remainder = np.where(quota < sizes, exact - quota, -np.inf)
    quota[np.argsort(-remainder, kind="stable")[: max(0, n_keep - int(quota.sum()))]] += 1
    return quota
