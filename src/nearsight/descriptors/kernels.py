"""Compiled kernels that every descriptor shares: blocks of neighbouring points and their atoms.

Points are handled in blocks of `LANES` consecutive points. The atoms near a block are gathered once,
and arithmetic can run over the lanes of the block, which the compiler turns into vector
instructions. A block is closed early where consecutive points are far apart, so that points in no
particular order stay correct and merely cost more.

Kernels are compiled on first use and cached beside the package, or in the user's cache directory
where the package is installed read-only. They run on one thread and release the GIL.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from nearsight.neighbours import CellList

#: points a block holds; one 512-bit register of float32
LANES = 16


class Bins(NamedTuple):
    """The arrays of a `CellList`, as kernels take them."""

    cutoff: float
    inverse: np.ndarray
    margin: np.ndarray
    n_bins: np.ndarray
    bin_width: np.ndarray
    bin_start: np.ndarray
    positions: np.ndarray

    @classmethod
    def of(cls, cells: CellList) -> "Bins":
        """The arrays of a cell list."""
        return cls(*(getattr(cells, name) for name in cls._fields))


@njit(cache=True, nogil=True)
def block_end(points, start, reach):  # type: ignore[no-untyped-def]
    """One past the last point of the block that begins at `start`.

    A block holds at most `LANES` points, all within `reach` (bohr) of its first one.
    """
    end = start + 1
    last = min(start + LANES, points.shape[0])
    while end < last:
        dx = points[end, 0] - points[start, 0]
        dy = points[end, 1] - points[start, 1]
        dz = points[end, 2] - points[start, 2]
        if dx * dx + dy * dy + dz * dz > reach * reach:
            break
        end += 1
    return end


@njit(cache=True, nogil=True)
def count_blocks(points, reach):  # type: ignore[no-untyped-def]
    """How many blocks the points make in the order given."""
    start, count = 0, 0
    while start < points.shape[0]:
        start = block_end(points, start, reach)
        count += 1
    return count


@njit(cache=True, nogil=True)
def enclose(points, start, end, centre):  # type: ignore[no-untyped-def]
    """Set `centre` to the mean of a block's points; return their largest distance from it."""
    for k in range(3):
        centre[k] = 0.0
        for p in range(start, end):
            centre[k] += points[p, k] / (end - start)
    largest = 0.0
    for p in range(start, end):
        dx, dy, dz = points[p, 0] - centre[0], points[p, 1] - centre[1], points[p, 2] - centre[2]
        largest = max(largest, dx * dx + dy * dy + dz * dz)
    return np.sqrt(largest)


@njit(cache=True, nogil=True)
def bin_range(points, start, end, bins, low, high):  # type: ignore[no-untyped-def]
    """First and last bin along each cell vector in which the neighbours of a block can lie."""
    for k in range(3):
        smallest, largest = np.inf, -np.inf
        for p in range(start, end):
            f = 0.0
            for x in range(3):
                f += points[p, x] * bins.inverse[x, k]
            smallest, largest = min(smallest, f), max(largest, f)
        # the list starts at −margin, and a neighbour is at most one margin away
        low[k] = max(0, int(np.floor(smallest / bins.bin_width[k])))
        high[k] = min(bins.n_bins[k] - 1, int(np.floor((largest + 2 * bins.margin[k]) / bins.bin_width[k])))


@njit(cache=True, nogil=True)
def fill_found(bins, low, high, centre, limit, found):  # type: ignore[no-untyped-def]
    """List the images within `limit` of `centre`, in the order of the cell list; return how many.

    Counts on, without storing, where `found` is too small.
    """
    count = 0
    for i in range(low[0], high[0] + 1):
        for j in range(low[1], high[1] + 1):
            row = (i * bins.n_bins[1] + j) * bins.n_bins[2]
            # bins along the third vector follow each other in memory
            for image in range(bins.bin_start[row + low[2]], bins.bin_start[row + high[2] + 1]):
                dx = bins.positions[image, 0] - centre[0]
                dy = bins.positions[image, 1] - centre[1]
                dz = bins.positions[image, 2] - centre[2]
                if dx * dx + dy * dy + dz * dz < limit * limit:
                    if count < found.shape[0]:
                        found[count] = image
                    count += 1
    return count


@njit(cache=True, nogil=True)
def gather(points, start, end, bins, found):  # type: ignore[no-untyped-def]
    """The images within the cut-off of a sphere around a block: how many, and the list that holds them.

    The list is `found`, or a longer one where that is too small.
    """
    low, high, centre = np.empty(3, np.int64), np.empty(3, np.int64), np.empty(3)
    limit = bins.cutoff + enclose(points, start, end, centre)
    bin_range(points, start, end, bins, low, high)
    count = fill_found(bins, low, high, centre, limit, found)
    if count > found.shape[0]:
        found = np.empty(2 * count, dtype=np.int64)
        fill_found(bins, low, high, centre, limit, found)
    return count, found
