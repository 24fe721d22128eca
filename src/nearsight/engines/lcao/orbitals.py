"""`OrbitalGrid`: the values of all Bloch orbitals on a uniform grid, whole or in blocks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import numpy as np

from nearsight.engines.kpoints import KPoints
from nearsight.engines.lcao.kernels import contract_gradient, evaluate_atom
from nearsight.engines.lcao.shells import MonomialTable, ShellTable, monomial_table
from nearsight.engines.lcao.threads import in_threads
from nearsight.grid import UniformGrid

#: grid points of a block: few enough to share out evenly and to make anew, enough for BLAS
_MOST_POINTS, _FEWEST_POINTS = 8192, 1024
#: values in a block, 64 MB of them: fewer points where there are many orbitals
_BLOCK_VALUES = 8_000_000
#: components, real and imaginary parts, of the wave vectors that are evaluated at once: more save
#: exponentials, fewer keep the kernel's buffers in the processor's cache
_GROUP_COMPONENTS = 16

R = TypeVar("R")
Precision: TypeAlias = type[np.float32] | type[np.float64]


@dataclass(frozen=True)
class Block:
    """Lines of the grid along its third axis: some planes, and in them some columns."""

    planes: slice
    columns: slice

    def of(self, values: np.ndarray) -> np.ndarray:
        """The block's part of values (n1, n2, n3) on the grid, flat."""
        return np.ascontiguousarray(values[self.planes, self.columns]).ravel()

    @property
    def shape(self) -> tuple[int, int]:
        """Planes and columns."""
        return self.planes.stop - self.planes.start, self.columns.stop - self.columns.start


@dataclass(frozen=True, eq=False)
class Waves:
    """Wave vectors evaluated together.

    Attributes
    ----------
    numbers : list of int
        Which of all wave vectors.
    fractional : ndarray (n_waves, 3)
    wave_of : ndarray (n_components,), int64
        Position in `numbers` of the wave vector that each component belongs to.
    imaginary : ndarray (n_components,), bool
        Whether the component is the imaginary part.
    """

    numbers: list[int]
    fractional: np.ndarray
    wave_of: np.ndarray
    imaginary: np.ndarray

    def rows(self, n_orbitals: int) -> list[tuple[int, slice]]:
        """Each wave vector's number and its rows in a table of all components' values."""
        found = []
        for position, k in enumerate(self.numbers):
            mine = np.flatnonzero(self.wave_of == position)
            found.append((k, slice(int(mine[0]) * n_orbitals, (int(mine[-1]) + 1) * n_orbitals)))
        return found


class OrbitalGrid:
    """All orbitals of a cell at some wave vectors, on a grid.

    At a wave vector where orbitals are real there is one row of values for each of them; at any other
    the rows of all real parts are followed by those of all imaginary parts.

    Parameters
    ----------
    cell : pyscf.pbc.gto.Cell
        Settles the shells and the order of the orbitals; atoms inside the cell.
    grid : UniformGrid
    k_points : KPoints, optional
        The Γ point unless given.
    smallest : float
        Cut-off value of the radial parts.
    memory_limit_mb : float
        The values are kept if they fit, otherwise made anew for every pass.
    threads : int
    """

    def __init__(
        self,
        cell: Any,
        grid: UniformGrid,
        k_points: KPoints | None = None,
        *,
        smallest: float,
        memory_limit_mb: float,
        threads: int,
    ) -> None:
        self.grid = grid
        self.threads = threads
        self._centres = np.asarray(cell.atom_coords(unit="B"))
        self.slices = [slice(int(s[2]), int(s[3])) for s in cell.aoslice_by_atom()]
        self.n_orbitals = int(cell.nao)
        tables: dict[str, ShellTable] = {}
        for atom in range(cell.natm):
            symbol = cell.atom_symbol(atom)
            if symbol not in tables:
                tables[symbol] = ShellTable.of_atom(cell, atom, smallest)
        self._tables = [tables[cell.atom_symbol(atom)] for atom in range(cell.natm)]
        self._steps = grid.cell / np.array(grid.shape)[:, None]
        self._heights = 1.0 / np.linalg.norm(np.linalg.inv(grid.cell), axis=0)
        self.waves = _groups(k_points or KPoints.gamma())
        n_components = sum(len(waves.wave_of) for waves in self.waves)
        self.kept = n_components * self.n_orbitals * grid.n_points * 8e-6 <= memory_limit_mb

    @cached_property
    def blocks(self) -> list[Block]:
        """Parts of the grid that are worked on one at a time: the same whatever the threads."""
        n1, n2, n3 = self.grid.shape
        rows = self.n_orbitals * max(len(waves.wave_of) for waves in self.waves)
        points = min(max(_BLOCK_VALUES // rows, _FEWEST_POINTS), _MOST_POINTS)
        planes, columns = max(1, points // (n2 * n3)), min(n2, max(1, points // n3))
        return [
            Block(slice(i, min(i + planes, n1)), slice(j, min(j + columns, n2)))
            for i in range(0, n1, planes)
            for j in range(0, n2, columns)
        ]

    def map(
        self, work: Callable[[Block, int, np.ndarray], R], precision: Precision = np.float64
    ) -> Iterator[tuple[Block, int, R]]:
        """Results of `work` on every block at every wave vector; all threads take part.

        Parameters
        ----------
        work : callable
            Called with a block, the number of a wave vector, and the orbital values (n_rows, m) there.
        precision : dtype
            Of the values that `work` gets.

        Yields
        ------
        block, wave vector, result
            In an order that does not depend on the threads.
        """

        def each(block: Block, waves: Waves, values: np.ndarray) -> list[tuple[Block, int, R]]:
            return [
                (block, k, work(block, k, values[rows].astype(precision, copy=False)))
                for k, rows in waves.rows(self.n_orbitals)
            ]

        for results in self.map_groups(each):
            yield from results

    def map_groups(self, work: Callable[[Block, Waves, np.ndarray], R]) -> Iterator[R]:
        """As `map`, with all wave vectors of a group at a time."""

        def one(item: int) -> R:
            waves, block = self._items[item]
            return work(block, waves, self._kept[item] if self.kept else self.evaluate(block, waves))

        return in_threads(one, range(len(self._items)), self.threads)

    @cached_property
    def _items(self) -> list[tuple[Waves, Block]]:
        return [(waves, block) for waves in self.waves for block in self.blocks]

    @cached_property
    def _kept(self) -> list[np.ndarray]:
        return list(in_threads(lambda item: self.evaluate(item[1], item[0]), self._items, self.threads))

    def evaluate(self, block: Block, waves: Waves) -> np.ndarray:
        """Values of a group of wave vectors on a block, shape (n_rows, m)."""
        shape = (len(waves.wave_of), self.n_orbitals, *block.shape, self.grid.shape[2])
        values = np.empty(shape)
        for atom, orbitals in enumerate(self.slices):
            table, monomials, geometry, phases = self._arguments(atom, block, waves)
            evaluate_atom(
                values, orbitals.start, *geometry, table.exponents, table.coefficients, table.shell_l,
                monomials.parent, monomials.axis, table.transform, *phases,
            )  # fmt: skip
        return values.reshape(shape[0] * shape[1], -1)

    def contract_gradients(self, weights: np.ndarray, block: Block, waves: Waves) -> np.ndarray:
        """Σ_g Σ_{μ on atom} weights[μ, g] ∇φ_μ(g) for each atom, shape (n_atoms, 3).

        Parameters
        ----------
        weights : ndarray (n_rows, m)
            For all rows of a group of wave vectors.
        block : Block
        waves : Waves
        """
        blocks = np.ascontiguousarray(weights).reshape(
            len(waves.wave_of), self.n_orbitals, *block.shape, self.grid.shape[2]
        )
        result = np.zeros((len(self.slices), 3))
        for atom, orbitals in enumerate(self.slices):
            table, monomials, geometry, phases = self._arguments(atom, block, waves)
            result[atom] = contract_gradient(
                blocks, orbitals.start, *geometry, table.exponents, table.coefficients, table.shell_l,
                monomials.parent, monomials.axis, monomials.lowered, monomials.power, table.transform,
                *phases,
            )  # fmt: skip
        return result

    def _arguments(
        self, atom: int, block: Block, waves: Waves
    ) -> tuple[ShellTable, MonomialTable, tuple[Any, ...], tuple[Any, ...]]:
        """What the kernels take of an atom: its shells, where it is on the grid, and its images' phases."""
        table = self._tables[atom]
        centre = self._centres[atom]
        shape = np.array(self.grid.shape)
        index = centre @ np.linalg.inv(self._steps)
        margin = table.cutoff / self._heights * shape
        lower = np.ceil(index - margin).astype(np.int64)
        upper = np.floor(index + margin).astype(np.int64)
        first = np.array([block.planes.start, block.columns.start])
        geometry = (first, shape, self._steps, centre, lower, upper, table.cutoff**2)
        first_image, last_image = lower // shape, upper // shape
        translations = first_image[:, None] + np.arange(int((last_image - first_image).max()) + 1)
        # a point that lies T outside the cell meets the atom as the point inside meets its image at −T
        phases = np.exp(-2j * np.pi * waves.fractional.T[:, :, None] * translations[:, None])
        # the gradient needs the three monomials of degree one even for s shells alone
        monomials = monomial_table(max(1, int(table.shell_l.max())))
        return table, monomials, geometry, (first_image, phases, waves.wave_of, waves.imaginary)


def _groups(k_points: KPoints) -> list[Waves]:
    """Wave vectors in groups of at most `_GROUP_COMPONENTS` components."""
    counts = np.where(k_points.is_real, 1, 2)
    groups: list[list[int]] = [[]]
    for k, count in enumerate(counts):
        if groups[-1] and counts[groups[-1]].sum() + count > _GROUP_COMPONENTS:
            groups.append([])
        groups[-1].append(k)
    return [
        Waves(
            numbers,
            k_points.fractional[numbers],
            np.repeat(np.arange(len(numbers)), counts[numbers]),
            np.concatenate([np.arange(counts[k]) == 1 for k in numbers]),
        )
        for numbers in groups
    ]
