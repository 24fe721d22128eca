"""Allotropes of silicon, from their space groups."""

from typing import Literal

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal
from pydantic import PositiveFloat, field_validator

from nearsight.sampling.modified import Rearranged
from nearsight.sampling.silicon import SILICON


class Allotrope(Rearranged):
    """One of the crystal structures of silicon, in its primitive cell.

    Attributes
    ----------
    name : str
        ``diamond``, ``lonsdaleite``, ``beta-tin``, ``bc8`` …: the keys of `SILICON`.
    volume : float
        Volume over that of the tabulated cell.
    """

    kind: Literal["allotrope"] = "allotrope"
    name: str
    volume: PositiveFloat = 1.0

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in SILICON:
            raise ValueError(f"no allotrope '{name}' of silicon; known: {', '.join(SILICON)}")
        return name

    def build(self, rng: np.random.Generator) -> Atoms:
        """Make the atoms; randomness, where asked for, comes from `rng`."""
        phase = SILICON[self.name]
        # rhombohedral axes are primitive already, and ASE would reduce them once more
        rhombohedral = phase.space_group == 148
        made = crystal(
            ["Si"] * len(phase.sites),
            basis=phase.sites,
            spacegroup=phase.space_group,
            cellpar=list(phase.cell),
            setting=phase.setting,
            primitive_cell=not rhombohedral,
        )
        atoms = Atoms(made.symbols, positions=made.positions, cell=made.cell, pbc=True)
        atoms.set_cell(atoms.cell.array * np.cbrt(self.volume), scale_atoms=True)
        return self.modify(atoms, rng)
