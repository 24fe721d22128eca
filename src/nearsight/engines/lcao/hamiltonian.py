"""`Geometry`: what one structure on one grid needs before any density is known, and H[V] from it.

On the grid a complex orbital is two real ones, its parts R and I. With S = [R; I] V [R; I]ᵀ, a real
symmetric product, ⟨φ_μ|V|φ_ν⟩ = S_RR + S_II + i (S_RI − S_IR).
"""

from functools import cached_property

import numpy as np
import scipy.linalg

from nearsight.engines.ewald import ewald
from nearsight.engines.kpoints import KPoints
from nearsight.engines.lcao.integrals import Integrals, build_cell
from nearsight.engines.lcao.orbitals import Block, OrbitalGrid, Precision
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
    k_points : KPoints, optional
        Those of the settings, reduced by symmetry, unless given.

    Raises
    ------
    UnknownElementError
        No basis or pseudopotential for an element.
    """

    def __init__(
        self,
        structure: Structure,
        grid: UniformGrid,
        settings: LcaoSettings,
        threads: int,
        k_points: KPoints | None = None,
    ) -> None:
        self.structure = structure
        self.grid = grid
        self.potentials = {z: load_gth(settings.pseudopotential, z) for z in structure.species}
        self.charges = np.array([self.potentials[int(z)].charge for z in structure.numbers])
        self.n_electrons = float(self.charges.sum())
        self.k_points = k_points or settings.k_points.points(structure, grid)
        cell = build_cell(structure, settings.basis, settings.pseudopotential, settings.basis_file)
        self.integrals = Integrals(structure, cell, self.k_points)
        self.orbitals = OrbitalGrid(
            cell,
            grid,
            self.k_points,
            smallest=settings.orbital_cutoff,
            memory_limit_mb=settings.memory_limit_mb,
            threads=threads,
        )

    @cached_property
    def ewald(self) -> tuple[float, np.ndarray]:
        """Energy and forces of the ions."""
        return ewald(self.structure, self.charges)

    @cached_property
    def fixed_matrices(self) -> list[np.ndarray]:
        """Kinetic plus non-local pseudopotential matrix at each wave vector, hartree."""
        return [t + v for t, v in zip(self.kinetic, self.nonlocal_pseudopotential, strict=True)]

    @cached_property
    def kinetic(self) -> list[np.ndarray]:
        """Kinetic matrix at each wave vector, hartree."""
        return self.integrals.kinetic()

    @cached_property
    def nonlocal_pseudopotential(self) -> list[np.ndarray]:
        """Matrix of the non-local pseudopotential at each wave vector, hartree."""
        return self.integrals.nonlocal_pseudopotential()

    @cached_property
    def local_pseudopotential(self) -> np.ndarray:
        """Local pseudopotential on the grid, hartree."""
        return local_potential(self.structure, self.grid, self.potentials)

    @cached_property
    def orthonormal(self) -> list[np.ndarray]:
        """X with X† S X = 1 at each wave vector, shape (n_orbitals, n_independent).

        Raises
        ------
        InputError
            The independent orbitals do not hold the electrons.
        """
        found = [_orthonormal(s) for s in self.integrals.overlap()]
        if 2 * min(x.shape[1] for x in found) < self.n_electrons:
            raise InputError(
                "the basis is linearly dependent for this structure; are atoms on top of each other?"
            )
        return found

    def matrices(self, potential: np.ndarray) -> list[np.ndarray]:
        """H = T + V_nl + ⟨φ_μ|V|φ_ν⟩ at each wave vector, of a potential (n1, n2, n3) in hartree."""
        return [a + b for a, b in zip(self.on_grid(potential), self.fixed_matrices, strict=True)]

    def on_grid(self, potential: np.ndarray, precision: Precision = np.float64) -> list[np.ndarray]:
        """⟨φ_μ|V|φ_ν⟩ at each wave vector of a potential (n1, n2, n3) in hartree.

        Single precision is off by 1e-7 of the potential, good enough for a small change of it.
        """
        v = (potential * self.grid.dv).astype(precision)
        upper: list[np.ndarray | float] = [0.0] * len(self.k_points)
        for _, k, part in self.orbitals.map(
            lambda block, _, values: _upper_blocks(values, block.of(v)), precision
        ):
            upper[k] += part.astype(np.float64, copy=False)
        return [_hermitian(np.asarray(u), self.orbitals.n_orbitals) for u in upper]

    def density(
        self, states: list[tuple[np.ndarray, np.ndarray]], precision: Precision = np.float64
    ) -> np.ndarray:
        """Σ_k w_k Σ_n f_nk |ψ_nk|² on the grid, e/bohr³, symmetrised.

        Parameters
        ----------
        states : list of (ndarray (n_orbitals, n_states), ndarray (n_states,))
            Coefficients and occupations at each wave vector.
        precision : dtype
            Single precision is off by 1e-7 of the density at every point, at random.
        """
        weighted = [
            real_form(c * np.sqrt(w * f)).astype(precision)
            for (c, f), w in zip(states, self.k_points.weights, strict=True)
        ]

        def one(_: Block, k: int, values: np.ndarray) -> np.ndarray:
            psi = weighted[k] @ values
            return np.einsum("np,np->p", psi, psi)

        total = np.zeros(self.grid.shape)
        for block, _, part in self.orbitals.map(one, precision):
            total[block.planes, block.columns] += part.reshape(*block.shape, -1)
        return self.k_points.symmetrised(total)


def real_form(coefficients: np.ndarray) -> np.ndarray:
    """The matrix that turns rows of orbitals into rows of states, ψ_n = Σ_μ c_μn φ_μ.

    Real coefficients: cᵀ. Complex ones act on real parts over imaginary parts: [[Re cᵀ, −Im cᵀ], [Im cᵀ,
    Re cᵀ]], shape (2 n_states, 2 n_orbitals).
    """
    c = coefficients.T
    if not np.iscomplexobj(c):
        return np.ascontiguousarray(c)
    return np.block([[c.real, -c.imag], [c.imag, c.real]])


def _upper_blocks(values: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Σ_g values[i, g] v[g] values[j, g] for j ≥ i, a little more than half of the products."""
    n = len(values)
    part = np.zeros((n, n), dtype=values.dtype)
    rows = -(-n // _ROW_BLOCKS)
    for i in range(0, n, rows):
        np.matmul(values[i : i + rows] * v, values[i:].T, out=part[i : i + rows, i:])
    return part


def _hermitian(upper: np.ndarray, n: int) -> np.ndarray:
    """⟨φ_μ|V|φ_ν⟩ of n orbitals from the upper part of the products of all their rows."""
    upper = np.triu(upper)
    s = upper + np.triu(upper, 1).T
    if len(s) == n:
        return s
    return np.asarray(s[:n, :n] + s[n:, n:] + 1j * (s[:n, n:] - s[n:, :n]))


def _orthonormal(s: np.ndarray) -> np.ndarray:
    """By Cholesky where the basis is well conditioned; otherwise canonical, without the linearly
    dependent combinations.
    """
    try:
        lower = scipy.linalg.cholesky(s, lower=True)
    except scipy.linalg.LinAlgError:
        lower = np.zeros((1, 1))
    if np.diag(lower).real.min() ** 2 > 100 * _DEPENDENT:
        inverse = scipy.linalg.solve_triangular(lower, np.eye(len(s)), lower=True)
        return np.asarray(inverse.conj().T)
    values, vectors = np.linalg.eigh(s)
    kept = values > _DEPENDENT
    return np.asarray(vectors[:, kept] / np.sqrt(values[kept]))
