"""Forces of a converged state: minus the derivative of its free energy with respect to the atoms.

Orbitals move with their atoms, so besides the Ewald and pseudopotential terms there are Pulay's:

    F_a = 2 Σ_{μ∈a} Σ_ν { P_μν ⟨∇φ_μ|T + V|φ_ν⟩ − W_μν ⟨∇φ_μ|φ_ν⟩ } + F_nl + F_loc + F_ewald,

P = C f Cᵀ, W = C f ε Cᵀ, V the total local potential on the grid (Pulay, Mol. Phys. 17, 197 (1969)).
Occupations need no term: the free energy is stationary with respect to them. The grid's integrals
are differentiated as they stand, so energies and forces agree on any grid.
"""

import numpy as np

from nearsight.engines.lcao import integrals
from nearsight.engines.lcao.hamiltonian import Geometry
from nearsight.engines.lcao.scf import Diagonalised
from nearsight.engines.pseudopotential import local_forces
from nearsight.field import ScalarField


def forces(geometry: Geometry, states: Diagonalised, rho: ScalarField, potential: np.ndarray) -> np.ndarray:
    """Forces on all atoms in hartree/bohr, shape (n_atoms, 3).

    Their sum is not zero but what the grid exerts on the atoms, and shrinks with its spacing.

    Parameters
    ----------
    geometry : Geometry
    states : Diagonalised
        Converged orbitals.
    rho : ScalarField
        Their density.
    potential : ndarray (n1, n2, n3)
        Total local potential of that density, hartree.
    """
    c, f = states.occupied
    eigenvalues = states.eigenvalues[states.occupations.values[0] > 1e-14]
    p = (c * f) @ c.T
    w = (c * (f * eigenvalues)) @ c.T
    total = geometry.ewald[1] + local_forces(geometry.structure, rho, geometry.potentials)
    total += integrals.nonlocal_forces(geometry.cell, p)
    moved = np.einsum("mn,xmn->mx", p, integrals.kinetic_gradient(geometry.cell), optimize=True)
    moved -= np.einsum("mn,xmn->mx", w, integrals.overlap_gradient(geometry.cell), optimize=True)
    total += 2 * np.array([moved[atom].sum(axis=0) for atom in geometry.orbitals.slices])
    total += 2 * _grid_pulay(geometry, c, f, potential)
    return total


def _grid_pulay(
    geometry: Geometry, coefficients: np.ndarray, occupations: np.ndarray, potential: np.ndarray
) -> np.ndarray:
    """Σ_{μ∈a} Σ_g V ∇φ_μ (Pφ)_μ dv for each atom, in blocks of the grid."""
    v = potential.ravel() * geometry.grid.dv
    weighted = coefficients * occupations

    def one(planes: range, points: slice, values: np.ndarray) -> np.ndarray:
        psi = coefficients.T @ values
        psi *= v[points]
        return geometry.orbitals.contract_gradients(weighted @ psi, planes)

    return np.asarray(sum(geometry.orbitals.map(one)))
