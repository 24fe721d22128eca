"""The Hartree term: classical repulsion of the density with itself.

E[ρ] = ½ ∬ ρ(r) ρ(r')/|r − r'| dr dr' with the G = 0 component left out; δE/δρ = V_H. On the grid the
potential is the exact derivative of the discrete energy, because the Coulomb kernel is symmetric.
The electrons feel no force from this term alone: it has no explicit dependence on the atoms.
"""

import numpy as np

from nearsight.field import ScalarField
from nearsight.poisson import hartree_potential


def hartree(rho: ScalarField) -> tuple[float, np.ndarray]:
    """Energy (hartree) and potential (hartree, on the grid, average zero) of a density."""
    potential = hartree_potential(rho).values
    return 0.5 * float(np.vdot(rho.values, potential)) * rho.grid.dv, potential
