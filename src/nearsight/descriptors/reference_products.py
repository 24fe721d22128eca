"""Plain NumPy twin of the scalar products' kernel: sorts everything, by Python's own sort."""

from functools import cmp_to_key
from typing import Any

import numpy as np

from nearsight.descriptors.kernels_products import ALIKE, FADE, TIE
from nearsight.descriptors.scalar_products import ScalarProducts
from nearsight.neighbours import CellList
from nearsight.structure import Structure


def scalar_products(descriptor: ScalarProducts, structure: Structure, points: np.ndarray) -> np.ndarray:
    """Features (m, n_features) in double precision."""
    cells = CellList.build(structure, descriptor.cutoff)
    around = [_others(*cells.within(position)) for position in structure.positions]
    return np.array([_features(descriptor, structure, *cells.within(p), around) for p in points])


def _others(vectors: np.ndarray, atoms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours without the atom itself."""
    return vectors[1:], atoms[1:]


def _features(
    d: ScalarProducts,
    structure: Structure,
    vectors: np.ndarray,
    atoms: np.ndarray,
    around: list[tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Distances, then cosines, species by species."""
    distance, numbers = np.linalg.norm(vectors, axis=1), structure.numbers[atoms]
    features = []
    for z in d.species:
        own = distance[numbers == z][: d.n_neighbours]
        features.append(np.pad(own, (0, d.n_neighbours - len(own)), constant_values=d.cutoff))
    for z in d.species:
        mine = numbers == z
        rows = [
            np.concatenate([_cosines(d, structure, v, around[i], b) for b in d.species])
            for v, i in zip(vectors[mine], atoms[mine], strict=True)
        ]
        shell = np.cumsum(np.diff(distance[mine], prepend=0.0) >= TIE)
        keyed = [(s, *-row) for s, row in zip(shell, rows, strict=True)]
        ordered = sorted(keyed, key=cmp_to_key(_ordered))[: d.n_angular]
        table = np.zeros((d.n_angular, len(d.species) * d.n_partners))
        for i, (_, *row) in enumerate(ordered):
            table[i] = -np.array(row)
        features.append(table.ravel())
    return np.concatenate(features)


def _ordered(one: tuple[float, ...], two: tuple[float, ...]) -> int:
    """By shell, then lexicographically, numbers closer than `ALIKE` being equal."""
    for a, b in zip(one, two, strict=True):
        if abs(a - b) > ALIKE:
            return -1 if a < b else 1
    return 0


def _cosines(
    d: ScalarProducts,
    structure: Structure,
    vector: np.ndarray,
    around: tuple[np.ndarray, np.ndarray],
    species: int,
) -> np.ndarray:
    """Weighted cosines with the k nearest partners, (k,): of a tied last shell those of largest cosine."""
    partners, atoms = around
    near = partners[structure.numbers[atoms] == species]
    length = np.linalg.norm(near, axis=1)
    others = vector + near
    own, other = np.linalg.norm(vector), np.linalg.norm(others, axis=1)
    soft = np.hypot(own, d.softening) * np.hypot(other, d.softening)
    met = (own > TIE) & (other > TIE)
    cosine = np.where(met, others @ vector / np.where(met, soft, 1.0), 0.0)
    cosine = cosine * _window(own, d.cutoff) * _window(length, d.cutoff)
    shell = np.cumsum(np.diff(length, prepend=0.0) >= TIE)
    chosen = cosine[np.lexsort((-cosine, shell))][: d.n_partners]
    return np.sort(np.pad(chosen, (0, d.n_partners - len(chosen))))[::-1]


def _window(distance: np.ndarray | np.floating[Any], cutoff: float) -> np.ndarray:
    x = np.clip((cutoff - np.asarray(distance)) / FADE, 0.0, 1.0)
    return np.asarray(x**3 * (10 - 15 * x + 6 * x**2))
