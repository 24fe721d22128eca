"""Compiled kernel of the local frame; conventions and tolerances are those of `local_frame`.

`near` holds what is known of one point's neighbours, nearest first: rows of (x, y, z, distance,
species, shell). A frame is three orthonormal rows. Wherever symmetry leaves a choice open, every
choice is tried and the one with the lexicographically smallest coordinates is kept.
"""

import numpy as np
from numba import njit

from nearsight.descriptors.kernels import block_end, gather
from nearsight.descriptors.kernels_moments import principal_axes, second_moment, third_moment

#: distances (bohr) closer than this count as equal
TIE = 1e-4
#: coordinates (bohr) closer than this count as equal; a frame magnifies the noise of positions
ALIKE = 1e-3
#: eigenvalues closer than this fraction of the largest count as equal
DEGENERATE = 1e-3
#: eigenvalues below this fraction of the squared radius count as zero
NEGLIGIBLE = 1e-6
#: third moments below this fraction of their bound count as zero
UNSIGNED = 1e-4
#: an atom gives a direction if this much of its distance lies in the line or plane at hand
OBLIQUE = 0.1


@njit(cache=True, nogil=True)
def nearest(point, positions, kind, found, count, wanted, cutoff, near):  # type: ignore[no-untyped-def]
    """Fill `near` with the `wanted` nearest images and all tied with the last; return how many.

    Returns 0 where fewer than that lie within the cut-off.
    """
    held = 0
    for i in range(count):
        image = found[i]
        dx = positions[image, 0] - point[0]
        dy = positions[image, 1] - point[1]
        dz = positions[image, 2] - point[2]
        square = dx * dx + dy * dy + dz * dz
        if held == wanted and square >= near[held - 1, 3]:
            continue
        place = held if held < wanted else held - 1
        while place > 0 and near[place - 1, 3] > square:
            for k in range(5):
                near[place, k] = near[place - 1, k]
            place -= 1
        near[place, 0], near[place, 1], near[place, 2] = dx, dy, dz
        near[place, 3], near[place, 4] = square, kind[image]
        held = min(held + 1, wanted)
    if held < wanted or near[held - 1, 3] >= (cutoff - 2 * TIE) ** 2:
        return 0
    for i in range(held):
        near[i, 3] = np.sqrt(near[i, 3])
        tied = i > 0 and near[i, 3] - near[i - 1, 3] < TIE
        near[i, 5] = i if not tied else near[i - 1, 5]
    last = int(near[held - 1, 5])
    if last < held - 1:
        held = whole_shell(point, positions, kind, found, count, last, near[held - 1, 3] + TIE, near)
    return held


@njit(cache=True, nogil=True)
def whole_shell(point, positions, kind, found, count, last, outer, near):  # type: ignore[no-untyped-def]
    """Put all images of the shell that begins at row `last` into `near`; return the number of rows."""
    inner = near[last, 3] - TIE / 2
    held = last
    for i in range(count):
        image = found[i]
        dx = positions[image, 0] - point[0]
        dy = positions[image, 1] - point[1]
        dz = positions[image, 2] - point[2]
        distance = np.sqrt(dx * dx + dy * dy + dz * dz)
        if inner < distance < outer:
            near[held, 0], near[held, 1], near[held, 2] = dx, dy, dz
            near[held, 3], near[held, 4], near[held, 5] = distance, kind[image], last
            held += 1
    return held


@njit(cache=True, nogil=True)
def precedes(one, two):  # type: ignore[no-untyped-def]
    """Whether a row (x, y, z, species, shell) comes before another."""
    if one[4] != two[4]:
        return one[4] < two[4]
    if one[3] != two[3]:
        return one[3] < two[3]
    for k in range(3):
        if abs(one[k] - two[k]) > ALIKE:
            return one[k] < two[k]
    return False


@njit(cache=True, nogil=True)
def smaller(one, two, rows):  # type: ignore[no-untyped-def]
    """Whether the first rows of one table are lexicographically smaller than those of another."""
    for i in range(rows):
        for k in range(4):
            if abs(one[i, k] - two[i, k]) > ALIKE:
                return one[i, k] < two[i, k]
    return False


@njit(cache=True, nogil=True)
def consider(frame, slots, near, held, rows, tried, trial, best):  # type: ignore[no-untyped-def]
    """Describe the neighbours in a frame; keep it in `best` if it is the first or smaller.

    The coordinate along frame[k] is number slots[k]. Returns one more than `tried`.
    """
    for i in range(held):
        for k in range(3):
            trial[i, slots[k]] = (
                frame[k, 0] * near[i, 0] + frame[k, 1] * near[i, 1] + frame[k, 2] * near[i, 2]
            )
        trial[i, 3], trial[i, 4] = near[i, 4], near[i, 5]
        place = i
        while place > 0 and precedes(trial[place], trial[place - 1]):
            for k in range(5):
                trial[place, k], trial[place - 1, k] = trial[place - 1, k], trial[place, k]
            place -= 1
    if tried == 0 or smaller(trial, best, rows):
        for i in range(rows):
            for k in range(4):
                best[i, k] = trial[i, k]
    return tried + 1


@njit(cache=True, nogil=True)
def direct(row, frame, fixed):  # type: ignore[no-untyped-def]
    """Point frame[fixed] along an atom's part normal to frame[:fixed]; False if that is too short."""
    axis = frame[fixed]
    for k in range(3):
        axis[k] = row[k]
    for f in range(fixed):
        along = axis[0] * frame[f, 0] + axis[1] * frame[f, 1] + axis[2] * frame[f, 2]
        for k in range(3):
            axis[k] -= along * frame[f, k]
    length = np.sqrt(axis[0] ** 2 + axis[1] ** 2 + axis[2] ** 2)
    if row[3] < TIE or length < OBLIQUE * row[3]:
        return False
    for k in range(3):
        axis[k] /= length
    return True


@njit(cache=True, nogil=True)
def directing_shell(near, held, frame, fixed):  # type: ignore[no-untyped-def]
    """The nearest shell of which an atom can direct frame[fixed]; −1 if there is none."""
    for i in range(held):
        if direct(near[i], frame, fixed):
            return near[i, 5]
    return -1.0


@njit(cache=True, nogil=True)
def third_axis(frame, slots, near, held, rows, tried, trial, best):  # type: ignore[no-untyped-def]
    """Try both frames whose first two axes are given."""
    for sign in (1.0, -1.0):
        frame[2, 0] = sign * (frame[0, 1] * frame[1, 2] - frame[0, 2] * frame[1, 1])
        frame[2, 1] = sign * (frame[0, 2] * frame[1, 0] - frame[0, 0] * frame[1, 2])
        frame[2, 2] = sign * (frame[0, 0] * frame[1, 1] - frame[0, 1] * frame[1, 0])
        tried = consider(frame, slots, near, held, rows, tried, trial, best)
    return tried


@njit(cache=True, nogil=True)
def second_axis(frame, slots, near, held, rows, tried, trial, best):  # type: ignore[no-untyped-def]
    """Try every frame with the given first axis whose second points to an atom of the nearest shell."""
    shell = directing_shell(near, held, frame, 1)
    for i in range(held):
        if near[i, 5] == shell and direct(near[i], frame, 1):
            tried = third_axis(frame, slots, near, held, rows, tried, trial, best)
    if shell < 0:
        # all atoms lie on the first axis: any direction normal to it serves
        k = np.argmin(np.abs(frame[0]))
        frame[1] = -frame[0, k] * frame[0]
        frame[1, k] += 1.0
        frame[1] /= np.sqrt(np.sum(frame[1] ** 2))
        tried = third_axis(frame, slots, near, held, rows, tried, trial, best)
    return tried


@njit(cache=True, nogil=True)
def cubic(frame, slots, near, held, rows, trial, best):  # type: ignore[no-untyped-def]
    """All eigenvalues agree: both axes point to atoms."""
    slots[0], slots[1], slots[2] = 0, 1, 2
    shell, tried = directing_shell(near, held, frame, 0), 0
    for i in range(held):
        if near[i, 5] == shell and direct(near[i], frame, 0):
            tried = second_axis(frame, slots, near, held, rows, tried, trial, best)


@njit(cache=True, nogil=True)
def uniaxial(axis, alone, radius, frame, slots, near, held, rows, trial, best):  # type: ignore[no-untyped-def]
    """Two eigenvalues agree: the axis of the third, number `alone`, is known up to its sign."""
    slots[0], slots[1], slots[2] = alone, (0 if alone == 2 else 1), (1 if alone == 2 else 2)
    lopsided, tried = third_moment(near, held, radius, axis), 0
    for sign in (1.0, -1.0):
        if sign * lopsided > -UNSIGNED:
            for k in range(3):
                frame[0, k] = sign * axis[k]
            tried = second_axis(frame, slots, near, held, rows, tried, trial, best)


@njit(cache=True, nogil=True)
def general(axes, radius, frame, slots, near, held, rows, trial, best):  # type: ignore[no-untyped-def]
    """All eigenvalues differ: the axes are known up to their signs, which third moments settle."""
    slots[0], slots[1], slots[2] = 0, 1, 2
    a = third_moment(near, held, radius, axes[0])
    b = third_moment(near, held, radius, axes[1])
    c = third_moment(near, held, radius, axes[2])
    tried = 0
    for choice in range(8):
        i, j, k = 1.0 - 2 * (choice & 1), 1.0 - (choice & 2), 1.0 - (choice & 4) / 2
        if i * a > -UNSIGNED and j * b > -UNSIGNED and k * c > -UNSIGNED:
            for x in range(3):
                frame[0, x], frame[1, x], frame[2, x] = i * axes[0, x], j * axes[1, x], k * axes[2, x]
            tried = consider(frame, slots, near, held, rows, tried, trial, best)


@njit(cache=True, nogil=True)
def describe(near, held, rows, moment, axes, frame, slots, trial, best):  # type: ignore[no-untyped-def]
    """Fill best[:rows] with (x, y, z, species) of the nearest atoms in the canonical frame."""
    radius = near[rows, 3]
    second_moment(near, held, radius, moment)
    principal_axes(moment, axes)
    # where all neighbours are tied at the radius the moment is rounding noise, and says nothing
    tolerance = DEGENERATE * moment[0, 0] + NEGLIGIBLE * radius * radius
    upper = moment[0, 0] - moment[1, 1] < tolerance
    lower = moment[1, 1] - moment[2, 2] < tolerance
    if upper and lower:
        cubic(frame, slots, near, held, rows, trial, best)
    elif upper:
        uniaxial(axes[2], 2, radius, frame, slots, near, held, rows, trial, best)
    elif lower:
        uniaxial(axes[0], 0, radius, frame, slots, near, held, rows, trial, best)
    else:
        general(axes, radius, frame, slots, near, held, rows, trial, best)


@njit(cache=True, nogil=True)
def local_frame(points, bins, number, rows, out):  # type: ignore[no-untyped-def]
    """Fill `out` (m, 5·rows) for wrapped points (m, 3); `number` is the atomic number of each image.

    Returns which points (m,) have too few atoms within the cut-off; their rows are not filled.
    """
    moment, axes, frame = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    slots = np.empty(3, dtype=np.int64)
    found = np.empty(256, dtype=np.int64)
    near, trial, best = np.empty((256, 6)), np.empty((256, 5)), np.empty((rows, 4))
    lacking = np.zeros(points.shape[0], dtype=np.bool_)
    start = 0
    while start < points.shape[0]:
        end = block_end(points, start, bins.cutoff)
        count, found = gather(points, start, end, bins, found)
        if near.shape[0] < found.shape[0]:
            near, trial = np.empty((found.shape[0], 6)), np.empty((found.shape[0], 5))
        for p in range(start, end):
            held = nearest(points[p], bins.positions, number, found, count, rows + 1, bins.cutoff, near)
            lacking[p] = held == 0
            if held > 0:
                describe(near, held, rows, moment, axes, frame, slots, trial, best)
                for i in range(rows):
                    x, y, z = best[i, 0], best[i, 1], best[i, 2]
                    out[p, 5 * i], out[p, 5 * i + 1], out[p, 5 * i + 2] = x, y, z
                    out[p, 5 * i + 3], out[p, 5 * i + 4] = np.sqrt(x * x + y * y + z * z), best[i, 3]
        start = end
    return lacking
