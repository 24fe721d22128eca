"""`Snapshot`: one structure with its ground-state density and what is known beside it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nearsight.errors import ChargeError, GridMismatchError, InputError
from nearsight.field import ScalarField
from nearsight.structure import Structure

#: how far, relative to the electron count, a density's integral may be off when it is read
CHARGE_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A labelled structure.

    Parameters
    ----------
    structure : Structure
    density : ScalarField
        Valence electron density in e/bohr³, on a grid of the structure's cell.
    n_electrons : float
        The count that the engine or file states.
    energy : float, optional
        Free energy of the cell in hartree.
    forces : ndarray (n_atoms, 3), optional
        Hartree/bohr.
    rho_saed : ScalarField, optional
        Superposition of atomic densities given with the data, e/bohr³.
    provenance : dict
        Engine, settings, file, hashes: anything JSON can hold.

    Raises
    ------
    GridMismatchError
        The density's cell is not the structure's.
    InputError
        Forces of another shape, energy or forces that are not finite.
    ChargeError
        The density does not integrate to `n_electrons` within `CHARGE_TOLERANCE`.
    """

    structure: Structure
    density: ScalarField
    n_electrons: float
    energy: float | None = None
    forces: np.ndarray | None = None
    rho_saed: ScalarField | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not np.allclose(self.density.grid.cell, self.structure.cell, rtol=0, atol=1e-4):
            raise GridMismatchError("the density's cell differs from the structure's cell")
        if self.rho_saed is not None:
            self.density.require_same_grid(self.rho_saed)
        if self.forces is not None and self.forces.shape != self.structure.positions.shape:
            raise InputError(f"forces of shape {self.forces.shape} for {self.structure.n_atoms} atoms")
        for name, value in (("energy", self.energy), ("forces", self.forces)):
            if value is not None and not np.isfinite(value).all():
                raise InputError(f"NaN or infinite values in the {name} of {self.structure.formula}")
        found = self.density.integrate()
        if not abs(found - self.n_electrons) <= CHARGE_TOLERANCE * abs(self.n_electrons):
            raise ChargeError(
                f"the density integrates to {found:.6g} electrons where {self.n_electrons:.6g} are stated; "
                "check its units (e/bohr³) and its grid"
            )
