"""`LocalFrame`: the nearest atoms as seen in the frame of their principal axes.

The M nearest atoms, images included, at the vectors **r**_i from the point, have the moments

    S = Σ_i w_i **r**_i **r**_iᵀ,   w_i = (1 − (r_i/R)²)²,

R being the distance of the (M + 1)-th atom, so that an atom's weight is zero where it joins or leaves.
The eigenvectors of S, largest eigenvalue first, are the axes. The sign of each axis **e** is settled on
its own (a density is a scalar, so that left-handed frames are as good as right-handed ones): the third
moment Σ_i w_i (**e**·**r**_i)³ is positive. Features are x, y, z, r (bohr) and the atomic number of
each of the M atoms, nearest first; r follows from the others, but saves a network from learning it.

Where symmetry leaves this undecided, every choice is tried and the one whose features come first in
lexicographic order is kept:

- a third moment below 1e-4 of its bound Σ w r³: both signs;
- two eigenvalues closer than 1e-3 of the largest: the axis of the third stands; in the plane normal to
  it the next axis points to any atom of the nearest shell that has a part of 0.1 of its distance in
  that plane, and the last axis has both signs;
- all three that close: the first axis, too, points to any atom of the nearest shell;
- atoms within 1e-4 bohr of equal distance (a shell): ordered by atomic number, then x, y, z, where
  coordinates within 1e-3 bohr are equal; so is the choice among them where a shell is cut by M.

So points equivalent by symmetry have equal features; what remains discontinuous, and where, is in
``docs/descriptors.md``.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from nearsight.descriptors.evaluator import BlockEvaluator, check_species, species_index
from nearsight.descriptors.kernels import Bins
from nearsight.descriptors.kernels_frame import local_frame
from nearsight.descriptors.protocol import Evaluator
from nearsight.errors import InputError
from nearsight.neighbours import CellList
from nearsight.provenance import to_plain
from nearsight.structure import Structure

#: first cut-off tried, in radii of the sphere that holds enough atoms at the mean density
_REACH = 1.25


@dataclass(frozen=True)
class LocalFrame:
    """Positions and numbers of the nearest atoms in the frame of their principal axes.

    Parameters
    ----------
    species : sequence of int
        Atomic numbers that may occur; kept ascending.
    n_neighbours : int
        How many atoms, M, are described.

    Raises
    ------
    InputError
        A setting that makes no sense.
    """

    species: tuple[int, ...]
    n_neighbours: int = 16

    name = "local_frame"

    def __post_init__(self) -> None:
        object.__setattr__(self, "species", check_species(self.species))
        n = self.n_neighbours
        if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= 200:
            raise InputError(f"local_frame: n_neighbours is a whole number from 1 to 200, not {n!r}")

    @property
    def n_features(self) -> int:
        """Length of a feature vector: x, y, z, r and atomic number of every neighbour."""
        return 5 * self.n_neighbours

    def settings(self) -> dict[str, Any]:
        """JSON-ready settings from which `descriptor_from_settings` builds an equal descriptor."""
        plain: dict[str, Any] = to_plain(self)
        return {"name": self.name, **plain}

    def prepare(self, structure: Structure) -> Evaluator:
        """Build the cell list of a structure.

        Raises
        ------
        UnknownElementError
            An atom's element is not among `species`.
        """
        species_index(structure, self.species)
        volume = (self.n_neighbours + 1) * structure.volume / structure.n_atoms
        return self._within(structure, _REACH * (3 * volume / (4 * np.pi)) ** (1 / 3))

    def _within(self, structure: Structure, cutoff: float) -> BlockEvaluator:
        """An evaluator that looks as far as `cutoff` (bohr), and further where that is not enough."""
        cells = CellList.build(structure, cutoff)
        bins, number = Bins.of(cells), structure.numbers[cells.atom].astype(np.float64)
        wider = cache(lambda: self._within(structure, 1.5 * cutoff))

        def kernel(points: np.ndarray, out: np.ndarray) -> None:
            lacking = local_frame(points, bins, number, self.n_neighbours, out)
            if lacking.any():
                out[lacking] = wider()(points[lacking])

        return BlockEvaluator(cells, self.n_features, kernel)
