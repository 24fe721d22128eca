"""How fine a grid an element needs, from its pseudopotential and its free atom's density.

A grid of spacing h holds waves up to π/h. Two things must be gone there, both of them known before any
calculation:

- the local pseudopotential, which decays as exp(−G² r_loc²/2): h ≤ 0.75 r_loc, though no finer than
  0.20 bohr on this account, which is what water (r_loc 0.20 and 0.24) is usually given;
- the density: no wave beyond π/h of the free atom's density may hold more than 0.01 electrons. This is
  what decides for d electrons and semicore states, whose r_loc says nothing of them (Cu, Zn).

Never coarser than 0.32 bohr. Measured against a grid of 0.10 bohr the energy is then within 1e-4
hartree per atom for simple metals, semiconductors and C, and within 1e-3 for water and transition
metals, whose single forces are within 1e-2 hartree/bohr: use 0.12–0.16 bohr where forces matter.
"""

from collections.abc import Mapping

import numpy as np
from ase.data import chemical_symbols
from scipy.integrate import simpson

from nearsight.atomic.radial import RadialDensity
from nearsight.engines.pseudopotential import GthPotential
from nearsight.grid import UniformGrid

_PER_R_LOC, _FINEST_BY_R_LOC = 0.75, 0.20
#: electrons that one wave of the free atom's density may hold beyond the grid's reach
_SMALLEST_WAVE = 0.01
_COARSEST, _FINEST, _STEP = 0.32, 0.08, 0.005
#: how many times coarser than needed a grid may be before it is worth a warning
_COARSE = 1.05


def required_spacing(potential: GthPotential, atom: RadialDensity) -> float:
    """Spacing in bohr that an element needs, by the two rules above."""
    by_potential = max(_PER_R_LOC * potential.r_loc, _FINEST_BY_R_LOC)
    return min(by_potential, _spacing_by_density(atom))


def coarseness(grid: UniformGrid, needed: Mapping[int, float]) -> tuple[str, ...]:
    """A warning where a grid is coarser than some element needs.

    Parameters
    ----------
    grid : UniformGrid
    needed : mapping of int to float
        Spacing in bohr that each element needs, by atomic number.
    """
    hardest = min(needed, key=lambda z: needed[z])
    found = float(grid.spacing.max())
    if found <= _COARSE * needed[hardest]:
        return ()
    return (
        f"the grid's spacing of {found:.3f} bohr is coarser than the {needed[hardest]:.3f} bohr that "
        f"{chemical_symbols[hardest]} needs: energies and forces ripple with the atoms' places on the grid",
    )


def _spacing_by_density(atom: RadialDensity) -> float:
    """The coarsest spacing for which |ρ(G)| stays below `_SMALLEST_WAVE` from π/h on."""
    spacings = np.arange(_FINEST, _COARSEST + _STEP / 2, _STEP)
    waves = np.abs(fourier_transform(atom, np.pi / spacings))
    large = np.flatnonzero(waves > _SMALLEST_WAVE)
    return float(spacings[max(large[0] - 1, 0)] if len(large) else _COARSEST)


def fourier_transform(atom: RadialDensity, g: np.ndarray) -> np.ndarray:
    """ρ(G) = 4π ∫ρ(r) sin(Gr)/(Gr) r² dr in electrons at wave numbers `g` (1/bohr), shape (n,)."""
    r = np.linspace(0.0, atom.cutoff, 4001)
    waves = np.sinc(np.outer(g, r) / np.pi)
    return np.asarray(simpson(4 * np.pi * waves * atom(r) * r**2, x=r, axis=1))
