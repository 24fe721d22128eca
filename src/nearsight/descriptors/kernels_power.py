"""Compiled kernel of the power spectrum; the formulae are those of `power_spectrum`.

For speed the neighbours of a block of `LANES` points are taken `BATCH` at a time: arrays have rows of
`PAIRS` = BATCH·LANES (neighbour, point) pairs, and each loop over a row becomes a handful of vector
instructions.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from nearsight.descriptors.kernels import LANES, block_end, gather

BATCH = 4
PAIRS = BATCH * LANES
ONE = np.float32(1)
TWO = np.float32(2)
#: larger than any squared distance; not inf, which fast arithmetic may assume away
FAR = np.float32(3e38)


class Expansion(NamedTuple):
    """The settings of a power spectrum, as the kernel takes them; see `PowerSpectrum`."""

    #: r_c², s², b, and start and slope of the map x; float32 (5,)
    radial: np.ndarray
    #: recurrence of the harmonics, float32 (3, l_max + 1, l_max + 1)
    recurrence: np.ndarray
    #: radial functions for each l, int64 (l_max + 1,)
    channels: np.ndarray
    n_species: int
    #: the rows of coefficients that make a feature and how many they are, int64 (n_features,) each
    first: np.ndarray
    second: np.ndarray
    width: np.ndarray


class Scratch(NamedTuple):
    """Working memory of one call."""

    #: rows x, y, z, r² of the pairs, later v and |v|², and x(q)
    pairs: np.ndarray
    #: radial functions, harmonics of the pairs
    g: np.ndarray
    y: np.ndarray
    #: coefficients (species · rows, LANES), features (n_features, LANES)
    c: np.ndarray
    features: np.ndarray


@njit(cache=True, nogil=True, fastmath=True)
def displace(points, start, end, image, pairs, slot):  # type: ignore[no-untyped-def]
    """Vectors from the points to an image and their squares, into lanes of `pairs`; the least square."""
    first = slot * LANES
    for t in range(LANES):
        # the difference is taken in double precision, before its bits are halved
        p = min(start + t, end - 1)
        pairs[0, first + t] = np.float32(image[0] - points[p, 0])
        pairs[1, first + t] = np.float32(image[1] - points[p, 1])
        pairs[2, first + t] = np.float32(image[2] - points[p, 2])
    least = FAR
    for t in range(first, first + LANES):
        r2 = pairs[0, t] * pairs[0, t] + pairs[1, t] * pairs[1, t] + pairs[2, t] * pairs[2, t]
        pairs[3, t] = r2
        least = min(least, r2)
    return least


@njit(cache=True, nogil=True, fastmath=True)
def fill_radial(pairs, g, constants):  # type: ignore[no-untyped-def]
    """Fill g[n] = w T_n(x); turn rows 0-2 of `pairs` into v = r/q and row 3 into |v|²."""
    cutoff2, soft2, stretch, low, slope = constants
    for t in range(PAIRS):
        r2 = pairs[3, t]
        q2 = r2 + soft2
        inverse = ONE / np.sqrt(q2)
        pairs[0, t] *= inverse
        pairs[1, t] *= inverse
        pairs[2, t] *= inverse
        pairs[3, t] = r2 * inverse * inverse
        q = q2 * inverse
        pairs[4, t] = (q / (q + stretch) - low) * slope - ONE
        u = max(ONE - r2 / cutoff2, np.float32(0))
        g[0, t] = u * u * u
    if g.shape[0] > 1:
        for t in range(PAIRS):
            g[1, t] = pairs[4, t] * g[0, t]
    for n in range(2, g.shape[0]):
        for t in range(PAIRS):
            g[n, t] = TWO * pairs[4, t] * g[n - 1, t] - g[n - 2, t]


@njit(cache=True, nogil=True, fastmath=True)
def fill_sectoral(pairs, y, m, factor):  # type: ignore[no-untyped-def]
    """Harmonics of l = m and ±m from those of m − 1."""
    cos, sin = (m - 1) * (m - 1) + 2 * (m - 1), (m - 1) * (m - 1)
    for t in range(PAIRS):
        y[m * m + 2 * m, t] = factor * (pairs[0, t] * y[cos, t] - pairs[1, t] * y[sin, t])
        y[m * m, t] = factor * (pairs[0, t] * y[sin, t] + pairs[1, t] * y[cos, t])


@njit(cache=True, nogil=True, fastmath=True)
def climb(pairs, y, ell, m, rise, fall):  # type: ignore[no-untyped-def]
    """Harmonic (l, m) from those of l − 1 and l − 2."""
    to, one = ell * ell + ell + m, ell * ell - ell + m
    if ell - 2 < abs(m):
        for t in range(PAIRS):
            y[to, t] = rise * pairs[2, t] * y[one, t]
    else:
        two = (ell - 2) * (ell - 1) + m
        for t in range(PAIRS):
            y[to, t] = rise * pairs[2, t] * y[one, t] - fall * pairs[3, t] * y[two, t]


@njit(cache=True, nogil=True, fastmath=True)
def fill_harmonics(pairs, y, l_max, recurrence):  # type: ignore[no-untyped-def]
    """Fill y[l² + l + m] with the real solid harmonics of v (rows 0-2 of `pairs`)."""
    for t in range(PAIRS):
        y[0, t] = ONE
    for m in range(l_max + 1):
        if m == 1:
            for t in range(PAIRS):
                y[3, t] = pairs[0, t]
                y[1, t] = pairs[1, t]
        elif m > 1:
            fill_sectoral(pairs, y, m, recurrence[2, 0, m])
        for ell in range(m + 1, l_max + 1):
            climb(pairs, y, ell, m, recurrence[0, ell, m], recurrence[1, ell, m])
            if m > 0:
                climb(pairs, y, ell, -m, recurrence[0, ell, m], recurrence[1, ell, m])


@njit(cache=True, nogil=True, fastmath=True)
def accumulate(c, start, g, y, channels):  # type: ignore[no-untyped-def]
    """Add a batch of neighbours to the coefficients of their species: c[(l, n, m)] += Σ g[n] y[l, m]."""
    row = start
    for ell in range(channels.shape[0]):
        for n in range(channels[ell]):
            for lm in range(ell * ell, (ell + 1) * (ell + 1)):
                for t in range(LANES):
                    c[row, t] += (
                        g[n, t] * y[lm, t]
                        + g[n, LANES + t] * y[lm, LANES + t]
                        + g[n, 2 * LANES + t] * y[lm, 2 * LANES + t]
                        + g[n, 3 * LANES + t] * y[lm, 3 * LANES + t]
                    )
                row += 1


@njit(cache=True, nogil=True)
def add_batch(what, work, filled, start):  # type: ignore[no-untyped-def]
    """Add the first `filled` neighbours of the batch to the coefficients that begin at row `start`."""
    for k in range(filled * LANES, PAIRS):
        # an empty slot is an atom on the cut-off, which counts nothing
        work.pairs[0, k] = work.pairs[1, k] = work.pairs[2, k] = 0
        work.pairs[3, k] = what.radial[0]
    fill_radial(work.pairs, work.g, what.radial)
    fill_harmonics(work.pairs, work.y, what.channels.shape[0] - 1, what.recurrence)
    accumulate(work.c, start, work.g, work.y, what.channels)


@njit(cache=True, nogil=True)
def expand(points, start, end, bins, kind, what, found, count, work):  # type: ignore[no-untyped-def]
    """Coefficients of a block of points, species after species."""
    work.c[:] = 0
    rows = work.c.shape[0] // what.n_species
    for species in range(what.n_species):
        filled = 0
        for i in range(count):
            image = found[i]
            if kind[image] != species:
                continue
            least = displace(points, start, end, bins.positions[image], work.pairs, filled)
            if least < what.radial[0]:
                filled += 1
            if filled == BATCH:
                add_batch(what, work, filled, species * rows)
                filled = 0
        if filled > 0:
            add_batch(what, work, filled, species * rows)


@njit(cache=True, nogil=True, fastmath=True)
def contract(c, first, second, width, features):  # type: ignore[no-untyped-def]
    """Feature f is row first[f] itself (second[f] < 0) or Σ_m c[first + m] c[second + m]."""
    for f in range(first.shape[0]):
        a, b = first[f], second[f]
        if b < 0:
            for t in range(LANES):
                features[f, t] = c[a, t]
            continue
        for t in range(LANES):
            features[f, t] = c[a, t] * c[b, t]
        for m in range(1, width[f]):
            for t in range(LANES):
                features[f, t] += c[a + m, t] * c[b + m, t]


@njit(cache=True, nogil=True)
def allocate(what):  # type: ignore[no-untyped-def]
    """Working memory for an expansion; it does not grow with the number of points."""
    rows = 0
    for ell in range(what.channels.shape[0]):
        rows += what.channels[ell] * (2 * ell + 1)
    return Scratch(
        np.empty((5, PAIRS), dtype=np.float32),
        np.empty((what.channels.max(), PAIRS), dtype=np.float32),
        np.empty((what.channels.shape[0] ** 2, PAIRS), dtype=np.float32),
        np.empty((what.n_species * rows, LANES), dtype=np.float32),
        np.empty((what.first.shape[0], LANES), dtype=np.float32),
    )


@njit(cache=True, nogil=True)
def power_spectrum(points, bins, kind, what, out):  # type: ignore[no-untyped-def]
    """Fill `out` (m, n_features) for wrapped points (m, 3); `kind` is the species of each image."""
    work = allocate(what)
    found = np.empty(256, dtype=np.int64)
    start = 0
    while start < points.shape[0]:
        end = block_end(points, start, bins.cutoff)
        count, found = gather(points, start, end, bins, found)
        expand(points, start, end, bins, kind, what, found, count, work)
        contract(work.c, what.first, what.second, what.width, work.features)
        for t in range(end - start):
            for f in range(what.first.shape[0]):
                out[start + t, f] = work.features[f, t]
        start = end
