"""Integrals that do not depend on the density, by PySCF: overlap, kinetic, non-local pseudopotential.

Periodic sums at the Γ point over all images within PySCF's own cut-off (precision 1e-8). PySCF's SCF
is not used anywhere.
"""

import warnings
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from pyscf.gto.basis import load as load_basis
from pyscf.lib.exceptions import BasisNotFoundError
from pyscf.pbc import gto
from pyscf.pbc.gto.pseudo import pp_int

from nearsight.engines.pseudopotential import load_gth
from nearsight.errors import UnknownElementError
from nearsight.structure import Structure


def build_cell(structure: Structure, basis: str, pseudopotential: str) -> Any:
    """PySCF's description of a structure, positions wrapped into the cell.

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
    cell.basis = {chemical_symbols[z]: element_basis(basis, z) for z in structure.species}
    for z in structure.species:
        load_gth(pseudopotential, z)
    cell.pseudo = pseudopotential
    electrons = sum(load_gth(pseudopotential, int(z)).charge for z in structure.numbers)
    cell.spin = int(electrons) % 2
    cell.verbose = 0
    cell.build(dump_input=False, parse_arg=False)
    return cell


def element_basis(basis: str, number: int) -> list[Any]:
    """PySCF's table of an element's contracted shells.

    Raises
    ------
    UnknownElementError
        The basis does not have the element.
    """
    symbol = chemical_symbols[number]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice to install a package that is not needed
            return list(load_basis(basis, symbol))
    except (BasisNotFoundError, KeyError, RuntimeError):
        raise UnknownElementError(
            f"no basis '{basis}' for {symbol}; choose another element or basis"
        ) from None


def overlap(cell: Any) -> np.ndarray:
    """⟨φ_μ|φ_ν⟩, shape (n_orbitals, n_orbitals)."""
    return np.asarray(cell.pbc_intor("int1e_ovlp", hermi=1))


def kinetic(cell: Any) -> np.ndarray:
    """⟨φ_μ|−½∇²|φ_ν⟩ in hartree."""
    return np.asarray(cell.pbc_intor("int1e_kin", hermi=1))


def nonlocal_pseudopotential(cell: Any) -> np.ndarray:
    """Non-local GTH matrix Σ ⟨φ_μ|p_i⟩ h_ij ⟨p_j|φ_ν⟩ in hartree."""
    return np.asarray(pp_int.get_pp_nl(cell))


def overlap_gradient(cell: Any) -> np.ndarray:
    """⟨∇φ_μ|φ_ν⟩, shape (3, n_orbitals, n_orbitals)."""
    return np.asarray(cell.pbc_intor("int1e_ipovlp"))


def kinetic_gradient(cell: Any) -> np.ndarray:
    """⟨∇φ_μ|−½∇²|φ_ν⟩ in hartree/bohr, shape (3, n_orbitals, n_orbitals)."""
    return np.asarray(cell.pbc_intor("int1e_ipkin"))


def nonlocal_forces(cell: Any, density_matrix: np.ndarray) -> np.ndarray:
    """Forces of the non-local pseudopotential at a fixed density matrix, shape (n_atoms, 3)."""
    return -np.asarray(pp_int.vppnl_nuc_grad(cell, density_matrix))
