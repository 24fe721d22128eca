"""Superposition of spherical atomic densities: on a grid, or at any points, in any periodic cell.

On a grid every atom adds its density to the points within its cut-off: rows of points are clipped to
the sphere, and indices are taken modulo the grid, so that skewed cells and cells smaller than a cut-off
need no lists of images. At loose points a cell list is walked. Both cost O(atoms × points within the
cut-off); `reference.py` holds the plain twin.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.data import chemical_symbols

from nearsight.atomic.kernels import gather, scatter
from nearsight.atomic.lookup import LookupTable
from nearsight.atomic.radial import RadialDensity
from nearsight.errors import GridMismatchError, InputError, UnknownElementError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.neighbours import CellList
from nearsight.structure import Structure


@dataclass(frozen=True, eq=False)
class Superposition:
    """The atoms of one structure with their radial densities, prepared for many evaluations.

    Parameters
    ----------
    structure : Structure
    tables : mapping from atomic number to RadialDensity
        May hold more elements than the structure.

    Raises
    ------
    UnknownElementError
        An element of the structure has no table.
    """

    structure: Structure
    tables: Mapping[int, RadialDensity]

    def __post_init__(self) -> None:
        require_tables(self.structure, self.tables)

    @cached_property
    def n_electrons(self) -> float:
        """What the superposition integrates to, in electrons."""
        return float(sum(self.tables[int(z)].n_electrons for z in self.structure.numbers))

    def on_grid(self, grid: UniformGrid, *, threads: int = 1) -> ScalarField:
        """Density on a grid of the structure's cell, e/bohr³.

        Nothing is renormalised: the sum over a coarse grid differs a little from `n_electrons`.
        Every point adds its atoms in the same order, so the result does not depend on `threads`.

        Raises
        ------
        GridMismatchError
            The grid's cell is not the structure's.
        """
        if not np.allclose(grid.cell, self.structure.cell, rtol=0, atol=1e-4):
            raise GridMismatchError("the grid's cell differs from the structure's cell")
        shape = np.array(grid.shape)
        centres = self.structure.fractional * shape
        steps = np.ascontiguousarray(grid.cell / shape[:, None])
        reach = self._lookup.cutoff[:, None] / self.structure.heights * shape
        out = grid.zeros()

        def slab(first: int, last: int) -> None:
            scatter(first, last, centres, self._kinds, steps, reach, *self._radial, out)

        _in_parts(slab, grid.shape[0], threads)
        return ScalarField(grid, out)

    def at(self, points: np.ndarray, *, threads: int = 1) -> np.ndarray:
        """Density in e/bohr³ at Cartesian points (m, 3) in bohr, which may lie outside the cell.

        Returns shape (m,), float64. Memory grows with m alone.
        """
        points = np.asarray(points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 3:
            raise InputError(f"points have shape (m, 3), not {points.shape}")
        cells, kinds = self._cells, self._kinds[self._cells.atom]
        bins = (cells.inverse, cells.margin, cells.n_bins, cells.bin_width, cells.bin_start, cells.positions)
        wrapped = cells.wrap(points)
        out = np.empty(len(points))

        def block(first: int, last: int) -> None:
            gather(wrapped[first:last], *bins, kinds, *self._radial, out[first:last])

        _in_parts(block, len(points), threads)
        return out

    @cached_property
    def _lookup(self) -> LookupTable:
        """Tables of the structure's species, in ascending order of atomic number."""
        return LookupTable.build([self.tables[z] for z in self.structure.species])

    @property
    def _radial(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The lookup table as the kernels take it."""
        table = self._lookup
        return table.cutoff, table.inverse_step, table.start, table.coefficients

    @cached_property
    def _kinds(self) -> np.ndarray:
        """Position of each atom's element among the species, (n_atoms,) int64."""
        return np.searchsorted(np.array(self.structure.species), self.structure.numbers).astype(np.int64)

    @cached_property
    def _cells(self) -> CellList:
        """Cell list with the longest cut-off."""
        return CellList.build(self.structure, float(self._lookup.cutoff.max()))


def superpose(
    structure: Structure, grid: UniformGrid, tables: Mapping[int, RadialDensity], *, threads: int = 1
) -> ScalarField:
    """Sum of the atomic densities on a grid, e/bohr³; see `Superposition.on_grid`."""
    return Superposition(structure, tables).on_grid(grid, threads=threads)


def superpose_at(
    structure: Structure, points: np.ndarray, tables: Mapping[int, RadialDensity], *, threads: int = 1
) -> np.ndarray:
    """Sum of the atomic densities at points (m, 3), shape (m,); see `Superposition.at`.

    For many blocks of points keep one `Superposition` and call its `at`.
    """
    return Superposition(structure, tables).at(points, threads=threads)


def require_tables(structure: Structure, tables: Mapping[int, RadialDensity]) -> None:
    """Raise `UnknownElementError` unless every element of a structure has a radial density."""
    missing = [chemical_symbols[z] for z in structure.species if z not in tables]
    if missing:
        known = ", ".join(chemical_symbols[z] for z in sorted(tables)) or "none"
        raise UnknownElementError(
            f"no atomic density for {', '.join(missing)} in {structure.formula} (known: {known}); "
            "use data from an engine that supplies it, or fit tables with nearsight.atomic.fit"
        )


def _in_parts(work: Callable[[int, int], None], n: int, threads: int) -> None:
    """Call `work(first, last)` on `threads` equal parts of range(n)."""
    if threads < 1:
        raise InputError(f"a superposition needs at least one thread, not {threads}")
    edges = [n * part // threads for part in range(threads + 1)]
    if threads == 1:
        work(0, n)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, edges[:-1], edges[1:]))
