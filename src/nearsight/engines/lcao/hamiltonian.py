"""`Geometry`: what one structure on one grid needs before any density is known, and H[V] from it."""

from functools import cached_property

import numpy as np
import scipy.linalg

from nearsight.engines.ewald import ewald
from nearsight.engines.lcao import integrals
from nearsight.engines.lcao.orbitals import OrbitalGrid
from nearsight.engines.lcao.settings import LcaoSettings
from nearsight.engines.pseudopotential import load_gth, local_potential
from nearsight.errors import InputError
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

#: combinations of orbitals with a smaller overlap eigenvalue count as linearly dependent; PySCF's
#: integrals are good to 1e-8
_DEPENDENT = 1e-7
#: blocks of rows of H on the grid: more save work, fewer make larger matrix products
_ROW_BLOCKS = 4


class Geometry:
    """Fixed parts of the Kohn–Sham problem of a structure on a grid.

    Parameters
    ----------
    structure : Structure
    grid : UniformGrid
    settings : LcaoSettings
    threads : int

    Raises
    ------
    UnknownElementError
        No basis or pseudopotential for an element.
    """

    def __init__(self, structure: Structure, grid: UniformGrid, settings: LcaoSettings, threads: int) -> None:
        self.structure = structure
        self.grid = grid
        self.potentials = {z: load_gth(settings.pseudopotential, z) for z in structure.species}
        self.charges = np.array([self.potentials[int(z)].charge for z in structure.numbers])
        self.n_electrons = float(self.charges.sum())
        self.cell = integrals.build_cell(structure, settings.basis, settings.pseudopotential)
        self.orbitals = OrbitalGrid(
            self.cell,
            grid,
            smallest=settings.orbital_cutoff,
            memory_limit_mb=settings.memory_limit_mb,
            threads=threads,
        )

    @cached_property
    def ewald(self) -> tuple[float, np.ndarray]:
        """Energy and forces of the ions."""
        return ewald(self.structure, self.charges)

    @cached_property
    def kinetic(self) -> np.ndarray:
        """Kinetic matrix, hartree."""
        return integrals.kinetic(self.cell)

    @cached_property
    def nonlocal_pseudopotential(self) -> np.ndarray:
        """Matrix of the non-local pseudopotential, hartree."""
        return integrals.nonlocal_pseudopotential(self.cell)

    @cached_property
    def local_pseudopotential(self) -> np.ndarray:
        """Local pseudopotential on the grid, hartree."""
        return local_potential(self.structure, self.grid, self.potentials)

    @cached_property
    def orthonormal(self) -> np.ndarray:
        """X with Xᵀ S X = 1, shape (n_orbitals, n_independent).

        By Cholesky where the basis is well conditioned; otherwise canonical, without the linearly
        dependent combinations.
        """
        s = integrals.overlap(self.cell)
        lower, failed = scipy.linalg.lapack.dpotrf(s, lower=1)
        if failed == 0 and np.diag(lower).min() ** 2 > 100 * _DEPENDENT:
            return np.asarray(scipy.linalg.solve_triangular(lower, np.eye(len(s)), lower=True).T)
        values, vectors = np.linalg.eigh(s)
        kept = values > _DEPENDENT
        if 2 * kept.sum() < self.n_electrons:
            raise InputError(
                "the basis is linearly dependent for this structure; are atoms on top of each other?"
            )
        return np.asarray(vectors[:, kept] / np.sqrt(values[kept]))

    def matrix(self, potential: np.ndarray) -> np.ndarray:
        """H = T + V_nl + ⟨φ_μ|V|φ_ν⟩ of a potential (n1, n2, n3) on the grid, hartree.

        Of the symmetric product only the upper blocks are computed, 5/8 of the work for four.
        """
        v = potential.ravel() * self.grid.dv
        n = self.orbitals.n_orbitals
        rows = -(-n // _ROW_BLOCKS)

        def upper_blocks(planes: range, points: slice, values: np.ndarray) -> np.ndarray:
            part = np.zeros((n, n))
            for i in range(0, n, rows):
                np.matmul(values[i : i + rows] * v[points], values[i:].T, out=part[i : i + rows, i:])
            return part

        upper = np.triu(sum(self.orbitals.map(upper_blocks)))
        return upper + np.triu(upper, 1).T + self.kinetic + self.nonlocal_pseudopotential

    def density(self, coefficients: np.ndarray, occupations: np.ndarray) -> np.ndarray:
        """Σ_n f_n |ψ_n|² on the grid, e/bohr³, from coefficients (n_orbitals, n_states)."""
        weighted = np.ascontiguousarray((coefficients * np.sqrt(occupations)).T)

        def one(planes: range, points: slice, values: np.ndarray) -> np.ndarray:
            psi = weighted @ values
            return np.einsum("np,np->p", psi, psi)

        return np.concatenate(list(self.orbitals.map(one))).reshape(self.grid.shape)
