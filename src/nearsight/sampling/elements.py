"""Elemental crystals of the Δ-codes project."""

from typing import Literal

import numpy as np
from ase import Atoms
from ase.collections import dcdft
from pydantic import field_validator

from nearsight.sampling.modified import Rearranged


class ElementalCrystal(Rearranged):
    """The ground-state crystal of an element, without its magnetism.

    Attributes
    ----------
    name : str
        One of the 71 elements of ASE's ``dcdft`` collection: geometries of WIEN2k with PBE (Lejaeghere
        et al., Crit. Rev. Solid State 39, 1 (2014)).
    """

    kind: Literal["element"] = "element"
    name: str

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in dcdft.names:
            raise ValueError(f"the dcdft collection has no '{name}'; it has {', '.join(dcdft.names)}")
        return name

    def build(self, rng: np.random.Generator) -> Atoms:
        """Make the atoms; randomness, where asked for, comes from `rng`."""
        stored = dcdft[self.name]
        bare = Atoms(stored.symbols, positions=stored.positions, cell=stored.cell, pbc=True)
        return self.modify(bare, rng)
