"""Integrals that do not depend on the density, by PySCF: overlap, kinetic, non-local pseudopotential.

Bloch sums over all images within PySCF's own cut-off (precision 1e-8). PySCF's SCF is not used anywhere.
"""

from typing import Any

import numpy as np
from ase.data import chemical_symbols
from pyscf.lib import with_omp_threads
from pyscf.pbc import gto
from pyscf.pbc.gto.pseudo import pp_int

from nearsight.engines.kpoints import KPoints
from nearsight.engines.lcao.bases import element_basis
from nearsight.engines.pseudopotential import load_gth
from nearsight.structure import Structure


def build_cell(structure: Structure, basis: str, pseudopotential: str, basis_file: str | None = None) -> Any:
    """PySCF's description of a structure, positions wrapped into the cell.

    Parameters
    ----------
    structure : Structure
    basis, pseudopotential : str
        Their names.
    basis_file : str, optional
        As in `element_basis`.

    Raises
    ------
    UnknownElementError
        No basis or no pseudopotential for an element.
    """
    cell = gto.Cell()
    cell.unit = "B"
    # a left-handed lattice is the same lattice with one vector reversed; PySCF wants a right-handed one
    sign = np.sign(np.linalg.det(structure.cell))
    cell.a = structure.cell * np.array([1.0, 1.0, sign])[:, None]
    wrapped = (structure.fractional - np.floor(structure.fractional)) @ structure.cell
    symbols = [chemical_symbols[z] for z in structure.numbers]
    cell.atom = list(zip(symbols, wrapped.tolist(), strict=True))
    charges = {z: load_gth(pseudopotential, z).charge for z in structure.species}
    cell.basis = {
        chemical_symbols[z]: element_basis(basis, z, charge, basis_file) for z, charge in charges.items()
    }
    cell.pseudo = pseudopotential
    cell.spin = int(sum(charges[int(z)] for z in structure.numbers)) % 2
    cell.verbose = 0
    cell.build(dump_input=False, parse_arg=False)
    return cell


class Integrals:
    """Integrals of a structure's Bloch orbitals, each a list with one array for each wave vector.

    Arrays are real where orbitals can be chosen real, complex otherwise.

    Parameters
    ----------
    structure : Structure
    cell : pyscf.pbc.gto.Cell
        What `build_cell` made of the structure.
    k_points : KPoints, optional
        The Γ point unless given.
    """

    def __init__(self, structure: Structure, cell: Any, k_points: KPoints | None = None) -> None:
        self.cell = cell
        self.k_points = k_points or KPoints.gamma()
        # in 1/bohr and of the structure's own vectors: the cell's third one may be reversed
        self._kpts = self.k_points.cartesian(structure.cell)

    def overlap(self) -> list[np.ndarray]:
        """⟨φ_μ|φ_ν⟩, shape (n_orbitals, n_orbitals)."""
        return self._real_where_possible(self.cell.pbc_intor("int1e_ovlp", hermi=1, kpts=self._kpts))

    def kinetic(self) -> list[np.ndarray]:
        """⟨φ_μ|−½∇²|φ_ν⟩ in hartree."""
        return self._real_where_possible(self.cell.pbc_intor("int1e_kin", hermi=1, kpts=self._kpts))

    def nonlocal_pseudopotential(self) -> list[np.ndarray]:
        """Non-local GTH matrix Σ ⟨φ_μ|p_i⟩ h_ij ⟨p_j|φ_ν⟩ in hartree."""
        return self._real_where_possible(pp_int.get_pp_nl(self.cell, self._kpts))

    def overlap_gradient(self) -> list[np.ndarray]:
        """⟨∇φ_μ|φ_ν⟩, shape (3, n_orbitals, n_orbitals)."""
        return self._real_where_possible(self.cell.pbc_intor("int1e_ipovlp", kpts=self._kpts))

    def kinetic_gradient(self) -> list[np.ndarray]:
        """⟨∇φ_μ|−½∇²|φ_ν⟩ in hartree/bohr, shape (3, n_orbitals, n_orbitals)."""
        return self._real_where_possible(self.cell.pbc_intor("int1e_ipkin", kpts=self._kpts))

    def nonlocal_forces(self, density_matrices: list[np.ndarray]) -> np.ndarray:
        """Forces of the non-local pseudopotential at fixed density matrices, shape (n_atoms, 3).

        Parameters
        ----------
        density_matrices : list of ndarray (n_orbitals, n_orbitals)
            The weights of the wave vectors included.
        """
        with with_omp_threads(1):  # PySCF's threads add up in any order, so the last bits would vary
            if self.k_points.is_gamma:
                return -np.asarray(pp_int.vppnl_nuc_grad(self.cell, density_matrices[0]))
            matrices = np.array(density_matrices, dtype=np.complex128)
            return -np.asarray(pp_int.vppnl_nuc_grad(self.cell, matrices, self._kpts))

    def _real_where_possible(self, matrices: Any) -> list[np.ndarray]:
        return [
            np.ascontiguousarray(one.real if real else one)
            for one, real in zip(matrices, self.k_points.is_real, strict=True)
        ]
