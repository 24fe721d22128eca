"""Plain NumPy twins of the compiled kernels: slow, short, and written another way where there is one."""

from collections.abc import Iterator, Sequence
from functools import cmp_to_key
from itertools import product

import numpy as np
from scipy.special import eval_chebyt, eval_legendre

from nearsight.descriptors.kernels_frame import ALIKE, DEGENERATE, NEGLIGIBLE, OBLIQUE, TIE, UNSIGNED
from nearsight.descriptors.local_frame import LocalFrame
from nearsight.descriptors.power_spectrum import PowerSpectrum
from nearsight.neighbours import CellList
from nearsight.structure import Structure


def power_spectrum(descriptor: PowerSpectrum, structure: Structure, points: np.ndarray) -> np.ndarray:
    """Features (m, n_features) in double precision, by Legendre polynomials instead of harmonics."""
    cells = CellList.build(structure, descriptor.cutoff)
    rows = []
    for point in points:
        vectors, atoms = cells.within(point)
        numbers = structure.numbers[atoms]
        rows.append(_spectrum_of(descriptor, {z: vectors[numbers == z] for z in descriptor.species}))
    return np.array(rows)


def radial_functions(descriptor: PowerSpectrum, r: np.ndarray) -> np.ndarray:
    """w(r) T_n(x(r)) for the largest number of channels, shape (n, len(r))."""

    def bend(q: np.ndarray) -> np.ndarray:
        return q / (q + descriptor.stretch)

    low, high = bend(np.hypot([0.0, descriptor.cutoff], descriptor.softening))
    x = 2 * (bend(np.hypot(r, descriptor.softening)) - low) / (high - low) - 1
    window = np.clip(1 - (r / descriptor.cutoff) ** 2, 0, None) ** 3
    return np.array([window * eval_chebyt(n, x) for n in range(max(descriptor.channels))])


def _spectrum_of(descriptor: PowerSpectrum, vectors: dict[int, np.ndarray]) -> np.ndarray:
    """Linear terms, then Σ_ij f_n(i) f_n'(j) |v_i|^l |v_j|^l P_l(cos γ_ij) for each pair of species."""
    r = {z: np.linalg.norm(v, axis=1) for z, v in vectors.items()}
    f = {z: radial_functions(descriptor, r[z]) for z in vectors}
    unit = {z: v / np.maximum(r[z], 1e-300)[:, None] for z, v in vectors.items()}
    soft = {z: r[z] / np.hypot(r[z], descriptor.softening) for z in vectors}
    features = [f[z][: descriptor.channels[0]].sum(axis=1) for z in descriptor.species]
    for i, a in enumerate(descriptor.species):
        for b in descriptor.species[i:]:
            cosine = np.clip(unit[a] @ unit[b].T, -1, 1)
            for l_, k in enumerate(descriptor.channels[1:], start=1):
                left, right = f[a][:k] * soft[a] ** l_, f[b][:k] * soft[b] ** l_
                p = left @ eval_legendre(l_, cosine) @ right.T
                if a == b:
                    features.append(p[np.triu_indices(k)])
                elif descriptor.cross == "full":
                    features.append(p.ravel())
                elif descriptor.cross == "diagonal":
                    features.append(np.diag(p))
    return np.concatenate(features)


def local_frame(descriptor: LocalFrame, structure: Structure, points: np.ndarray) -> np.ndarray:
    """Features (m, n_features) in double precision, by `numpy.linalg.eigh` and Python's sort."""
    n = descriptor.n_neighbours
    # a sphere of this radius around any point holds more than n whole cells
    cutoff = np.linalg.norm(structure.cell, axis=1).sum() * (1 + np.cbrt(n / structure.n_atoms))
    cells = CellList.build(structure, cutoff)
    rows = []
    for point in points:
        vectors, atoms = cells.within(point)
        rows.append(_view(vectors, structure.numbers[atoms], n))
    return np.array(rows)


def _view(vectors: np.ndarray, numbers: np.ndarray, n: int) -> np.ndarray:
    """The n nearest of `vectors` (nearest first) and their numbers in the canonical frame, flat."""
    distance = np.linalg.norm(vectors, axis=1)
    keep = distance < distance[n] + TIE
    shell = np.cumsum(np.diff(distance[keep], prepend=0.0) >= TIE)
    vectors, distance, numbers = vectors[keep], distance[keep], numbers[keep]
    tables = []
    for frame in _frames(vectors, distance, shell, float(distance[n])):
        atoms = [(s, z, *v) for s, z, v in zip(shell, numbers, vectors @ frame.T, strict=True)]
        ordered = sorted(atoms, key=cmp_to_key(_compare))[:n]
        tables.append([value for _, z, *xyz in ordered for value in (*xyz, np.linalg.norm(xyz), z)])
    return np.array(min(tables, key=cmp_to_key(_compare)))


def _compare(one: Sequence[float], two: Sequence[float]) -> int:
    """Lexicographic order in which numbers closer than `ALIKE` are equal."""
    for a, b in zip(one, two, strict=True):
        if abs(a - b) > ALIKE:
            return -1 if a < b else 1
    return 0


def _frames(
    vectors: np.ndarray, distance: np.ndarray, shell: np.ndarray, radius: float
) -> Iterator[np.ndarray]:
    """Every frame that the neighbourhood's symmetry leaves possible; rows are axes."""
    w = np.clip(1 - (distance / radius) ** 2, 0, None) ** 2
    values, columns = np.linalg.eigh(np.einsum("i,ia,ib->ab", w, vectors, vectors))
    values, axes = values[::-1], columns.T[::-1]
    lopsided = (w @ (vectors @ axes.T) ** 3) / max(1e-300, w @ distance**3)
    signs = [[s for s in (1.0, -1.0) if s * x > -UNSIGNED] for x in lopsided]
    equal = values[:-1] - values[1:] < DEGENERATE * values[0] + NEGLIGIBLE * radius**2
    if equal.all():
        for first in _directions(vectors, distance, shell, np.empty((0, 3))):
            yield from _completed(first, vectors, distance, shell)
    elif equal.any():
        alone = 2 if equal[0] else 0
        for s in signs[alone]:
            for frame in _completed(s * axes[alone], vectors, distance, shell):
                yield np.roll(frame, alone, axis=0)
    else:
        for chosen in product(*signs):
            yield np.array(chosen)[:, None] * axes


def _completed(
    first: np.ndarray, vectors: np.ndarray, distance: np.ndarray, shell: np.ndarray
) -> Iterator[np.ndarray]:
    """Frames with a given first axis, whose second points to an atom of the nearest possible shell."""
    for second in _directions(vectors, distance, shell, first[None]):
        for sign in (1, -1):
            yield np.array([first, second, sign * np.cross(first, second)])


def _directions(
    vectors: np.ndarray, distance: np.ndarray, shell: np.ndarray, fixed: np.ndarray
) -> np.ndarray:
    """Unit vectors normal to `fixed` towards the atoms of the nearest shell that has any."""
    normal = vectors - vectors @ fixed.T @ fixed
    length = np.linalg.norm(normal, axis=1)
    usable = (distance > TIE) & (length > OBLIQUE * distance)
    if not usable.any():
        # all atoms lie on the one fixed axis: any direction normal to it serves
        towards = np.eye(3)[np.argmin(np.abs(fixed[0]))]
        across = towards - fixed[0] * (fixed[0] @ towards)
        return across[None] / np.linalg.norm(across)
    chosen = usable & (shell == shell[usable][0])
    return normal[chosen] / length[chosen, None]
