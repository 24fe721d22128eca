"""What `LcaoEngine` refuses, and what it warns of."""

from collections.abc import Mapping

import numpy as np
from ase.data import chemical_symbols

from nearsight.engines.kpoints import KPoints
from nearsight.errors import ChargeError, GridMismatchError, InputError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

#: how far, relative to the electron count, the integral of a density given to `harris` may be off
_CHARGE_TOLERANCE = 1e-2
#: how far, relative to the electron count, a density may be off the structure's symmetry and still be
#: treated as if it had it: its energy is then off by the square
_SYMMETRY_TOLERANCE = 1e-5
#: how many times coarser than needed a grid may be before it is worth a warning
_COARSE = 1.05


def require_grid(found: UniformGrid, wanted: UniformGrid) -> None:
    """Refuse a starting density on another grid: `GridMismatchError`."""
    if not found.matches(wanted):
        raise GridMismatchError(f"the starting density lies on {found!r}, not on {wanted!r}; resample it")


def require_charge(density: ScalarField, n_electrons: float) -> None:
    """Refuse a density of another charge: `ChargeError`."""
    found = density.integrate()
    if not abs(found - n_electrons) <= _CHARGE_TOLERANCE * n_electrons:
        raise ChargeError(
            f"the density integrates to {found:.6g} electrons where the structure has {n_electrons:g}; "
            "check its units (e/bohr³), or rescale it"
        )


def require_even_where_fixed(structure: Structure, n_electrons: float, smearing_kelvin: float) -> None:
    """Refuse an odd number of electrons in states that are full or empty: `InputError`."""
    if smearing_kelvin == 0 and n_electrons % 2:
        raise InputError(
            f"{structure.formula} has {n_electrons:g} electrons, an odd number, which fixed occupations of "
            "doubly occupied states do not hold; set smearing_kelvin, 1000 for instance"
        )


def is_symmetric(density: ScalarField, points: KPoints) -> bool:
    """Whether a density has the symmetry that wave vectors were reduced with."""
    if points.symmetry is None:
        return True
    difference = np.abs(density.values - points.symmetry.symmetrise(density.values)).sum()
    return bool(difference <= _SYMMETRY_TOLERANCE * np.abs(density.values).sum())


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
