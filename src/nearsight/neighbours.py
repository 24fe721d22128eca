"""Cell lists: which atoms, periodic images included, lie within a cut-off of a point.

The bins are parallelepipeds along the cell vectors, so that skewed cells cost what cubic ones do.
Everything is a flat array, ready for compiled kernels.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.spatial import cKDTree

from nearsight.errors import InputError, StructureError
from nearsight.structure import Structure

#: atoms closer than this (bohr) are on top of each other; H–H in H2 is 1.40
CLOSEST_ALLOWED = 0.8


@dataclass(frozen=True, eq=False)
class CellList:
    """All atom images within `cutoff` of the cell, sorted into bins.

    Attributes
    ----------
    cutoff : float
        Bohr.
    cell, inverse : ndarray (3, 3)
        Cell vectors (rows, bohr); a position r has fractional coordinates r @ inverse.
    margin : ndarray (3,)
        The cut-off in fractional coordinates: cutoff / height of the cell along each vector.
    n_bins : ndarray (3,), int64
        Bins along each vector over the fractional range [−margin, 1 + margin].
    bin_width : ndarray (3,)
        Fractional width of a bin.
    bin_start : ndarray (n_bins.prod() + 1,), int64
        Images of bin b (C order) are bin_start[b] … bin_start[b + 1] − 1.
    positions : ndarray (n_images, 3), float64
        Cartesian positions of the images in bohr, sorted by bin.
    atom : ndarray (n_images,), int64
        Which atom of the structure each is an image of.
    """

    cutoff: float
    cell: np.ndarray
    inverse: np.ndarray
    margin: np.ndarray
    n_bins: np.ndarray
    bin_width: np.ndarray
    bin_start: np.ndarray
    positions: np.ndarray
    atom: np.ndarray

    @classmethod
    def build(cls, structure: Structure, cutoff: float, bin_size: float | None = None) -> "CellList":
        """Sort the images of a structure's atoms.

        Parameters
        ----------
        structure : Structure
        cutoff : float
            Bohr; may exceed the cell.
        bin_size : float, optional
            Smallest height of a bin in bohr; a third of the cut-off unless given.
        """
        if not (np.isfinite(cutoff) and cutoff > 0):
            raise InputError(f"a cut-off is a positive number of bohr, not {cutoff}")
        margin = cutoff / structure.heights
        wrapped = structure.fractional - np.floor(structure.fractional)
        fractional, atom = _images(wrapped, margin)
        extent = 1 + 2 * margin
        size = cutoff / 3 if bin_size is None else bin_size
        n_bins = np.maximum(1, np.floor(extent * structure.heights / size)).astype(np.int64)
        width = extent / n_bins
        ijk = np.clip(((fractional + margin) / width).astype(np.int64), 0, n_bins - 1)
        flat = np.ravel_multi_index(tuple(ijk.T), tuple(n_bins))
        order = np.argsort(flat, kind="stable")
        start = np.zeros(n_bins.prod() + 1, dtype=np.int64)
        np.cumsum(np.bincount(flat, minlength=n_bins.prod()), out=start[1:])
        return cls(
            cutoff=float(cutoff),
            cell=np.ascontiguousarray(structure.cell),
            inverse=np.linalg.inv(structure.cell),
            margin=margin,
            n_bins=n_bins,
            bin_width=width,
            bin_start=start,
            positions=np.ascontiguousarray((fractional @ structure.cell)[order]),
            atom=np.ascontiguousarray(atom[order]),
        )

    def wrap(self, points: np.ndarray) -> np.ndarray:
        """Move points (m, 3) into the cell, where the list is complete."""
        fractional = points @ self.inverse
        return np.asarray((fractional - np.floor(fractional)) @ self.cell)

    def within(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Neighbours of one point, the slow and plain way that kernels are tested against.

        Returns
        -------
        vectors : ndarray (k, 3)
            From the point to each image within the cut-off, nearest first, bohr.
        atoms : ndarray (k,)
            The atoms they are images of.
        """
        vectors = self.positions - self.wrap(point[None])[0]
        distance = np.linalg.norm(vectors, axis=1)
        near = np.flatnonzero(distance < self.cutoff)
        near = near[np.argsort(distance[near], kind="stable")]
        return vectors[near], self.atom[near]


def _images(wrapped: np.ndarray, margin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fractional positions and parent atoms of all images inside [−margin, 1 + margin]."""
    reach = np.ceil(margin).astype(int)
    fractional, atom = [], []
    for shift in product(*(range(-r, r + 1) for r in reach)):
        moved = wrapped + np.array(shift)
        inside = np.flatnonzero(((moved >= -margin) & (moved <= 1 + margin)).all(axis=1))
        fractional.append(moved[inside])
        atom.append(inside)
    return np.concatenate(fractional), np.concatenate(atom)


def closest_pair(structure: Structure, within: float = 2.0) -> tuple[float, int, int] | None:
    """Distance (bohr) and numbers of the two closest atoms, or None if none are within `within`.

    An atom may be the neighbour of its own image.
    """
    cells = CellList.build(structure, within)
    wrapped = cells.wrap(structure.positions)
    # nearest is the atom itself, second its neighbour; of coinciding atoms they may be any two
    found = cKDTree(cells.positions).query(wrapped, k=2, distance_upper_bound=within)
    distance, image = np.asarray(found[0]), np.asarray(found[1])
    first = int(np.argmin(distance[:, 1]))
    if not np.isfinite(distance[first, 1]):
        return None
    partner = next((int(j) for j in cells.atom[image[first]] if j != first), first)
    return float(distance[first, 1]), first, partner


def require_separated_atoms(structure: Structure, closest: float = CLOSEST_ALLOWED) -> None:
    """Raise `StructureError` when two atoms are closer than `closest` bohr."""
    pair = closest_pair(structure, max(closest, 1.0))
    if pair is not None and pair[0] < closest:
        raise StructureError(
            f"atoms {pair[1]} and {pair[2]} of {structure.formula} are {pair[0]:.3f} bohr apart; "
            f"atoms closer than {closest} bohr are on top of each other: check positions and cell units (Å)"
        )
