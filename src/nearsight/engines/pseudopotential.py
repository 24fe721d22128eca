"""The local part of GTH pseudopotentials on a grid: energy, potential and forces.

In reciprocal space, with x = G r_loc (Goedecker, Teter, Hutter, PRB 54, 1703 (1996), eqs. 1 and 5):

    v(G) = −4πZ/G² e^{−x²/2} + (2π)^{3/2} r_loc³ e^{−x²/2}
           [C1 + C2 (3 − x²) + C3 (15 − 10x² + x⁴) + C4 (105 − 105x² + 21x⁴ − x⁶)]

At G = 0 the divergence cancels against the other Coulomb terms of a neutral cell and leaves
2πZ r_loc² plus the bracket. The potential of the cell is Σ_a v(G) e^{−iG·R_a}/Ω. The non-local part
depends on orbitals, not on the density: its integrals are in `nearsight.engines.lcao`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from ase.data import chemical_symbols
from pyscf.lib.exceptions import BasisNotFoundError
from pyscf.pbc.gto import pseudo

from nearsight.errors import UnknownElementError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure


class RadialForm(Protocol):
    """What every atom of an element adds to a field, in reciprocal space."""

    def fourier(self, g_squared: np.ndarray) -> np.ndarray:
        """∫ f(r) exp(−iG·r) dr at |G|² (1/bohr²), any shape; finite at G = 0."""
        ...


@dataclass(frozen=True)
class GthPotential:
    """A GTH pseudopotential of one element.

    Attributes
    ----------
    number : int
        Atomic number.
    charge : float
        Z, the valence electrons.
    r_loc : float
        Bohr.
    coefficients : tuple of float
        C1 … C4, as many as there are, hartree.
    """

    number: int
    charge: float
    r_loc: float
    coefficients: tuple[float, ...]

    def fourier(self, g_squared: np.ndarray) -> np.ndarray:
        """v(G) in hartree·bohr³ at |G|² (1/bohr²); the G = 0 value is finite, as above."""
        x2 = g_squared * self.r_loc**2
        decay = np.exp(-0.5 * x2)
        polynomials = (
            np.ones_like(x2),
            3 - x2,
            15 - 10 * x2 + x2**2,
            105 - 105 * x2 + 21 * x2**2 - x2**3,
        )
        short = sum((c * p for c, p in zip(self.coefficients, polynomials, strict=False)), np.zeros_like(x2))
        zero = g_squared < 1e-12
        coulomb = -4 * np.pi * self.charge * decay / np.where(zero, 1.0, g_squared)
        coulomb = np.where(zero, 2 * np.pi * self.charge * self.r_loc**2, coulomb)
        return np.asarray(coulomb + (2 * np.pi) ** 1.5 * self.r_loc**3 * decay * short)


@lru_cache(maxsize=256)
def load_gth(family: str, number: int) -> GthPotential:
    """The potential of an element from PySCF's copy of the CP2K tables.

    Raises
    ------
    UnknownElementError
        The family does not have the element.
    """
    symbol = chemical_symbols[number]
    try:
        table = pseudo.load(family, symbol)
    except (BasisNotFoundError, KeyError, RuntimeError):
        raise UnknownElementError(
            f"no pseudopotential '{family}' for {symbol}; choose another element or pseudopotential family"
        ) from None
    electrons, r_loc, n_terms, coefficients = table[:4]
    return GthPotential(number, float(sum(electrons)), float(r_loc), tuple(coefficients[:n_terms]))


def local_potential(
    structure: Structure, grid: UniformGrid, potentials: Mapping[int, RadialForm]
) -> np.ndarray:
    """Local pseudopotential of all atoms on the grid in hartree, shape (n1, n2, n3).

    Its integral with the density is the energy, of which it is the derivative.
    """
    total = np.zeros(grid.g_squared.shape, dtype=np.complex128)
    for number in structure.species:
        mine = structure.fractional[structure.numbers == number]
        total += potentials[number].fourier(grid.g_squared) * structure_factor(grid, mine)
    return grid.ifft(total) * (grid.n_points / grid.volume)


def local_forces(structure: Structure, rho: ScalarField, potentials: Mapping[int, RadialForm]) -> np.ndarray:
    """Forces −∂/∂R ∫ρ V_loc in hartree/bohr at fixed density, shape (n_atoms, 3)."""
    grid = rho.grid
    weighted = np.conj(grid.fft(rho.values)) * grid.wave_weights / grid.n_points
    g = grid.g_vectors()
    forces = np.zeros((structure.n_atoms, 3))
    radial = {number: potentials[number].fourier(grid.g_squared) for number in structure.species}
    for i, (number, fractional) in enumerate(zip(structure.numbers, structure.fractional, strict=True)):
        product = radial[int(number)] * weighted
        pull = np.imag(product * structure_factor(grid, fractional[None]))
        forces[i] = -np.einsum("xijk,ijk->x", g, pull, optimize=True)
    return forces


def structure_factor(grid: UniformGrid, fractional: np.ndarray) -> np.ndarray:
    """Σ_a exp(−iG·R_a) of atoms at fractional positions (m, 3), on the real-FFT grid."""
    n1, n2, n3 = grid.shape
    frequencies = (np.fft.fftfreq(n1, 1 / n1), np.fft.fftfreq(n2, 1 / n2), np.fft.rfftfreq(n3, 1 / n3))
    f1, f2, f3 = (np.exp(-2j * np.pi * np.outer(fractional[:, x], frequencies[x])) for x in range(3))
    plane = (f1[:, :, None] * f2[:, None, :]).reshape(len(fractional), -1)
    return (plane.T @ f3).reshape(grid.g_squared.shape)
