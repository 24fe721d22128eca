"""`Symmetry`: the space group of a structure, as far as a grid can follow it.

An operation {W|w} takes fractional positions x to Wx + w. It acts on a grid if it takes grid points to
grid points; then a density is symmetrised without interpolation, ρ(x) ← ⟨ρ(Wx + w)⟩.

One operation for each rotation is enough. Those that differ by a translation of a smaller cell make no
difference: the states at one wave vector go over into each other, so their density has that translation.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import spglib

from nearsight.grid import UniformGrid
from nearsight.structure import Structure

#: largest distance in bohr between an atom's image and the atom it stands for
_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class Symmetry:
    """Operations of a structure's space group that map a grid onto itself, one for each rotation.

    Attributes
    ----------
    cell : ndarray (3, 3)
        Rows are vectors, bohr.
    rotations : ndarray (n_ops, 3, 3), int
        W, acting on columns of fractional coordinates.
    translations : ndarray (n_ops, 3)
        w, fractional.
    images : ndarray (n_ops, n_atoms), int
        The atom onto which each atom is taken.
    """

    cell: np.ndarray
    rotations: np.ndarray
    translations: np.ndarray
    images: np.ndarray

    @classmethod
    def of(cls, structure: Structure, grid: UniformGrid) -> Self | None:
        """The symmetry of a structure on a grid; None where there is nothing but the identity."""
        described = (structure.cell.tolist(), structure.fractional.tolist(), structure.numbers.tolist())
        found = spglib.get_symmetry(described, symprec=_TOLERANCE)
        if found is None:
            return None
        shape = np.array(grid.shape)
        rotations, translations = np.asarray(found["rotations"]), np.asarray(found["translations"])
        scaled = rotations * shape[:, None] / shape
        steps = translations * shape
        fits = (np.abs(scaled - np.rint(scaled)).max(axis=(1, 2)) < 1e-9) & (
            np.abs(steps - np.rint(steps)).max(axis=1) < 1e-4
        )
        rotations, first = np.unique(rotations[fits], axis=0, return_index=True)
        if len(rotations) < 2:
            return None
        translations = np.rint(steps[fits][first]) / shape
        images = np.array([_images(structure, w, t) for w, t in zip(rotations, translations, strict=True)])
        return cls(structure.cell, rotations, translations, images)

    def keeping_mesh(self, mesh: tuple[int, int, int]) -> Self | None:
        """The operations that take the points of a Γ-centred mesh to such points, a subgroup."""
        n = np.array(mesh)
        # the rows k = m/n turn with W, and have to remain whole numbers over n
        steps = self.rotations / n[:, None] * n
        kept = np.abs(steps - np.rint(steps)).max(axis=(1, 2)) < 1e-9
        if kept.sum() < 2:
            return None
        return type(self)(self.cell, self.rotations[kept], self.translations[kept], self.images[kept])

    def symmetrise(self, values: np.ndarray) -> np.ndarray:
        """The average of values (n1, n2, n3) on the grid over the group."""
        shape = np.array(values.shape)
        flat = values.ravel()
        index = np.indices(values.shape).reshape(3, -1)
        total = np.zeros(values.size)
        for rotation, translation in zip(self.rotations, self.translations, strict=True):
            scaled = np.rint(rotation * shape[:, None] / shape).astype(np.int64)
            moved = scaled @ index + np.rint(translation * shape).astype(np.int64)[:, None]
            total += flat[np.ravel_multi_index(tuple(moved % shape[:, None]), values.shape)]
        return (total / len(self.rotations)).reshape(values.shape)

    def symmetrise_forces(self, forces: np.ndarray) -> np.ndarray:
        """The average of forces (n_atoms, 3) over the group, Cartesian."""
        total = np.zeros_like(forces)
        for rotation, image in zip(self.cartesian_rotations, self.images, strict=True):
            # the force on the image is the rotated force: turn it back
            total += forces[image] @ rotation
        return total / len(self.rotations)

    def symmetrise_tensor(self, tensor: np.ndarray) -> np.ndarray:
        """The average of a Cartesian tensor (3, 3), a stress for instance, over the group."""
        r = self.cartesian_rotations
        return np.asarray(np.einsum("oji,jk,okl->il", r, tensor, r) / len(r))

    @property
    def cartesian_rotations(self) -> np.ndarray:
        """R with r → Rr on columns of Cartesian coordinates, shape (n_ops, 3, 3)."""
        columns = self.cell.T
        return np.asarray(columns @ self.rotations @ np.linalg.inv(columns))


def _images(structure: Structure, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Which atom each atom is taken onto, shape (n_atoms,)."""
    moved = structure.fractional @ rotation.T + translation
    apart = moved[:, None] - structure.fractional
    apart = (apart - np.rint(apart)) @ structure.cell
    distance = np.linalg.norm(apart, axis=-1)
    distance[structure.numbers[:, None] != structure.numbers] = np.inf
    return np.asarray(distance.argmin(axis=1))
