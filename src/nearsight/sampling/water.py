"""Boxes of water: molecules at random places and orientations, none too close to another."""

from typing import Literal

import numpy as np
from ase import Atoms
from ase.units import _amu
from pydantic import Field, PositiveFloat, PositiveInt

from nearsight.errors import InputError
from nearsight.sampling.strict import Strict

#: gas-phase geometry: O–H 0.9572 Å, H–O–H 104.52° (Benedict, Gailar, Plyler 1956)
_BOND, _ANGLE = 0.9572, np.deg2rad(104.52)
_MOLECULE = _BOND * np.array(
    [[0, 0, 0], [np.sin(_ANGLE / 2), np.cos(_ANGLE / 2), 0], [-np.sin(_ANGLE / 2), np.cos(_ANGLE / 2), 0]]
)
_MASS_G = 18.01528 * _amu * 1e3
_ATTEMPTS = 2000


class Water(Strict):
    """A cubic box of water.

    Attributes
    ----------
    molecules : int
    density : float
        g/cm³; settles the box.
    closest : float
        Smallest distance in Å between atoms of different molecules.
    rattle : float
        Standard deviation in Å of random displacements of every coordinate, after placing.
    """

    kind: Literal["water"] = "water"
    molecules: PositiveInt
    density: PositiveFloat = 1.0
    closest: PositiveFloat = 1.6
    rattle: float = Field(0.0, ge=0.0)

    def build(self, rng: np.random.Generator) -> Atoms:
        """Add molecules one by one where there is room.

        Raises
        ------
        InputError
            No room is found for a molecule.
        """
        box = (self.molecules * _MASS_G / self.density * 1e24) ** (1 / 3)
        placed = np.empty((0, 3))
        for number in range(self.molecules):
            placed = np.concatenate([placed, self._place(placed, box, rng, number)])
        placed += rng.normal(scale=self.rattle, size=placed.shape) if self.rattle else 0.0
        return Atoms("OHH" * self.molecules, positions=placed, cell=[box] * 3, pbc=True)

    def _place(self, placed: np.ndarray, box: float, rng: np.random.Generator, number: int) -> np.ndarray:
        for _ in range(_ATTEMPTS):
            molecule = _MOLECULE @ random_rotation(rng).T + rng.uniform(0, box, size=3)
            apart = placed[:, None] - molecule
            apart -= box * np.rint(apart / box)
            if (np.linalg.norm(apart, axis=-1) >= self.closest).all():
                return molecule
        raise InputError(
            f"no room for molecule {number + 1} of {self.molecules} at {self.density} g/cm³; "
            "lower 'density' or 'closest', or try another seed"
        )


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """A rotation matrix (3, 3), uniform over all rotations (QR of a Gaussian matrix; Mezzadri 2007)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return np.asarray(q * np.sign(np.linalg.det(q)))
