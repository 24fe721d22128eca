"""Do a density and the positions of a file belong together?

Atoms of one element look alike to first order, so that ρ(G) ≈ Σ_s f_s(|G|) Σ_{a∈s} exp(−iG·R_a) with
one smooth function f_s an element. The functions are fitted as sums of Gaussians of either sign (the
density of a pseudo-atom has a hole in it) to the longest waves; the share of Σ|ρ(G)|² that they
explain is near one for the right positions and falls quickly for others.
"""

from collections.abc import Sequence

import numpy as np

from nearsight.structure import Structure

#: widths of the Gaussians in bohr
_WIDTHS = (0.2, 0.35, 0.6, 1.0, 1.5, 2.2)
#: so many of the longest waves are compared
_WAVES = 3000
#: variance, as a share of the squared mean, that is rounding and no variation
_UNIFORM = 1e-20
#: a share below which positions and density have nothing to do with each other; 32-atom Al at the Γ
#: point has 0.97, two Al atoms far from any crystal, the worst of the true ones seen, 0.82
LOWEST_SHARE = 0.6


def explained_share(structure: Structure, density: np.ndarray) -> float:
    """Share of a density's variation that spherical atoms at the structure's positions explain.

    Parameters
    ----------
    structure : Structure
    density : ndarray (n1, n2, n3)
        On a grid of the structure's cell, any unit.

    Returns
    -------
    float
        Between 0 and 1; 1 for a density that does not vary.
    """
    return explained_shares([structure], density)[0]


def explained_shares(structures: Sequence[Structure], density: np.ndarray) -> list[float]:
    """`explained_share` of several readings of the positions in one cell, that of the first.

    `density` has shape (n1, n2, n3), e/bohr³; the shares lie between 0 and 1.
    """
    g, coefficients, weight = _longest_waves(structures[0].cell, density)
    total = float(np.sum(weight * np.abs(coefficients) ** 2))
    if not total > _UNIFORM * float(np.mean(density)) ** 2:
        return [1.0 for _ in structures]
    return [1 - _unexplained(structure, g, coefficients, weight) / total for structure in structures]


def _unexplained(structure: Structure, g: np.ndarray, coefficients: np.ndarray, weight: np.ndarray) -> float:
    """What of Σ w |ρ(G)|² is left after the best fit."""
    g2 = np.einsum("ij,ij->i", g, g)
    columns = []
    for species in structure.species:
        factor = np.exp(-1j * (g @ structure.positions[structure.numbers == species].T)).sum(axis=1)
        columns += [factor * np.exp(-g2 * width**2 / 2) for width in _WIDTHS]
    basis = np.sqrt(weight)[:, None] * np.stack(columns, axis=1)
    target = np.sqrt(weight) * coefficients
    basis, target = np.concatenate([basis.real, basis.imag]), np.concatenate([target.real, target.imag])
    basis /= np.maximum(np.linalg.norm(basis, axis=0), np.finfo(float).tiny)
    rest = target - basis @ np.linalg.lstsq(basis, target, rcond=1e-6)[0]
    return float(rest @ rest)


def _longest_waves(cell: np.ndarray, density: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """G vectors (m, 3), coefficients (m,), and how often each counts (m,); G = 0 is left out.

    One of each pair ±G. So few coefficients come faster from three products with cosines and sines
    than from a Fourier transform of the whole grid.
    """
    volume = abs(np.linalg.det(cell))
    longest = np.cbrt(2 * _WAVES * 6 * np.pi**2 / volume)
    limits = np.ceil(longest * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    m1, m2, m3 = (min(int(m), (n - 1) // 2) for m, n in zip(limits, density.shape, strict=True))
    ranges = [np.arange(-m1, m1 + 1), np.arange(-m2, m2 + 1), np.arange(m3 + 1)]
    miller = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    g = miller @ (2 * np.pi * np.linalg.inv(cell).T)
    g2 = np.einsum("ij,ij->i", g, g)
    chosen = (g2 > 0) & (g2 <= longest**2)
    weight = np.where(miller[chosen, 2] == 0, 1.0, 2.0)
    return g[chosen], _coefficients(density, ranges).ravel()[chosen], weight


def _coefficients(density: np.ndarray, ranges: Sequence[np.ndarray]) -> np.ndarray:
    """(1/N) Σ_r ρ(r) exp(−2πi m·x) for the Miller indices of `ranges`, as a grid of them."""
    waves = [
        np.exp(-2j * np.pi / n * np.outer(np.arange(n), m))
        for n, m in zip(density.shape, ranges, strict=True)
    ]
    last = density @ waves[2].real + 1j * (density @ waves[2].imag)
    second = np.tensordot(waves[1], last, axes=(0, 1))
    return np.asarray(np.tensordot(waves[0], second, axes=(0, 1))) / density.size
