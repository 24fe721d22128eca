"""Crystals, alloys and defects: a lattice, or a structure file, and what is done to it.

Lengths are in Å here, at the edge where recipes are written.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from ase import Atoms
from ase.build import bulk
from pydantic import Field, PositiveFloat, PositiveInt

from nearsight.errors import InputError
from nearsight.io.extxyz import read_atoms
from nearsight.sampling.strict import Strict

Strain = tuple[float, float, float, float, float, float]
Lattice = Literal[
    "sc", "fcc", "bcc", "hcp", "diamond", "zincblende", "rocksalt", "cesiumchloride", "wurtzite"
]


class Modified(Strict):
    """What is done to a cell of atoms, in this order.

    Attributes
    ----------
    repeat : three int
        Copies along each cell vector.
    composition : mapping of element to fraction, optional
        Elements put on the sites at random, in exactly these amounts (rounded): a random alloy.
    vacancies : int or tuple of int
        How many atoms are taken out at random sites, or which ones, by number.
    strain : six float, optional
        Voigt strain (xx, yy, zz, yz, xz, xy) of cell and atoms; shears are engineering shears.
    rattle : float
        Standard deviation in Å of random displacements of every coordinate.
    """

    repeat: tuple[PositiveInt, PositiveInt, PositiveInt] = (1, 1, 1)
    composition: dict[str, PositiveFloat] | None = None
    vacancies: int | tuple[int, ...] = 0
    strain: Strain | None = None
    rattle: float = Field(0.0, ge=0.0)

    def modify(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        """Repeat, mix, empty, strain and rattle a copy of `atoms`."""
        atoms = atoms.repeat(self.repeat)
        if self.composition:
            atoms.symbols = random_occupation(self.composition, len(atoms), rng)
        del atoms[_vacant(self.vacancies, len(atoms), rng)]
        if self.strain:
            atoms.set_cell(atoms.cell.array @ deformation(self.strain), scale_atoms=True)
        if self.rattle:
            atoms.positions += rng.normal(scale=self.rattle, size=atoms.positions.shape)
        return atoms


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


def random_occupation(composition: Mapping[str, float], n: int, rng: np.random.Generator) -> list[str]:
    """Elements for n sites in random order, their counts the nearest to the fractions.

    Largest remainders settle the rounding, so that the counts add up to n.
    """
    fractions = np.array(list(composition.values())) / sum(composition.values())
    counts = np.floor(fractions * n).astype(int)
    remainder = fractions * n - counts
    counts[np.argsort(-remainder, kind="stable")[: n - counts.sum()]] += 1
    return list(rng.permutation(np.repeat(list(composition), counts)))


def deformation(strain: Strain) -> np.ndarray:
    """The symmetric matrix 1 + ε of a Voigt strain, shape (3, 3)."""
    xx, yy, zz, yz, xz, xy = strain
    return np.eye(3) + np.array([[xx, xy / 2, xz / 2], [xy / 2, yy, yz / 2], [xz / 2, yz / 2, zz]])


def _vacant(vacancies: int | tuple[int, ...], n: int, rng: np.random.Generator) -> list[int]:
    """Numbers of the atoms to take out."""
    if isinstance(vacancies, int):
        if not 0 <= vacancies < n:
            raise InputError(f"{vacancies} vacancies in {n} atoms; leave at least one atom")
        return sorted(int(i) for i in rng.choice(n, size=vacancies, replace=False))
    chosen = sorted(set(vacancies))
    if chosen and not (chosen[0] >= 0 and chosen[-1] < n and len(chosen) < n):
        raise InputError(f"vacancies at {chosen} in {n} atoms; name atoms 0 to {n - 1} and leave one")
    return chosen
