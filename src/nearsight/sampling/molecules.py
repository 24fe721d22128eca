"""Molecules of the G2 set, each in a box of its own."""

from typing import Literal

import numpy as np
from ase import Atoms
from ase.collections import g2
from pydantic import Field, PositiveFloat, field_validator

from nearsight.sampling.strict import Strict


def closed_shell_molecules() -> tuple[str, ...]:
    """Names of the 119 closed-shell species of the G2/97 set in ASE (118 molecules and the Be atom).

    Closed-shell is what ASE lists without magnetic moments. Geometries: Curtiss et al., J. Chem. Phys.
    106, 1063 (1997).
    """
    return tuple(sorted(name for name in g2.names if not g2[name].get_initial_magnetic_moments().any()))


class Molecule(Strict):
    """A closed-shell molecule in the middle of a rectangular box.

    Attributes
    ----------
    name : str
        As ASE's ``g2`` collection names it: ``H2O``, ``C6H6``, ``CH3CH2OH`` …
    vacuum : float
        Å between the outermost atoms and each face of the box; neighbours are twice as far apart.
    rattle : float
        Standard deviation in Å of random displacements of every coordinate.
    """

    kind: Literal["molecule"] = "molecule"
    name: str
    vacuum: PositiveFloat = 4.0
    rattle: float = Field(0.0, ge=0.0)

    @field_validator("name")
    @classmethod
    def _closed_shell(cls, name: str) -> str:
        if name not in g2.names:
            raise ValueError(f"the G2 set has no '{name}'; it has, for instance, H2O, NH3, CH4, C6H6, CO2")
        if name not in closed_shell_molecules():
            raise ValueError(f"{name} has unpaired electrons, which needs spin; choose a closed shell")
        return name

    def build(self, rng: np.random.Generator) -> Atoms:
        """Make the atoms; displacements, where asked for, come from `rng`."""
        stored = g2[self.name]
        atoms = Atoms(stored.symbols, positions=stored.positions)
        atoms.center(vacuum=self.vacuum)
        atoms.pbc = True
        if self.rattle:
            atoms.positions += rng.normal(scale=self.rattle, size=atoms.positions.shape)
        return atoms
