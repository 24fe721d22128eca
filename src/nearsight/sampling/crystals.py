"""Crystals by lattice, or from a structure file, and what is done to them.

Lengths are in Å here, at the edge where recipes are written.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from ase import Atoms
from ase.build import bulk
from pydantic import PositiveFloat

from nearsight.errors import InputError
from nearsight.io.extxyz import read_atoms
from nearsight.sampling.modified import Modified

Lattice = Literal[
    "sc", "fcc", "bcc", "hcp", "diamond", "zincblende", "rocksalt", "cesiumchloride", "wurtzite"
]


class Crystal(Modified):
    """A crystal by lattice (`ase.build.bulk`).

    Attributes
    ----------
    formula : str
        An element, or a binary such as ``NaCl`` for lattices of two.
    lattice : str
        ``fcc``, ``bcc``, ``hcp``, ``diamond``, ``rocksalt`` …, as ASE names them.
    a, c : float
        Lattice constants in Å; `c` for lattices that have one.
    cubic : bool
        The conventional cubic cell rather than the primitive one; leave it out for hcp.
    """

    kind: Literal["crystal"] = "crystal"
    formula: str
    lattice: Lattice
    a: PositiveFloat
    c: PositiveFloat | None = None
    cubic: bool = False

    def build(self, rng: np.random.Generator) -> Atoms:
        """Make the atoms; randomness, where asked for, comes from `rng`."""
        try:
            atoms = bulk(self.formula, self.lattice, a=self.a, c=self.c, cubic=self.cubic)
        except (ValueError, RuntimeError, KeyError) as error:
            raise InputError(f"no {self.lattice} crystal of {self.formula} can be built: {error}") from error
        return self.modify(atoms, rng)


class FromFile(Modified):
    """A structure from any file that ASE reads.

    Attributes
    ----------
    path : Path
    index : int
        Which structure of the file.
    """

    kind: Literal["file"] = "file"
    path: Path
    index: int = 0

    def build(self, rng: np.random.Generator) -> Atoms:
        """Read the atoms and modify them."""
        images = read_atoms(self.path)
        try:
            atoms = images[self.index]
        except IndexError:
            raise InputError(f"{self.path} has {len(images)} structures, no number {self.index}") from None
        bare = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
        return self.modify(bare, rng)
