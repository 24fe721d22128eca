"""How many plane waves an element needs, and which grid holds their density.

Orbitals up to E_cut have |k + G| ≤ √(2 E_cut) and their density twice that, so E_cut is what the free atom's
density asks for: 15 % above the energy from which no wave at 2√(2 E) holds more than 1e-5 electrons, and 12
hartree at least. What is then missing to the complete basis is 1e-4 … 2e-3 hartree per atom
(docs/planewave.md has a table), most of which cancels in differences.
"""

import numpy as np

from nearsight.atomic.radial import RadialDensity
from nearsight.engines.potential_resolution import cutoff_of_spacing, spacing_of_cutoff
from nearsight.engines.resolution import fourier_transform
from nearsight.grid import UniformGrid

#: electrons that one wave of the free atom's density may hold, and what is added to the energy found
_SMALLEST_WAVE, _MARGIN = 1e-5, 1.15
#: range and step of cut-offs, hartree
_SMALLEST, _LARGEST, _STEP = 12.0, 150.0, 0.5
#: a grid may lack this part of the density's reach before a warning
_SLACK = 0.03
#: a cut-off below this part of what the rule gives is worth a warning
_LOW = 0.6


def required_cutoff(atom: RadialDensity) -> float:
    """E_cut in hartree for an element, from the density of its free atom."""
    cutoffs = np.arange(_SMALLEST, _LARGEST + _STEP, _STEP)
    waves = np.abs(fourier_transform(atom, 2 * np.sqrt(2 * cutoffs)))
    large = np.flatnonzero(waves > _SMALLEST_WAVE)
    if not len(large):
        return _SMALLEST
    return float(np.ceil(_MARGIN * cutoffs[large[-1]] / _STEP) * _STEP)


def cutoff_warnings(ecut: float, required: float) -> tuple[str, ...]:
    """What a user should know of a cut-off far below what the elements need, a line each."""
    if ecut >= _LOW * required:
        return ()
    return (
        f"ecut {ecut:g} hartree is far below the {required:g} that the pseudopotentials need: the energy is "
        "not converged",
    )


def grid_warnings(grid: UniformGrid, ecut: float) -> tuple[str, ...]:
    """What a user should know of a grid too coarse for the orbitals' density, a line each."""
    wanted = spacing_of_cutoff(ecut)
    # along a vector the grid's planes are this far apart
    heights = 1 / np.linalg.norm(np.linalg.inv(grid.cell), axis=0) / np.array(grid.shape)
    if heights.max() * (1 - _SLACK) <= wanted:
        return ()
    held = cutoff_of_spacing(float(heights.max()))
    return (
        f"{grid!r} holds the density of plane waves up to {held:.3g} hartree, not of ecut {ecut:.3g}; "
        f"use a spacing of {wanted:.3f} bohr",
    )
