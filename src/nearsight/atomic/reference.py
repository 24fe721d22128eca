"""Plain NumPy twin of `superposition.py`: no lists, no lookup tables, for tests."""

from collections.abc import Mapping
from itertools import product

import numpy as np

from nearsight.atomic.radial import RadialDensity
from nearsight.structure import Structure


def superpose_at_plain(
    structure: Structure, points: np.ndarray, tables: Mapping[int, RadialDensity]
) -> np.ndarray:
    """Sum of the atomic densities at points (m, 3) over every image that can matter, shape (m,)."""
    fractional = structure.fractional - np.floor(structure.fractional)
    at = points @ np.linalg.inv(structure.cell)
    wrapped = (at - np.floor(at)) @ structure.cell
    total = np.zeros(len(points))
    for home, number in zip(fractional, structure.numbers, strict=True):
        table = tables[int(number)]
        reach = np.ceil(table.cutoff / structure.heights).astype(int)
        for shift in product(*(range(-n, n + 1) for n in reach)):
            total += table(np.linalg.norm(wrapped - (home + shift) @ structure.cell, axis=1))
    return total
