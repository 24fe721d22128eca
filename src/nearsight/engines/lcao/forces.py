"""Forces of a converged state: minus the derivative of its free energy with respect to the atoms.

Orbitals move with their atoms, so besides the Ewald and pseudopotential terms there are Pulay's:

    F_a = 2 Re Σ_k w_k Σ_{μ∈a} Σ_ν { P_νμ ⟨∇φ_μ|T + V|φ_ν⟩ − W_νμ ⟨∇φ_μ|φ_ν⟩ } + F_nl + F_loc + F_ewald,

P = C f C†, W = C f ε C† at each wave vector k, V the total local potential on the grid (Pulay, Mol. Phys.
17, 197 (1969)). Occupations need no term: the free energy is stationary with respect to them. The grid's
integrals are differentiated as they stand, so energies and forces agree on any grid.
"""

import numpy as np

from nearsight.engines.lcao.hamiltonian import Geometry, real_form
from nearsight.engines.lcao.orbitals import Block, Waves
from nearsight.engines.lcao.scf import EMPTY, Diagonalised
from nearsight.engines.pseudopotential import local_forces
from nearsight.field import ScalarField


def forces(geometry: Geometry, states: Diagonalised, rho: ScalarField, potential: np.ndarray) -> np.ndarray:
    """Forces on all atoms in hartree/bohr, shape (n_atoms, 3), symmetrised.

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
    total = geometry.ewald[1] + local_forces(geometry.structure, rho, geometry.potentials)
    total += _matrix_terms(geometry, states)
    total += 2 * _grid_pulay(geometry, states, potential)
    symmetry = geometry.k_points.symmetry
    return total if symmetry is None else symmetry.symmetrise_forces(total)


def _matrix_terms(geometry: Geometry, states: Diagonalised) -> np.ndarray:
    """What the integrals that do not depend on the density exert on the atoms."""
    kinetic, overlap = geometry.integrals.kinetic_gradient(), geometry.integrals.overlap_gradient()
    matrices, moved = [], np.zeros((geometry.orbitals.n_orbitals, 3))
    for k, (weight, (c, f)) in enumerate(zip(geometry.k_points.weights, states.occupied, strict=True)):
        eigenvalues = states.eigenvalues[k][states.occupations.values[k] > EMPTY]
        p = (c * (weight * f)) @ c.conj().T
        w = (c * (weight * f * eigenvalues)) @ c.conj().T
        moved += np.einsum("mn,xmn->mx", p.conj(), kinetic[k], optimize=True).real
        moved -= np.einsum("mn,xmn->mx", w.conj(), overlap[k], optimize=True).real
        matrices.append(p)
    pulay = 2 * np.array([moved[atom].sum(axis=0) for atom in geometry.orbitals.slices])
    return pulay + geometry.integrals.nonlocal_forces(matrices)


def _grid_pulay(geometry: Geometry, states: Diagonalised, potential: np.ndarray) -> np.ndarray:
    """Re Σ_k w_k Σ_{μ∈a} Σ_g V ∇φ_μ* (P φ)_μ dv for each atom, in blocks of the grid."""
    v = potential * geometry.grid.dv
    forms = [
        (real_form(c), real_form(c * (weight * f)))
        for weight, (c, f) in zip(geometry.k_points.weights, states.occupied, strict=True)
    ]

    def one(block: Block, waves: Waves, values: np.ndarray) -> np.ndarray:
        weights = np.empty(values.shape)
        for k, rows in waves.rows(geometry.orbitals.n_orbitals):
            plain, weighted = forms[k]
            psi = plain @ values[rows]
            psi *= block.of(v)
            np.matmul(weighted.T, psi, out=weights[rows])
        return geometry.orbitals.contract_gradients(weights, block, waves)

    return np.asarray(sum(geometry.orbitals.map_groups(one)))
