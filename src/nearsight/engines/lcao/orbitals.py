"""`OrbitalGrid`: the values of all periodic atomic orbitals on a uniform grid, whole or in blocks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import numpy as np
from pyscf import gto

from nearsight.engines.lcao.kernels import contract_gradient, evaluate_atom
from nearsight.engines.lcao.threads import in_threads
from nearsight.errors import InputError
from nearsight.grid import UniformGrid

#: largest angular momentum of the kernels' tables (g shells); monomials grow as l³
_MAX_L = 4
#: grid points of a block: few enough to share out evenly and to make anew, enough for BLAS
_BLOCK_POINTS = 8192

R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class ShellTable:
    """Contracted Gaussian shells of one element: φ = Σ_p c_p e^{−α_p r²} r^l Y_lm.

    Attributes
    ----------
    exponents : ndarray (n_exponents,)
        All exponents of the element, 1/bohr²; shells share them.
    coefficients : ndarray (n_shells, n_exponents)
        Normalised.
    shell_l : ndarray (n_shells,), int64
    transform : ndarray (n_orbitals, n_cartesian)
        Block-diagonal, from monomials to real spherical harmonics in PySCF's order.
    cutoff : float
        Bohr; beyond it every radial part is below the chosen value.
    """

    exponents: np.ndarray
    coefficients: np.ndarray
    shell_l: np.ndarray
    transform: np.ndarray
    cutoff: float

    @classmethod
    def of_atom(cls, cell: Any, atom: int, smallest: float) -> "ShellTable":
        """The shells of one atom of a PySCF cell, cut off where they stay below `smallest`."""
        shells = [b for b in range(cell.nbas) if cell.bas_atom(b) == atom]
        exponents = np.unique(np.concatenate([cell.bas_exp(b) for b in shells]))[::-1].copy()
        rows, momenta = [], []
        for b in shells:
            where = [int(np.flatnonzero(exponents == a)[0]) for a in cell.bas_exp(b)]
            for column in cell._libcint_ctr_coeff(b).T:
                row = np.zeros(len(exponents))
                np.add.at(row, where, column)
                rows.append(row)
                momenta.append(cell.bas_angular(b))
        if max(momenta) > _MAX_L:
            raise InputError(
                f"shells of angular momentum above {_MAX_L} are not supported by the engine 'lcao'"
            )
        blocks = [_to_spherical(ell) for ell in momenta]
        transform = np.zeros((sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks)))
        top = left = 0
        for block in blocks:
            bottom, right = top + block.shape[0], left + block.shape[1]
            transform[top:bottom, left:right] = block
            top, left = bottom, right
        coefficients, shell_l = np.array(rows), np.array(momenta, dtype=np.int64)
        return cls(
            exponents, coefficients, shell_l, transform, _reach(exponents, coefficients, shell_l, smallest)
        )


def _reach(exponents: np.ndarray, coefficients: np.ndarray, shell_l: np.ndarray, smallest: float) -> float:
    """Radius beyond which all r^l |Σ c e^{−αr²}| stay below `smallest`."""
    r = np.linspace(0.0, 60.0, 6001)
    radial = np.abs(coefficients @ np.exp(-np.outer(exponents, r**2))) * r ** shell_l[:, None]
    large = np.flatnonzero((radial >= smallest).any(axis=0))
    return float(r[min(large[-1] + 1, len(r) - 1)])


@lru_cache(maxsize=_MAX_L + 1)
def _to_spherical(ell: int) -> np.ndarray:
    """Real spherical harmonics r^l Y_lm as combinations of monomials, shape (2l + 1, n_cartesian)."""
    matrix = np.asarray(gto.cart2sph(ell, normalized="sp")).T
    factor = {0: 0.5 / np.sqrt(np.pi), 1: np.sqrt(0.75 / np.pi)}.get(ell, 1.0)
    return factor * matrix


@dataclass(frozen=True, eq=False)
class _MonomialTable:
    """How monomials x^a y^b z^c up to degree `_MAX_L` follow from each other, PySCF's order."""

    parent: np.ndarray
    axis: np.ndarray
    lowered: np.ndarray
    power: np.ndarray


@lru_cache(maxsize=_MAX_L + 1)
def _monomial_table(max_l: int) -> _MonomialTable:
    powers = [
        (a, b, n - a - b) for n in range(max_l + 1) for a in range(n, -1, -1) for b in range(n - a, -1, -1)
    ]
    number = {p: i for i, p in enumerate(powers)}
    lowered = np.zeros((len(powers), 3), dtype=np.int64)
    for i, p in enumerate(powers):
        for x in range(3):
            if p[x]:
                lowered[i, x] = number[tuple(q - (x == y) for y, q in enumerate(p))]  # type: ignore[index]
    axis = np.array([next((x for x in range(3) if p[x]), 0) for p in powers], dtype=np.int64)
    parent = lowered[np.arange(len(powers)), axis]
    return _MonomialTable(parent, axis, lowered, np.array(powers, dtype=np.float64))


class OrbitalGrid:
    """All orbitals of a cell on a grid.

    Parameters
    ----------
    cell : pyscf.pbc.gto.Cell
        Settles the shells and the order of the orbitals; atoms inside the cell.
    grid : UniformGrid
    smallest : float
        Cut-off value of the radial parts.
    memory_limit_mb : float
        The values are kept if they fit, otherwise made anew for every pass.
    threads : int
    """

    def __init__(
        self, cell: Any, grid: UniformGrid, *, smallest: float, memory_limit_mb: float, threads: int
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
        self.kept = self.n_orbitals * grid.n_points * 8e-6 <= memory_limit_mb

    @cached_property
    def planes(self) -> list[range]:
        """Planes of the first axis in each block: the same whatever the threads."""
        n1, n2, n3 = self.grid.shape
        step = max(1, min(n1, _BLOCK_POINTS // (n2 * n3)))
        return [range(first, min(n1, first + step)) for first in range(0, n1, step)]

    def map(self, work: Callable[[range, slice, np.ndarray], R]) -> Iterator[R]:
        """Results of `work` on every block, in order; blocks are worked on by all threads.

        Parameters
        ----------
        work : callable
            Called with the planes of a block, the slice of their flat grid indices, and the orbital
            values (n_orbitals, m) there.
        """
        plane = self.grid.shape[1] * self.grid.shape[2]

        def one(block: int) -> R:
            planes = self.planes[block]
            values = self._kept[block] if self.kept else self.evaluate(planes)
            return work(planes, slice(planes.start * plane, planes.stop * plane), values)

        return in_threads(one, range(len(self.planes)), self.threads)

    @cached_property
    def _kept(self) -> list[np.ndarray]:
        return list(in_threads(self.evaluate, self.planes, self.threads))

    def evaluate(self, planes: range) -> np.ndarray:
        """Orbital values on some planes, shape (n_orbitals, len(planes)·n2·n3)."""
        _, n2, n3 = self.grid.shape
        values = np.empty((self.n_orbitals, len(planes), n2, n3))
        for atom, orbitals in enumerate(self.slices):
            table, monomials, geometry = self._arguments(atom)
            evaluate_atom(
                values[orbitals], planes.start, *geometry, table.exponents, table.coefficients,
                table.shell_l, monomials.parent, monomials.axis, table.transform,
            )  # fmt: skip
        return values.reshape(self.n_orbitals, -1)

    def contract_gradients(self, weights: np.ndarray, planes: range) -> np.ndarray:
        """Σ_g Σ_{μ on atom} weights[μ, g] ∇φ_μ(g) for each atom, shape (n_atoms, 3).

        Parameters
        ----------
        weights : ndarray (n_orbitals, m)
            On whole planes of the grid.
        planes : range
            These planes.
        """
        _, n2, n3 = self.grid.shape
        blocks = np.ascontiguousarray(weights).reshape(self.n_orbitals, len(planes), n2, n3)
        result = np.zeros((len(self.slices), 3))
        for atom, orbitals in enumerate(self.slices):
            table, monomials, geometry = self._arguments(atom)
            result[atom] = contract_gradient(
                blocks[orbitals], planes.start, *geometry, table.exponents, table.coefficients,
                table.shell_l, monomials.parent, monomials.axis, monomials.lowered, monomials.power,
                table.transform,
            )  # fmt: skip
        return result

    def _arguments(self, atom: int) -> tuple[ShellTable, _MonomialTable, tuple[Any, ...]]:
        table = self._tables[atom]
        centre = self._centres[atom]
        shape = np.array(self.grid.shape)
        index = centre @ np.linalg.inv(self._steps)
        margin = table.cutoff / self._heights * shape
        lower = np.ceil(index - margin).astype(np.int64)
        upper = np.floor(index + margin).astype(np.int64)
        geometry = (self.grid.shape[0], self._steps, centre, lower, upper, table.cutoff**2)
        # the gradient needs the three monomials of degree one even for s shells alone
        return table, _monomial_table(max(1, int(table.shell_l.max()))), geometry
