"""Alloys on a lattice: any composition, the lattice constant by Vegard's law, random or quasi-random."""

from typing import Literal

import numpy as np
from ase import Atoms
from ase.build import bulk
from pydantic import Field, PositiveFloat, model_validator

from nearsight.errors import InputError
from nearsight.sampling.modified import Rearranged, counts_of, random_occupation
from nearsight.sampling.quasi_random import quasi_random_occupation


class Alloy(Rearranged):
    """A substitutional alloy.

    Attributes
    ----------
    lattice : str
        ``fcc``, ``bcc`` or ``diamond``.
    constants : mapping of element to Å
        Lattice constant of each element on this lattice. The alloy's is their average over the
        composition (Vegard, Z. Phys. 5, 17 (1921)).
    composition : mapping of element to fraction, optional
        Rounded to whole atoms. Without it each structure draws its own, uniformly over all compositions.
    order : str
        ``random``, or ``quasi-random``: the pair correlations of the first two shells as near to those
        of an infinite random alloy as the cell allows (needs sqsgenerator).
    cubic : bool
        The conventional cubic cell rather than the primitive one.
    """

    kind: Literal["alloy"] = "alloy"
    lattice: Literal["fcc", "bcc", "diamond"]
    constants: dict[str, PositiveFloat] = Field(min_length=2)
    composition: dict[str, PositiveFloat] | None = None
    order: Literal["random", "quasi-random"] = "random"
    cubic: bool = False

    @model_validator(mode="after")
    def _known_elements(self) -> "Alloy":
        if unknown := sorted(set(self.composition or ()) - set(self.constants)):
            raise ValueError(f"composition has {', '.join(unknown)}, which 'constants' lacks")
        return self

    def build(self, rng: np.random.Generator) -> Atoms:
        """Make the atoms; composition (where drawn), occupation and vacancies come from `rng`."""
        element = next(iter(self.constants))
        try:
            atoms = bulk(element, self.lattice, a=self.constants[element], cubic=self.cubic)
            return self.modify(atoms, rng)
        except (KeyError, ValueError) as error:
            raise InputError(f"no alloy of {', '.join(self.constants)} can be built: {error}") from error

    def occupy(self, atoms: Atoms, rng: np.random.Generator) -> None:
        """Choose elements for the sites, and scale the cell to them."""
        composition = self.composition or self._drawn(rng)
        counts = {e: n for e, n in counts_of(composition, len(atoms)).items() if n}
        a = sum(n * self.constants[e] for e, n in counts.items()) / len(atoms)
        scale = a / next(iter(self.constants.values()))
        atoms.set_cell(atoms.cell.array * scale, scale_atoms=True)
        if self.order == "random" or len(counts) == 1:
            atoms.symbols = random_occupation(counts, len(atoms), rng)
        else:
            atoms.symbols = quasi_random_occupation(atoms, counts, rng)

    def _drawn(self, rng: np.random.Generator) -> dict[str, float]:
        """A composition from the uniform distribution over the simplex."""
        fractions = rng.dirichlet(np.ones(len(self.constants)))
        return dict(zip(self.constants, fractions.tolist(), strict=True))
