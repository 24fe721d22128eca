"""What is done to a cell of atoms: copies, a random alloy, vacancies, strain, displacements."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from ase import Atoms
from ase.geometry import get_distances
from pydantic import Field, PositiveFloat, PositiveInt

from nearsight.errors import InputError
from nearsight.sampling.strict import Strict

Strain = tuple[float, float, float, float, float, float]
Vacancies = int | tuple[int, ...] | Literal["divacancy"]


class Rearranged(Strict):
    """What is done to a cell of atoms whatever they are, in this order.

    Attributes
    ----------
    repeat : three int
        Copies along each cell vector.
    vacancies : int, tuple of int, or ``divacancy``
        How many atoms are taken out at random sites, or which ones, by number; ``divacancy`` takes out
        a random atom and a random one of its nearest neighbours.
    strain : six float, optional
        Voigt strain (xx, yy, zz, yz, xz, xy) of cell and atoms; shears are engineering shears.
    rattle : float
        Standard deviation in Å of random displacements of every coordinate.
    """

    repeat: tuple[PositiveInt, PositiveInt, PositiveInt] = (1, 1, 1)
    vacancies: Vacancies = 0
    strain: Strain | None = None
    rattle: float = Field(0.0, ge=0.0)

    def modify(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        """Repeat, occupy, empty, strain and rattle a copy of `atoms`."""
        atoms = atoms.repeat(self.repeat)
        self.occupy(atoms, rng)
        del atoms[vacant(self.vacancies, atoms, rng)]
        if self.strain:
            atoms.set_cell(atoms.cell.array @ deformation(self.strain), scale_atoms=True)
        if self.rattle:
            atoms.positions += rng.normal(scale=self.rattle, size=atoms.positions.shape)
        return atoms

    def occupy(self, atoms: Atoms, rng: np.random.Generator) -> None:
        """Put elements on the sites, in place; here they stay what they are."""


class Modified(Rearranged):
    """The same for crystals, whose sites may be given other elements.

    Attributes
    ----------
    composition : mapping of element to fraction, optional
        Elements put on the sites at random, in exactly these amounts (rounded): a random alloy.
    """

    composition: dict[str, PositiveFloat] | None = None

    def occupy(self, atoms: Atoms, rng: np.random.Generator) -> None:
        """Mix the elements of `composition` at random."""
        if self.composition:
            atoms.symbols = random_occupation(self.composition, len(atoms), rng)


def counts_of(composition: Mapping[str, float], n: int) -> dict[str, int]:
    """How many of n sites each element gets: the nearest to its fraction.

    Largest remainders settle the rounding, so that the counts add up to n.
    """
    fractions = np.array(list(composition.values())) / sum(composition.values())
    counts = np.floor(fractions * n).astype(int)
    remainder = fractions * n - counts
    counts[np.argsort(-remainder, kind="stable")[: n - counts.sum()]] += 1
    return dict(zip(composition, counts.tolist(), strict=True))


def random_occupation(composition: Mapping[str, float], n: int, rng: np.random.Generator) -> list[str]:
    """Elements for n sites in random order, in the amounts of `counts_of`."""
    counts = counts_of(composition, n)
    return list(rng.permutation(np.repeat(list(counts), list(counts.values()))))


def deformation(strain: Strain) -> np.ndarray:
    """The symmetric matrix 1 + ε of a Voigt strain, shape (3, 3)."""
    xx, yy, zz, yz, xz, xy = strain
    return np.eye(3) + np.array([[xx, xy / 2, xz / 2], [xy / 2, yy, yz / 2], [xz / 2, yz / 2, zz]])


def vacant(vacancies: Vacancies, atoms: Atoms, rng: np.random.Generator) -> list[int]:
    """Numbers of the atoms to take out."""
    n = len(atoms)
    if isinstance(vacancies, str):
        return _neighbours(atoms, rng)
    if isinstance(vacancies, int):
        if not 0 <= vacancies < n:
            raise InputError(f"{vacancies} vacancies in {n} atoms; leave at least one atom")
        return sorted(int(i) for i in rng.choice(n, size=vacancies, replace=False))
    chosen = sorted(set(vacancies))
    if chosen and not (chosen[0] >= 0 and chosen[-1] < n and len(chosen) < n):
        raise InputError(f"vacancies at {chosen} in {n} atoms; name atoms 0 to {n - 1} and leave one")
    return chosen


def _neighbours(atoms: Atoms, rng: np.random.Generator) -> list[int]:
    """A random atom and a random one of its nearest neighbours."""
    if len(atoms) < 3:
        raise InputError(f"a divacancy in {len(atoms)} atoms; leave at least one atom")
    first = int(rng.integers(len(atoms)))
    _, distances = get_distances(atoms.positions[[first]], atoms.positions, cell=atoms.cell, pbc=True)
    others = np.where(np.arange(len(atoms)) == first, np.inf, distances[0])
    second = rng.choice(np.flatnonzero(others < others.min() * 1.01))
    return sorted((first, int(second)))
