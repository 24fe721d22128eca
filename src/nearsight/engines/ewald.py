"""Ewald: the Coulomb energy of point ions in a uniform neutralising background, and its forces.

E = ½ Σ' q_i q_j erfc(η r)/r  +  2π/Ω Σ_{G≠0} exp(−G²/4η²)/G² |S(G)|²
    − η/√π Σ q_i²  −  π/(2Ωη²) (Σ q_i)²

(Ewald, Ann. Phys. 369, 253 (1921); Martin, Electronic Structure, app. F). The result does not depend
on the splitting η, which a test checks; η only balances the work of the two sums.
"""

import numpy as np
from scipy.special import erfc

from nearsight.neighbours import CellList
from nearsight.structure import Structure

#: both sums stop where the Gaussian has fallen to exp(−REACH²) ≈ 2e-17
_REACH = 6.2
#: plane waves in a block of the reciprocal sum times atoms: bounds its memory
_BLOCK = 2_000_000


def ewald(structure: Structure, charges: np.ndarray, eta: float | None = None) -> tuple[float, np.ndarray]:
    """Energy and forces of point charges in a neutralising background.

    Parameters
    ----------
    structure : Structure
    charges : ndarray (n_atoms,)
        Ionic charges in units of e.
    eta : float, optional
        Splitting parameter in 1/bohr.

    Returns
    -------
    energy : float
        Hartree per cell.
    forces : ndarray (n_atoms, 3)
        Hartree/bohr.
    """
    if eta is None:
        eta = float(np.sqrt(np.pi) * (structure.n_atoms / structure.volume**2) ** (1 / 6))
    short, short_forces = _real_space(structure, charges, eta)
    long, long_forces = _reciprocal_space(structure, charges, eta)
    own = -eta / np.sqrt(np.pi) * float(np.sum(charges**2))
    background = -np.pi / (2 * structure.volume * eta**2) * float(charges.sum()) ** 2
    return float(short + long + own + background), short_forces + long_forces


def _real_space(structure: Structure, charges: np.ndarray, eta: float) -> tuple[float, np.ndarray]:
    """Screened repulsion of all pairs of an atom in the cell and an image within reach."""
    cells = CellList.build(structure, _REACH / eta)
    wrapped = cells.wrap(structure.positions)
    energy, forces = 0.0, np.zeros((structure.n_atoms, 3))
    for i, position in enumerate(wrapped):
        vectors = position - cells.positions
        r = np.linalg.norm(vectors, axis=1)
        near = (r < cells.cutoff) & (r > 1e-8)
        vectors, r, product = vectors[near], r[near], charges[i] * charges[cells.atom[near]]
        screened = product * erfc(eta * r) / r
        slope = screened + product * 2 * eta / np.sqrt(np.pi) * np.exp(-((eta * r) ** 2))
        energy += 0.5 * float(screened.sum())
        forces[i] = (slope / r**2) @ vectors
    return energy, forces


def _reciprocal_space(structure: Structure, charges: np.ndarray, eta: float) -> tuple[float, np.ndarray]:
    """Plane-wave sum over half of reciprocal space (G and −G are equal), in blocks."""
    g_all = _half_sphere(structure, 2 * eta * _REACH)
    energy, forces = 0.0, np.zeros((structure.n_atoms, 3))
    size = max(1, _BLOCK // structure.n_atoms)
    for start in range(0, len(g_all), size):
        g = g_all[start : start + size]
        g2 = np.einsum("gx,gx->g", g, g)
        weight = 4 * np.pi / structure.volume * np.exp(-g2 / (4 * eta**2)) / g2
        phase = np.exp(1j * (g @ structure.positions.T))
        factor = phase @ charges
        energy += float(weight @ np.abs(factor) ** 2)
        # dE/dR_i = 2 w Re(conj(S) · i G q_i exp(iG·R_i))
        pull = np.imag(np.conj(factor)[:, None] * phase) * weight[:, None]
        forces += 2 * charges[:, None] * (pull.T @ g)
    return energy, forces


def _half_sphere(structure: Structure, cutoff: float) -> np.ndarray:
    """Reciprocal vectors with 0 < |G| < cutoff, one of each pair ±G, shape (n, 3)."""
    reach = np.ceil(cutoff * np.linalg.norm(structure.cell, axis=1) / (2 * np.pi)).astype(int)
    axes = [np.arange(-n, n + 1) for n in reach]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    index = index[len(index) // 2 + 1 :]  # C order: the second half holds one of each pair
    g = index @ (2 * np.pi * np.linalg.inv(structure.cell).T)
    return np.asarray(g[np.einsum("gx,gx->g", g, g) < cutoff**2])
