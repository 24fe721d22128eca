"""Compiled kernels of the superposition; `reference.py` is their plain twin.

They hold no lock and start no threads: callers give each thread a slab of planes or a block of points.
"""

import math

import numba
import numpy as np

_FAST = {"contract", "arcp"}


@numba.njit(inline="always", cache=True)
def value_at(d2, inverse_step, start, coefficients):  # type: ignore[no-untyped-def]
    """A species' density at squared distance d2, by Horner's rule on its interval."""
    t = math.sqrt(d2) * inverse_step
    i = int(t)
    t -= i
    c = coefficients[start + i]
    return c[0] + t * (c[1] + t * (c[2] + t * c[3]))


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def scatter(  # type: ignore[no-untyped-def]
    first, last, centres, kinds, steps, reach, cutoff, inverse_step, start, coefficients, out
):
    """Add every atom to planes first … last-1 of a grid, atom by atom in the order given.

    centres (n_atoms, 3) and reach (n_species, 3) are in grid steps; steps (3, 3) holds the vectors
    between neighbouring points in bohr, one a row.
    """
    n1, n2, n3 = out.shape
    c = steps[2]
    cc = c[0] * c[0] + c[1] * c[1] + c[2] * c[2]
    for atom in range(len(kinds)):
        kind = kinds[atom]
        rc2 = cutoff[kind] ** 2
        x, y, z = centres[atom]
        lo, hi = math.ceil(x - reach[kind, 0]), math.floor(x + reach[kind, 0])
        for i in range(lo, hi + 1):
            plane = i % n1
            if plane < first or plane >= last:
                continue
            for j in range(math.ceil(y - reach[kind, 1]), math.floor(y + reach[kind, 1]) + 1):
                # the vector from the atom to point (i, j, k) is b + (k - z) c
                b0 = (i - x) * steps[0, 0] + (j - y) * steps[1, 0]
                b1 = (i - x) * steps[0, 1] + (j - y) * steps[1, 1]
                b2 = (i - x) * steps[0, 2] + (j - y) * steps[1, 2]
                bc = b0 * c[0] + b1 * c[1] + b2 * c[2]
                bb = b0 * b0 + b1 * b1 + b2 * b2
                inside = bc * bc - cc * (bb - rc2)
                if inside <= 0.0:
                    continue
                root = math.sqrt(inside)
                k0 = math.ceil(z + (-bc - root) / cc)
                k1 = math.floor(z + (-bc + root) / cc)
                row = out[plane, j % n2]
                k = k0
                while k <= k1:
                    wrapped = k % n3
                    run = min(k1 - k + 1, n3 - wrapped)
                    for m in range(run):
                        s = k + m - z
                        d2 = max(bb + s * (2.0 * bc + s * cc), 0.0)
                        if d2 < rc2:
                            row[wrapped + m] += value_at(d2, inverse_step[kind], start[kind], coefficients)
                    k += run


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def gather(  # type: ignore[no-untyped-def]
    points, inverse, margin, n_bins, bin_width, bin_start, positions, kinds,
    cutoff, inverse_step, start, coefficients, out,
):  # fmt: skip
    """Sum the images around each wrapped point, bin by bin."""
    for p in range(len(points)):
        x, y, z = points[p]
        lo = np.empty(3, dtype=np.int64)
        hi = np.empty(3, dtype=np.int64)
        for a in range(3):
            f = x * inverse[0, a] + y * inverse[1, a] + z * inverse[2, a]
            lo[a] = max(0, math.floor(f / bin_width[a]))
            hi[a] = min(n_bins[a] - 1, math.floor((f + 2 * margin[a]) / bin_width[a]))
        total = 0.0
        for i in range(lo[0], hi[0] + 1):
            for j in range(lo[1], hi[1] + 1):
                row = (i * n_bins[1] + j) * n_bins[2]
                for image in range(bin_start[row + lo[2]], bin_start[row + hi[2] + 1]):
                    kind = kinds[image]
                    d0 = x - positions[image, 0]
                    d1 = y - positions[image, 1]
                    d2 = z - positions[image, 2]
                    square = d0 * d0 + d1 * d1 + d2 * d2
                    if square < cutoff[kind] ** 2:
                        total += value_at(square, inverse_step[kind], start[kind], coefficients)
        out[p] = total
