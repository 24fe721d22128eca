"""Ewald's sums differentiated with respect to a strain of the cell.

With r → (1 + ε)r and G → (1 − ε)G, term by term of `nearsight.engines.ewald` at fixed splitting η (Nielsen
and Martin, PRB 32, 3792 (1985), appendix B).
"""

import numpy as np

from nearsight.engines.ewald import balanced_splitting, reciprocal_blocks, screened_pairs
from nearsight.structure import Structure


def ewald_strain_derivative(
    structure: Structure, charges: np.ndarray, eta: float | None = None
) -> np.ndarray:
    """∂E/∂ε_ij of point charges in a neutralising background, hartree, shape (3, 3).

    Parameters
    ----------
    structure : Structure
    charges : ndarray (n_atoms,)
        Ionic charges in units of e.
    eta : float, optional
        Splitting parameter in 1/bohr; the result does not depend on it.
    """
    if eta is None:
        eta = balanced_splitting(structure)
    background = np.pi / (2 * structure.volume * eta**2) * float(charges.sum()) ** 2
    return (
        _real_space(structure, charges, eta)
        + _reciprocal_space(structure, charges, eta)
        + background * np.eye(3)
    )


def _real_space(structure: Structure, charges: np.ndarray, eta: float) -> np.ndarray:
    total = np.zeros((3, 3))
    for vectors, _, pulls in screened_pairs(structure, charges, eta):
        total -= 0.5 * np.einsum("n,ni,nj->ij", pulls, vectors, vectors)
    return total


def _reciprocal_space(structure: Structure, charges: np.ndarray, eta: float) -> np.ndarray:
    total = np.zeros((3, 3))
    for g, weights, phases in reciprocal_blocks(structure, eta):
        energies = weights * np.abs(phases @ charges) ** 2
        slopes = energies * (2 / np.einsum("gx,gx->g", g, g) + 1 / (2 * eta**2))
        total += np.einsum("g,gi,gj->ij", slopes, g, g) - energies.sum() * np.eye(3)
    return total
