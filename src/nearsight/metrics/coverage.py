"""Coverage: how far held-out points are from the nearest point of a coreset.

AUC_pr of H. Zheng, R. Liu, F. Lai, A. Prakash (ICLR 2023, arXiv:2210.15809): let r(p) be the radius at
which balls about the coreset points hold a share p of the data; the area under r(p), 0 ≤ p ≤ 1, is the
mean distance of a data point to the nearest coreset point. Small is good. Distances are Euclidean, in
whatever features are given; the value depends on their number and scale, so only comparisons within one
feature space mean anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nearsight.errors import InputError

#: rows of either set that are compared at a time: a (BLOCK, BLOCK) float32 array of 16 MiB
BLOCK = 2048
#: pairs whose distance is computed in float64 at a time
_PAIRS = 1 << 16
#: of float32: half a unit in the last place of 1, and what may vanish below the smallest normal number
_ROUND, _TINY = 2.0**-24, 1e-37


@dataclass(frozen=True)
class Coverage:
    """Mean distance to the nearest coreset point.

    Attributes
    ----------
    mean : float
        AUC_pr, in units of the features.
    standard_error : float
        Of `mean`, as if held-out points were drawn independently; neighbours on one grid are not, so
        draw them at random from many snapshots.
    n_held_out : int
        Held-out points that the mean is over.
    """

    mean: float
    standard_error: float
    n_held_out: int


def coverage_distance(held_out: np.ndarray, coreset: np.ndarray, *, block: int = BLOCK) -> Coverage:
    """The mean distance from a held-out point to the nearest coreset point, exactly.

    Parameters
    ----------
    held_out : ndarray (m, d), m ≥ 2
    coreset : ndarray (n, d), n ≥ 1
        Both in the same standardised features; either may be a memory map, and is read block by block.
    block : int
        Rows of either set held at a time.

    Raises
    ------
    InputError
        Shapes that do not fit, too few points, or numbers that are not finite.
    """
    held_out, coreset = _checked(held_out, coreset, block)
    distances = nearest_distances(held_out, coreset, block=block)
    error = float(distances.std(ddof=1)) / np.sqrt(len(distances))
    return Coverage(float(distances.mean()), float(error), len(distances))


def estimate_coverage(
    held_out: np.ndarray,
    coreset: np.ndarray,
    rng: np.random.Generator,
    n_sample: int = 4096,
    *,
    block: int = BLOCK,
) -> Coverage:
    """`coverage_distance` over `n_sample` held-out points drawn without repetition; exact where fewer.

    The coreset is always taken whole: a part of it would cover less, and bias the mean upwards.
    """
    if n_sample < 2:
        raise InputError(f"an estimate of the coverage needs at least two points, not {n_sample}")
    if len(held_out) > n_sample:  # in ascending order, for memory maps
        held_out = held_out[np.sort(rng.choice(len(held_out), n_sample, replace=False))]
    return coverage_distance(held_out, coreset, block=block)


def nearest_distances(held_out: np.ndarray, coreset: np.ndarray, *, block: int = BLOCK) -> np.ndarray:
    """The distance of each held-out point to the nearest coreset point, (m,) float64.

    Matrix products in float32 find the candidates: all coreset points that could be nearest, given the
    bound γ_d |x||c| on the rounding error of a product of length d (N. J. Higham, Accuracy and Stability
    of Numerical Algorithms, 2002, section 3.1). Their distances are then computed from differences in
    float64, so that the cancellation in |x|² − 2 x·c + |c|² costs no accuracy.
    """
    centre, norms = _centre_and_norms(coreset, block)
    order = np.argsort(norms, kind="stable")  # blocks of like norms: a tight bound, and some are skipped
    norms = norms[order]
    best = np.full(len(held_out), np.inf)
    for start in range(0, len(held_out), block):
        rows = np.asarray(held_out[start : start + block], dtype=np.float64) - centre
        found = best[start : start + block]
        sizes = np.linalg.norm(rows, axis=1)
        for where in _blocks_by_gap(norms, float(sizes.min()), float(sizes.max()), block):
            if _out_of_reach(norms[where], sizes, found):
                continue
            columns = np.asarray(coreset[order[where]], dtype=np.float64) - centre
            _improve(found, rows, sizes, columns)
    return best


def _improve(found: np.ndarray, rows: np.ndarray, sizes: np.ndarray, columns: np.ndarray) -> None:
    """Lower `found` (in place) by the distances of `rows` to `columns`."""
    half = 0.5 * np.einsum("ij,ij->i", columns, columns)
    # |x − c|² / 2 = |x|²/2 − gain
    gain = rows.astype(np.float32) @ columns.astype(np.float32).T
    gain -= half.astype(np.float32)
    reach = np.sqrt(2.0 * half.max())
    doubt = (rows.shape[1] + 8) * (_ROUND * (sizes * reach + half.max()) + _TINY)
    known = 0.5 * (sizes**2 - found**2)  # a gain below this is farther than what is found already
    least = np.maximum(gain.max(axis=1) - 2.0 * doubt, known - doubt)
    # rounded down, so that no candidate is lost
    least = np.nextafter(least.astype(np.float32), np.float32(-np.inf))
    i, j = np.nonzero(gain >= least[:, None])
    for start in range(0, len(i), _PAIRS):
        ii, jj = i[start : start + _PAIRS], j[start : start + _PAIRS]
        np.minimum.at(found, ii, np.linalg.norm(rows[ii] - columns[jj], axis=1))


def _blocks_by_gap(norms: np.ndarray, low: float, high: float, block: int) -> Iterator[slice]:
    """Blocks of the ascending `norms`, those whose norms are nearest to the range low…high first."""
    slices = [slice(start, start + block) for start in range(0, len(norms), block)]
    gaps = [max(low - norms[s][-1], norms[s][0] - high, 0.0) for s in slices]
    yield from (slices[k] for k in np.argsort(gaps, kind="stable"))


def _out_of_reach(norms: np.ndarray, sizes: np.ndarray, found: np.ndarray) -> bool:
    """Whether |x − c| ≥ ||x| − |c|| says that no row gains from a block."""
    gap = np.maximum(sizes - norms.max(), norms.min() - sizes)
    return bool((gap * (1.0 - 1e-9) > found).all())


def _centre_and_norms(points: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the points and the distance of each to it."""
    starts = range(0, len(points), block)
    centre = np.zeros(points.shape[1])
    for s in starts:
        centre += np.asarray(points[s : s + block], dtype=np.float64).sum(axis=0)
    centre /= len(points)
    if not np.isfinite(centre).all():
        raise InputError("the features of a coreset are not all finite; describe its points again")
    norms = np.concatenate(
        [np.linalg.norm(np.asarray(points[s : s + block], dtype=np.float64) - centre, axis=1) for s in starts]
    )
    return centre, norms


def _checked(held_out: np.ndarray, coreset: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    if held_out.ndim != 2 or coreset.ndim != 2 or held_out.shape[1] != coreset.shape[1]:
        raise InputError(
            f"coverage compares features (m, d) with (n, d), not {held_out.shape} with {coreset.shape}"
        )
    if len(held_out) < 2 or len(coreset) < 1 or held_out.shape[1] < 1:
        raise InputError(
            f"coverage needs two held-out points and a coreset point, not {len(held_out)} and {len(coreset)}"
        )
    if block < 1:
        raise InputError(f"a block is at least one row, not {block}")
    for start in range(0, len(held_out), block):
        if not np.isfinite(held_out[start : start + block]).all():
            raise InputError("the features of the held-out points are not all finite")
    return held_out, coreset
