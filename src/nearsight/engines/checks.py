"""What every engine refuses before it begins: cells, charges and electron counts that do not fit."""

import numpy as np

from nearsight.errors import ChargeError, GridMismatchError, InputError, StructureError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.neighbours import require_separated_atoms
from nearsight.structure import Structure

#: how far, relative to the electron count, the integral of a density given to `harris` may be off
CHARGE_TOLERANCE = 1e-2


def require_cell(structure: Structure, grid: UniformGrid) -> None:
    """Refuse a grid of another cell (`GridMismatchError`) and touching atoms (`StructureError`)."""
    if not np.allclose(grid.cell, structure.cell, rtol=0, atol=1e-4):
        raise GridMismatchError("the grid's cell differs from the structure's cell")
    require_separated_atoms(structure)


def require_right_handed(structure: Structure, name: str) -> None:
    """Raise `StructureError` for a left-handed cell, which some codes mistake."""
    if np.linalg.det(structure.cell) < 0:
        raise StructureError(f"{name} needs a right-handed cell; exchange two of the cell vectors")


def require_grid(found: UniformGrid, wanted: UniformGrid) -> None:
    """Refuse a starting density on another grid: `GridMismatchError`."""
    if not found.matches(wanted):
        raise GridMismatchError(f"the starting density lies on {found!r}, not on {wanted!r}; resample it")


def require_charge(density: ScalarField, n_electrons: float) -> None:
    """Raise `ChargeError` where a density is more than 1 % off the electron count."""
    found = density.integrate()
    if not abs(found - n_electrons) <= CHARGE_TOLERANCE * n_electrons:
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
