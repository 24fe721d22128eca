"""Forces of a converged state: plane waves do not move with atoms, so Hellmann and Feynman's are all.

    F_a = F_ewald − ∂/∂R_a { ∫V_loc ρ + Σ f⟨ψ|V_nl|ψ⟩ + E_xc[ρ + ρ_core] }

at fixed ρ and ψ; the last is −∫ v_xc ∂ρ_core/∂R_a (Payne et al., Rev. Mod. Phys. 64, 1045 (1992); core
correction: Dal Corso et al., Ricerca Scientifica ed Educazione Permanente 107 (1993)).
"""

import numpy as np

from nearsight.engines.planewave.geometry import Geometry
from nearsight.engines.planewave.states import States
from nearsight.engines.planewave.threads import Workers
from nearsight.engines.pseudopotential import local_forces
from nearsight.field import ScalarField


def forces(
    geometry: Geometry, states: States, rho: ScalarField, v_xc: np.ndarray, workers: Workers
) -> np.ndarray:
    """Forces on all atoms in hartree/bohr, shape (n_atoms, 3).

    Their sum is not zero but what the grid of exchange and correlation exerts on the atoms.

    Parameters
    ----------
    geometry : Geometry
    states : States
        Converged orbitals.
    rho : ScalarField
        Their density.
    v_xc : ndarray (n1, n2, n3)
        Exchange-correlation potential of that density and the core's, hartree.
    workers : Workers
    """
    total = np.zeros((geometry.structure.n_atoms, 3))
    for k, weight in enumerate(geometry.k_points.weights):
        f = states.weighted(k, float(weight))
        total += geometry.projectors[k].forces(states.vectors[k], f, workers)
    if geometry.k_points.symmetry is not None:
        total = geometry.k_points.symmetry.symmetrise_forces(total)
    total += geometry.ewald[1] + local_forces(geometry.structure, rho, geometry.local_forms)
    if geometry.has_core:
        total += local_forces(geometry.structure, ScalarField(geometry.grid, v_xc), geometry.core_forms)
    return total
