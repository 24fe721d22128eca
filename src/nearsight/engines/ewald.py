"""Ewald: the Coulomb energy of point ions in a uniform neutralising background, and its forces.

E = ½ Σ' q_i q_j erfc(η r)/r  +  2π/Ω Σ_{G≠0} exp(−G²/4η²)/G² |S(G)|²
    − η/√π Σ q_i²  −  π/(2Ωη²) (Σ q_i)²

(Ewald, Ann. Phys. 369, 253 (1921); Martin, Electronic Structure, app. F). The result does not depend
on the splitting η, which a test checks; η only balances the work of the two sums.
"""

from collections.abc import Iterator

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
        eta = balanced_splitting(structure)
    short, short_forces = _real_space(structure, charges, eta)
    long, long_forces = _reciprocal_space(structure, charges, eta)
    own = -eta / np.sqrt(np.pi) * float(np.sum(charges**2))
    background = -np.pi / (2 * structure.volume * eta**2) * float(charges.sum()) ** 2
    return float(short + long + own + background), short_forces + long_forces


def balanced_splitting(structure: Structure) -> float:
    """The η in 1/bohr that gives both sums about the same work."""
    return float(np.sqrt(np.pi) * (structure.n_atoms / structure.volume**2) ** (1 / 6))


def screened_pairs(
    structure: Structure, charges: np.ndarray, eta: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Screened repulsion of each atom in the cell and all images within reach.

    Yields
    ------
    vectors : ndarray (n, 3)
        From the images to the atom, bohr.
    energies : ndarray (n,)
        q_i q_j erfc(η r)/r in hartree.
    pulls : ndarray (n,)
        What a vector is multiplied with to give the force on the atom.
    """
    cells = CellList.build(structure, _REACH / eta)
    for charge, position in zip(charges, cells.wrap(structure.positions), strict=True):
        vectors = position - cells.positions
        r = np.linalg.norm(vectors, axis=1)
        near = (r < cells.cutoff) & (r > 1e-8)
        vectors, r, product = vectors[near], r[near], charge * charges[cells.atom[near]]
        screened = product * erfc(eta * r) / r
        slope = screened + product * 2 * eta / np.sqrt(np.pi) * np.exp(-((eta * r) ** 2))
        yield vectors, screened, slope / r**2


def reciprocal_blocks(
    structure: Structure, eta: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Half of reciprocal space (G and −G are equal), in blocks.

    Yields
    ------
    g : ndarray (n, 3)
        Reciprocal vectors, 1/bohr.
    weights : ndarray (n,)
        What |S(G)|² is multiplied with to give the energy of ±G, hartree.
    phases : ndarray (n, n_atoms)
        exp(iG·R).
    """
    g_all = _half_sphere(structure, 2 * eta * _REACH)
    size = max(1, _BLOCK // structure.n_atoms)
    for start in range(0, len(g_all), size):
        g = g_all[start : start + size]
        g2 = np.einsum("gx,gx->g", g, g)
        weights = 4 * np.pi / structure.volume * np.exp(-g2 / (4 * eta**2)) / g2
        yield g, weights, np.exp(1j * (g @ structure.positions.T))


def _real_space(structure: Structure, charges: np.ndarray, eta: float) -> tuple[float, np.ndarray]:
    energy, forces = 0.0, np.zeros((structure.n_atoms, 3))
    for i, (vectors, energies, pulls) in enumerate(screened_pairs(structure, charges, eta)):
        energy += 0.5 * float(energies.sum())
        forces[i] = pulls @ vectors
    return energy, forces


def _reciprocal_space(structure: Structure, charges: np.ndarray, eta: float) -> tuple[float, np.ndarray]:
    energy, forces = 0.0, np.zeros((structure.n_atoms, 3))
    for g, weights, phases in reciprocal_blocks(structure, eta):
        factor = phases @ charges
        energy += float(weights @ np.abs(factor) ** 2)
        # dE/dR_i = 2 w Re(conj(S) · i G q_i exp(iG·R_i))
        pull = np.imag(np.conj(factor)[:, None] * phases) * weights[:, None]
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
