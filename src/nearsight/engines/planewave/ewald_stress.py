"""Ewald's sums differentiated with respect to a strain of the cell.

With r → (1 + ε)r and G → (1 − ε)G, term by term of `nearsight.engines.ewald` at fixed splitting η (Nielsen
and Martin, PRB 32, 3792 (1985), appendix B).
"""

import numpy as np
from scipy.special import erfc

from nearsight.neighbours import CellList
from nearsight.structure import Structure

#: both sums stop where the Gaussian has fallen to exp(−REACH²) ≈ 2e-17
_REACH = 6.2
#: plane waves in a block of the reciprocal sum times atoms: bounds its memory
_BLOCK = 2_000_000


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
        eta = float(np.sqrt(np.pi) * (structure.n_atoms / structure.volume**2) ** (1 / 6))
    background = np.pi / (2 * structure.volume * eta**2) * float(charges.sum()) ** 2
    return (
        _real_space(structure, charges, eta)
        + _reciprocal_space(structure, charges, eta)
        + background * np.eye(3)
    )


def _real_space(structure: Structure, charges: np.ndarray, eta: float) -> np.ndarray:
    cells = CellList.build(structure, _REACH / eta)
    total = np.zeros((3, 3))
    for charge, position in zip(charges, cells.wrap(structure.positions), strict=True):
        vectors = position - cells.positions
        r = np.linalg.norm(vectors, axis=1)
        near = (r < cells.cutoff) & (r > 1e-8)
        vectors, r, product = vectors[near], r[near], charge * charges[cells.atom[near]]
        slope = product * (erfc(eta * r) / r + 2 * eta / np.sqrt(np.pi) * np.exp(-((eta * r) ** 2)))
        total -= 0.5 * np.einsum("n,ni,nj->ij", slope / r**2, vectors, vectors)
    return total


def _reciprocal_space(structure: Structure, charges: np.ndarray, eta: float) -> np.ndarray:
    reach = np.ceil(2 * eta * _REACH * np.linalg.norm(structure.cell, axis=1) / (2 * np.pi)).astype(int)
    axes = [np.arange(-n, n + 1) for n in reach]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    g_all = index[len(index) // 2 + 1 :] @ (2 * np.pi * np.linalg.inv(structure.cell).T)  # one of each ±G
    total = np.zeros((3, 3))
    size = max(1, _BLOCK // structure.n_atoms)
    for start in range(0, len(g_all), size):
        g = g_all[start : start + size]
        g2 = np.einsum("gx,gx->g", g, g)
        factor = np.abs(np.exp(1j * (g @ structure.positions.T)) @ charges) ** 2
        energy = 4 * np.pi / structure.volume * np.exp(-g2 / (4 * eta**2)) / g2 * factor
        total += np.einsum("g,gi,gj->ij", energy * (2 / g2 + 1 / (2 * eta**2)), g, g) - energy.sum() * np.eye(
            3
        )
    return total
