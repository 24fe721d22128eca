"""How fine a grid a norm-conserving pseudopotential from a file needs.

Three things must be gone beyond the grid's last wave π/h, all of them known before any calculation:

- waves of the free atom's valence density that hold more than 0.01 electrons;
- waves of the core density that do;
- the local potential, down to 2 % of what a bare ion would have.

Never coarser than 0.32 bohr, as in `nearsight.engines.resolution`, which has the rule for GTH families. The
plane waves whose density such a grid holds without loss go up to (π/h)²/8 hartree.
"""

import numpy as np

from nearsight.atomic.radial import RadialDensity
from nearsight.engines.norm_conserving import NormConserving
from nearsight.engines.resolution import fourier_transform

_SMALLEST_WAVE, _LOCAL_PART = 0.01, 0.02
_COARSEST, _FINEST, _STEP = 0.32, 0.08, 0.005


def potential_spacing(potential: NormConserving, atom: RadialDensity | None = None) -> float:
    """Spacing in bohr that an element needs, by the rules above.

    Parameters
    ----------
    potential : NormConserving
    atom : RadialDensity, optional
        Density of the free atom; the file's own unless given.
    """
    spacings = np.arange(_FINEST, _COARSEST + _STEP / 2, _STEP)
    g = np.pi / spacings
    bare = 4 * np.pi * potential.charge / g**2
    too_much = np.abs(potential.local(g**2)) > _LOCAL_PART * bare
    atom = atom or potential.valence_density
    if atom is not None:
        too_much |= np.abs(fourier_transform(atom, g)) > _SMALLEST_WAVE
    core = potential.core_density(g**2)
    if core is not None:
        too_much |= np.abs(core) > _SMALLEST_WAVE
    large = np.flatnonzero(too_much)
    return float(spacings[max(large[0] - 1, 0)] if len(large) else _COARSEST)


def cutoff_of_spacing(spacing: float) -> float:
    """Hartree up to which a grid of `spacing` (bohr) holds the density of plane waves: (π/h)²/8."""
    return float((np.pi / spacing) ** 2 / 8)


def spacing_of_cutoff(ecut: float) -> float:
    """Spacing in bohr of a grid that holds the density of plane waves up to `ecut` hartree."""
    return float(np.pi / np.sqrt(8 * ecut))
