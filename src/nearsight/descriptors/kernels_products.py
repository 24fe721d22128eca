"""Compiled kernel of the scalar products; conventions and tolerances are those of `scalar_products`.

The atoms near a block are listed species by species, nearest to the middle of the block first: each point
then finds its own nearest ones almost in order, and stops early.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from nearsight.descriptors.kernels import block_end, enclose, gather

#: lengths (bohr) closer than this count as equal
TIE = 1e-4
#: cosines closer than this count as equal when atoms of one shell are ordered
ALIKE = 1e-4
#: bohr within the cut-off over which cosines fade
FADE = 2.0


class Partners(NamedTuple):
    """The nearest neighbours of every atom, species by species.

    Attributes
    ----------
    vectors : ndarray (n_atoms, n_species, 3, n)
        From the atom, nearest first, bohr; columns beyond `total` are empty.
    weight : ndarray (n_atoms, n_species, n)
        Window at their lengths.
    sure : ndarray (n_atoms, n_species), int64
        How many come before the shell of which only some are taken.
    total : ndarray (n_atoms, n_species), int64
        How many there are.
    """

    vectors: np.ndarray
    weight: np.ndarray
    sure: np.ndarray
    total: np.ndarray


@njit(cache=True, nogil=True)
def window(distance, cutoff):  # type: ignore[no-untyped-def]
    """One up to `FADE` within the cut-off, then falling to zero there, twice continuously differentiable."""
    x = min(1.0, max(0.0, (cutoff - distance) / FADE))
    return x * x * x * (10.0 - 15.0 * x + 6.0 * x * x)


@njit(cache=True, nogil=True)
def by_species(found, count, bins, kind, centre, n_species, order, start, away):  # type: ignore[no-untyped-def]
    """List the images of species a in order[start[a] : start[a + 1]], nearest to `centre` first.

    `away` gets their distances from it.
    """
    filled = 0
    for a in range(n_species):
        start[a] = filled
        for i in range(count):
            if kind[found[i]] == a:
                order[filled] = found[i]
                filled += 1
        for i in range(start[a], filled):
            image, square = order[i], 0.0
            for x in range(3):
                square += (bins.positions[image, x] - centre[x]) ** 2
            distance, place = np.sqrt(square), i
            while place > start[a] and away[place - 1] > distance:
                away[place], order[place] = away[place - 1], order[place - 1]
                place -= 1
            away[place], order[place] = distance, image
    start[n_species] = filled


@njit(cache=True, nogil=True)
def nearest(point, shift, positions, order, away, first, last, wanted, reach, square, image):  # type: ignore[no-untyped-def]
    """Fill square[:] and image[:] with the `wanted` nearest of order[first:last]; return how many.

    `shift` is the distance of the point from the middle of the block. Atoms beyond `reach` do not count.
    """
    held, worst = 0, reach * reach
    for i in range(first, last):
        if away[i] > shift + reach or (held == wanted and away[i] > shift + np.sqrt(worst)):
            break
        dx = positions[order[i], 0] - point[0]
        dy = positions[order[i], 1] - point[1]
        dz = positions[order[i], 2] - point[2]
        found = dx * dx + dy * dy + dz * dz
        if found >= worst:
            continue
        place = held if held < wanted else held - 1
        while place > 0 and square[place - 1] > found:
            square[place], image[place] = square[place - 1], image[place - 1]
            place -= 1
        square[place], image[place] = found, order[i]
        held = min(held + 1, wanted)
        if held == wanted:
            worst = square[held - 1]
    return held


@njit(cache=True, nogil=True)
def cut_shell(point, positions, order, first, last, distance, chosen, square, image):  # type: ignore[no-untyped-def]
    """Make the last of the `chosen` nearest bring all atoms of its shell; return their new number.

    `distance` has one more entry than is `chosen`, unless there is no further atom.
    """
    begin = chosen - 1
    while begin > 0 and distance[begin] - distance[begin - 1] < TIE:
        begin -= 1
    inner, outer, held = distance[begin] - TIE / 2, distance[chosen - 1] + TIE, begin
    for i in range(first, last):
        dx = positions[order[i], 0] - point[0]
        dy = positions[order[i], 1] - point[1]
        dz = positions[order[i], 2] - point[2]
        found = dx * dx + dy * dy + dz * dz
        if inner < np.sqrt(found) < outer:
            square[held], image[held] = found, order[i]
            held += 1
    return held


@njit(cache=True, nogil=True)
def falling(values, first, last):  # type: ignore[no-untyped-def]
    """Sort values[first:last] in place, largest first; without branches, since these lists are short."""
    for end in range(last - 1, first, -1):
        for i in range(first, end):
            one, two = values[i], values[i + 1]
            values[i] = one if one > two else two
            values[i + 1] = two if one > two else one


@njit(cache=True, nogil=True, error_model="numpy")
def cosines(x, y, z, weight, soft, vectors, weights, sure, count, k, trial):  # type: ignore[no-untyped-def]
    """Fill trial[:k] with weighted cosines between (x, y, z), which leads to an atom, and its partners."""
    own = x * x + y * y + z * z
    if own <= TIE * TIE:
        weight = 0.0
    for j in range(count):
        u, v, w = x + vectors[0, j], y + vectors[1, j], z + vectors[2, j]
        other = u * u + v * v + w * w
        scale = np.sqrt((max(own, TIE * TIE) + soft) * (max(other, TIE * TIE) + soft))
        cosine = weight * weights[j] * (x * u + y * v + z * w) / scale
        trial[j] = cosine if other > TIE * TIE else 0.0
    if sure < k < count:
        falling(trial, sure, count)
    for j in range(count, k):
        trial[j] = 0.0
    falling(trial, 0, k)


@njit(cache=True, nogil=True)
def larger(one, two):  # type: ignore[no-untyped-def]
    """Whether a row is lexicographically larger than another; numbers closer than `ALIKE` are equal."""
    for i in range(one.shape[0]):
        if abs(one[i] - two[i]) > ALIKE:
            return one[i] > two[i]
    return False


@njit(cache=True, nogil=True)
def order_shells(rows, distance, held):  # type: ignore[no-untyped-def]
    """Order the rows of atoms at equal distances, the lexicographically largest first."""
    begin = 0
    for i in range(1, held):
        if distance[i] - distance[i - 1] >= TIE:
            begin = i
        place = i
        while place > begin and larger(rows[place], rows[place - 1]):
            for f in range(rows.shape[1]):
                rows[place, f], rows[place - 1, f] = rows[place - 1, f], rows[place, f]
            place -= 1


@njit(cache=True, nogil=True)
def angular(  # type: ignore[no-untyped-def]
    point, positions, atom, square, distance, image, held, partners, k, cutoff, soft, trial, rows
):
    """Fill rows[:held] with the cosines of the nearest atoms of one species, shells in their order."""
    n_species, tied = partners.total.shape[1], False
    for i in range(held):
        x = positions[image[i], 0] - point[0]
        y = positions[image[i], 1] - point[1]
        z = positions[image[i], 2] - point[2]
        distance[i] = np.sqrt(square[i])
        tied = tied or (i > 0 and distance[i] - distance[i - 1] < TIE)
        weight = window(distance[i], cutoff)
        own = atom[image[i]]
        for b in range(n_species):
            sure, count = partners.sure[own, b], partners.total[own, b]
            vectors, weights = partners.vectors[own, b], partners.weight[own, b]
            cosines(x, y, z, weight, soft, vectors, weights, sure, count, k, trial)
            for j in range(k):
                rows[i, b * k + j] = trial[j]
    if tied:
        order_shells(rows, distance, held)


@njit(cache=True, nogil=True)
def scalar_products(  # type: ignore[no-untyped-def]
    points, bins, kind, atom, present, partners, counts, cutoff, softening, out
):
    """Fill `out` for wrapped points (m, 3); `kind` and `atom` are species and atom of each image.

    Returns which points (m,) have too few atoms within the reach of `bins`, where that is less than the
    cut-off; their rows are not valid.
    """
    m, ms, k = counts
    n_species = present.shape[0]
    width = n_species * k
    found = np.empty(256, dtype=np.int64)
    order, away = np.empty(256, dtype=np.int64), np.empty(256)
    square, distance = np.empty(512), np.empty(512)
    image, rows = np.empty(512, dtype=np.int64), np.empty((512, width))
    trial = np.empty(partners.vectors.shape[3] + k)
    start, centre = np.empty(n_species + 1, dtype=np.int64), np.empty(3)
    lacking = np.zeros(points.shape[0], dtype=np.bool_)
    whole, soft = bins.cutoff >= cutoff, softening * softening
    begin = 0
    while begin < points.shape[0]:
        end = block_end(points, begin, bins.cutoff)
        count, found = gather(points, begin, end, bins, found)
        if order.shape[0] < found.shape[0]:
            order, away = np.empty(found.shape[0], dtype=np.int64), np.empty(found.shape[0])
            size = found.shape[0] + 256
            square, distance = np.empty(size), np.empty(size)
            image, rows = np.empty(size, dtype=np.int64), np.empty((size, width))
        enclose(points, begin, end, centre)
        by_species(found, count, bins, kind, centre, n_species, order, start, away)
        for p in range(begin, end):
            shift = np.sqrt(
                (points[p, 0] - centre[0]) ** 2
                + (points[p, 1] - centre[1]) ** 2
                + (points[p, 2] - centre[2]) ** 2
            )
            for a in range(n_species):
                held = nearest(
                    points[p], shift, bins.positions, order, away, start[a], start[a + 1],
                    m + 1, bins.cutoff, square, image,
                )  # fmt: skip
                enough = held > m and square[m] < (bins.cutoff - 2 * TIE) ** 2
                if present[a] and not (whole or enough):
                    lacking[p] = True
                    break
                for i in range(held):
                    distance[i] = np.sqrt(square[i])
                for i in range(m):
                    out[p, a * m + i] = distance[i] if i < held else cutoff
                chosen = min(ms, held)
                if 0 < chosen < held and distance[chosen] - distance[chosen - 1] < TIE:
                    chosen = cut_shell(
                        points[p], bins.positions, order, start[a], start[a + 1],
                        distance, chosen, square, image,
                    )  # fmt: skip
                angular(
                    points[p], bins.positions, atom, square, distance, image, chosen,
                    partners, k, cutoff, soft, trial, rows,
                )  # fmt: skip
                base = n_species * m + a * ms * width
                for i in range(ms):
                    for f in range(width):
                        out[p, base + i * width + f] = rows[i, f] if i < chosen else 0.0
        begin = end
    return lacking
