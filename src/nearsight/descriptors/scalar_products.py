"""`ScalarProducts`: distances to the nearest atoms, and cosines between atoms that are near each other.

With **r**_i the vector from the point to atom i (images included) the features are, for every species a,

- the distances |**r**_i| to the M nearest atoms of that species, ascending, in bohr;
- for each of the M_s nearest of them, nearest first, and every species b, the cosines

      cos γ_ij = **r**_i · **r**_j / (|**r**_i| |**r**_j|)

  at the point between atom i and the k atoms j of species b that are nearest to atom i (not to the
  point, and not atom i itself), largest cosine first

(S. Pathrudkar, P. Thiagarajan, S. Agarwal, A. S. Banerjee, S. Ghosh, npj Comput. Mater. 10, 175 (2024),
arXiv:2308.13096). With S species that makes S M + S² M_s k features.

The paper leaves open what happens at coinciding, tied or missing atoms. Here:

- A cut-off r_c ends the view. Atoms beyond it read as if they lay at r_c with a cosine of zero: so do
  those of a species that the structure lacks. A cosine fades over the last `FADE` bohr, with |**r**_i| as
  with the distance of the atoms i and j: nothing jumps where an atom crosses the cut-off.
- A cosine with a vector shorter than `TIE` is zero; a `softening` s > 0 puts (r² + s²)^½ for both
  lengths, which leaves the cosines smooth on top of an atom.
- Atoms within `TIE` of equal distance from the point form a shell, ordered by their rows of cosines, the
  lexicographically largest first (numbers closer than `ALIKE` are equal), also where M_s cuts the shell.
- Where k cuts a shell of neighbours of an atom, those of the largest cosines are taken.

So points equivalent by symmetry have equal features. What stays discontinuous is in ``docs/descriptors.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from nearsight.descriptors.evaluator import BlockEvaluator, check_species, species_index
from nearsight.descriptors.kernels import Bins
from nearsight.descriptors.kernels_products import TIE, Partners, scalar_products, window
from nearsight.descriptors.protocol import Evaluator
from nearsight.errors import InputError
from nearsight.neighbours import CellList
from nearsight.provenance import to_plain
from nearsight.structure import Structure

#: first reach tried, in radii of the sphere that holds enough atoms at the mean density
_REACH = 1.25
#: largest value of each count
_MOST = {"n_neighbours": 200, "n_angular": 200, "n_partners": 50}


@dataclass(frozen=True)
class ScalarProducts:
    """Distances to the nearest atoms and cosines between them and their own neighbours.

    Parameters
    ----------
    species : sequence of int
        Atomic numbers told apart; kept ascending.
    n_neighbours : int
        M: distances for each species.
    n_angular : int
        M_s, at most M: how many of these atoms have cosines; 0 leaves the distances alone.
    n_partners : int
        k: cosines of each such atom with each species.
    cutoff : float
        Bohr; beyond it an atom is as good as absent.
    softening : float
        The length s in bohr; 0 is the published form.

    Raises
    ------
    InputError
        A setting that makes no sense.
    """

    species: tuple[int, ...]
    n_neighbours: int = 32
    n_angular: int = 8
    n_partners: int = 12
    cutoff: float = 12.0
    softening: float = 0.0

    name = "scalar_products"

    def __post_init__(self) -> None:
        object.__setattr__(self, "species", check_species(self.species))
        for key, most in _MOST.items():
            value, least = getattr(self, key), 0 if key == "n_angular" else 1
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise InputError(
                    f"scalar_products: {key} is a whole number from {least} to {most}, not {value!r}"
                )
        if self.n_angular > self.n_neighbours:
            raise InputError(
                f"scalar_products: n_angular ({self.n_angular}) counts some of the n_neighbours "
                f"({self.n_neighbours}) nearest atoms and cannot exceed them"
            )
        for key, shortest in (("cutoff", 1.0), ("softening", 0.0)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int | float) or not shortest <= value < 1e3:
                raise InputError(f"scalar_products: {key} is at least {shortest:g} bohr, not {value!r}")
            object.__setattr__(self, key, float(value))

    @property
    def n_features(self) -> int:
        """Length of a feature vector: S M + S² M_s k."""
        n = len(self.species)
        return n * self.n_neighbours + n * n * self.n_angular * self.n_partners

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What each feature is, in words, with its unit."""
        symbols = [chemical_symbols[z] for z in self.species]
        distances = [f"distance to {a} {i + 1} (bohr)" for a in symbols for i in range(self.n_neighbours)]
        return tuple(distances) + tuple(
            f"cosine {j + 1} of {a} {i + 1} with {b}"
            for a in symbols
            for i in range(self.n_angular)
            for b in symbols
            for j in range(self.n_partners)
        )

    @property
    def feature_groups(self) -> Mapping[str, np.ndarray]:
        """Which features are distances and which cosines; a kind without any is left out."""
        first = len(self.species) * self.n_neighbours
        groups = {"distances": np.arange(first), "cosines": np.arange(first, self.n_features)}
        return {name: columns for name, columns in groups.items() if len(columns)}

    def settings(self) -> dict[str, Any]:
        """JSON-ready settings from which `descriptor_from_settings` builds an equal descriptor."""
        plain: dict[str, Any] = to_plain(self)
        return {"name": self.name, **plain}

    def prepare(self, structure: Structure) -> Evaluator:
        """Build the cell list of a structure and the list of every atom's own neighbours.

        Raises
        ------
        UnknownElementError
            An atom's element is not among `species`.
        """
        index = species_index(structure, self.species)
        present = np.bincount(index, minlength=len(self.species))
        volume = (self.n_neighbours + 1) * structure.volume / present[present > 0].min()
        reach = _REACH * (3 * volume / (4 * np.pi)) ** (1 / 3)
        return self._within(structure, index, self._partners(structure, index), reach)

    def _within(
        self, structure: Structure, index: np.ndarray, partners: Partners, reach: float
    ) -> BlockEvaluator:
        """An evaluator that looks `reach` (bohr) far, and on to the cut-off where that is not enough."""
        reach = min(reach, self.cutoff)
        cells = CellList.build(structure, reach)
        bins, kind = Bins.of(cells), index[cells.atom]
        wider = cache(lambda: self._within(structure, index, partners, 1.5 * reach))
        counts = (self.n_neighbours, self.n_angular, self.n_partners)
        present = np.bincount(index, minlength=len(self.species)) > 0

        def kernel(points: np.ndarray, out: np.ndarray) -> None:
            lacking = scalar_products(
                points, bins, kind, cells.atom, present, partners, counts, self.cutoff, self.softening, out
            )
            if lacking.any():
                out[lacking] = wider()(points[lacking])

        return BlockEvaluator(cells, self.n_features, kernel)

    def _partners(self, structure: Structure, index: np.ndarray) -> Partners:
        """The nearest neighbours of each atom, species by species, with those tied with the last."""
        n, s, k = structure.n_atoms, len(self.species), self.n_partners
        found = [[_nearest(v, k) for v in per_atom] for per_atom in self._around(structure, index)]
        most = max(len(v) for per_atom in found for v in per_atom)
        vectors, weight = np.zeros((n, s, 3, most)), np.zeros((n, s, most))
        sure, count = np.zeros((n, s), dtype=np.int64), np.zeros((n, s), dtype=np.int64)
        for i, per_atom in enumerate(found):
            for b, near in enumerate(per_atom):
                count[i, b] = len(near)
                vectors[i, b, :, : len(near)] = near.T
                distance = np.linalg.norm(near, axis=1)
                weight[i, b, : len(near)] = [window(d, self.cutoff) for d in distance]
                sure[i, b] = _before_cut(distance, k)
        return Partners(vectors, weight, sure, count)

    def _around(self, structure: Structure, index: np.ndarray) -> list[list[np.ndarray]]:
        """Vectors to the atoms within the cut-off of each atom, species by species, nearest first."""
        if self.n_angular == 0:
            return [[np.empty((0, 3))] * len(self.species)] * structure.n_atoms
        cells = CellList.build(structure, self.cutoff)
        around = []
        for position in structure.positions:
            vectors, atoms = cells.within(position)
            others = np.linalg.norm(vectors, axis=1) > TIE
            vectors, kinds = vectors[others], index[atoms[others]]
            around.append([vectors[kinds == b] for b in range(len(self.species))])
        return around


def _nearest(vectors: np.ndarray, k: int) -> np.ndarray:
    """The first k vectors and all that are tied with the last of them."""
    distance = np.linalg.norm(vectors, axis=1)
    last = min(k, len(distance))
    while 0 < last < len(distance) and distance[last] - distance[last - 1] < TIE:
        last += 1
    return vectors[:last]


def _before_cut(distance: np.ndarray, k: int) -> int:
    """How many are nearer than the shell that k cuts; all where it cuts none."""
    first = min(k, len(distance))
    if first == len(distance):
        return first
    while first > 0 and distance[first] - distance[first - 1] < TIE:
        first -= 1
    return first
