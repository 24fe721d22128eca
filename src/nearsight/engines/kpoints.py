"""Bloch wave vectors: which ones a cell needs, and what symmetry makes of them.

A Γ-centred Monkhorst–Pack mesh k = (i/n₁, j/n₂, l/n₃) (PRB 13, 5188 (1976)), reduced by time reversal
and by those operations of the space group that the grid can follow (spglib). Γ-centred meshes keep
every symmetry of every lattice, hexagonal ones included, and a mesh of n₁×n₂×n₃ is exactly the Γ point
of the n₁×n₂×n₃ supercell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import spglib

from nearsight.engines.symmetry import Symmetry
from nearsight.errors import InputError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

#: the part of a density that may lack its structure's symmetry before that is not used: the energy is then
#: off by the square
_SYMMETRY_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class KPoints:
    """Wave vectors with their weights.

    Attributes
    ----------
    fractional : ndarray (n_k, 3)
        Along the reciprocal vectors: k = fractional @ (2π·inv(cell).T) in 1/bohr.
    weights : ndarray (n_k,)
        Add up to one.
    symmetry : Symmetry or None
        Operations of the crystal that the points were reduced with: densities, forces and stresses
        summed over these points have to be symmetrised with it.
    """

    fractional: np.ndarray
    weights: np.ndarray
    symmetry: Symmetry | None = None

    def __len__(self) -> int:
        return len(self.weights)

    @classmethod
    def gamma(cls) -> Self:
        """The Γ point alone."""
        return cls(np.zeros((1, 3)), np.ones(1))

    @property
    def is_gamma(self) -> bool:
        """Whether it is the Γ point alone."""
        return len(self) == 1 and not self.fractional.any()

    @property
    def is_real(self) -> np.ndarray:
        """Where Bloch functions can be chosen real: 2k is a reciprocal vector; shape (n_k,), bool."""
        doubled = 2 * self.fractional
        return np.asarray(np.abs(doubled - np.rint(doubled)).max(axis=1) < 1e-9)

    def symmetrised(self, values: np.ndarray) -> np.ndarray:
        """Values (n1, n2, n3) on a grid with the symmetry that the points were reduced with.

        The waves of a grid seldom have all of it: what is made from them by FFT may be off at the last ones.
        """
        return values if self.symmetry is None else self.symmetry.symmetrise(values)

    def cartesian(self, cell: np.ndarray) -> np.ndarray:
        """In 1/bohr for a cell (3, 3) in bohr, shape (n_k, 3)."""
        return np.asarray(self.fractional @ (2 * np.pi * np.linalg.inv(cell).T))


@dataclass(frozen=True)
class KSampling:
    """How densely the Brillouin zone is sampled: one mesh for all cells, or one density of points.

    Parameters
    ----------
    mesh : three int, optional
        Points along each reciprocal vector; Γ alone unless given.
    spacing : float, optional
        Largest distance of neighbouring points in 1/bohr (2π included), for any cell, in place of `mesh`.
    symmetry : bool
        Whether the crystal's symmetry is used; time reversal always is.

    Raises
    ------
    InputError
        A mesh without points, or a spacing that is not positive.
    """

    mesh: tuple[int, int, int] | None = (1, 1, 1)
    spacing: float | None = None
    symmetry: bool = True

    def __post_init__(self) -> None:
        if (self.mesh is None) == (self.spacing is None):
            raise InputError("k_points: give a mesh such as [2, 2, 2] or a spacing in 1/bohr")
        if self.mesh is not None and (len(self.mesh) != 3 or min(self.mesh) < 1):
            raise InputError(f"k_points must be three whole numbers from 1 on, not {list(self.mesh)}")
        if self.spacing is not None and not 0.01 <= self.spacing < np.inf:
            raise InputError(f"k_points: a spacing is a number from 0.01/bohr on, not {self.spacing}")

    @classmethod
    def from_setting(cls, value: Any) -> Self:
        """From what a settings file says: ``gamma``, ``[2, 2, 2]`` or ``{spacing: 0.2}``.

        Raises
        ------
        InputError
            Anything else.
        """
        if isinstance(value, cls):
            return value
        if value is None or value == "gamma":
            return cls()
        if isinstance(value, Mapping) and set(value) == {"spacing"} and _is_number(value["spacing"]):
            return cls(mesh=None, spacing=float(value["spacing"]))
        if _is_mesh(value):
            return cls(mesh=(int(value[0]), int(value[1]), int(value[2])))
        raise InputError(
            f"k_points must be 'gamma', a mesh such as [2, 2, 2] or {{spacing: 0.2}} in 1/bohr, not {value!r}"
        )

    def fingerprint(self) -> str | list[int] | dict[str, float]:
        """The setting as `from_setting` takes it, JSON-ready."""
        if self.mesh is None:
            assert self.spacing is not None
            return {"spacing": self.spacing}
        return "gamma" if self.mesh == (1, 1, 1) else list(self.mesh)

    def mesh_for(self, cell: np.ndarray) -> tuple[int, int, int]:
        """Points along each reciprocal vector of a cell (3, 3) in bohr."""
        if self.mesh is not None:
            return self.mesh
        assert self.spacing is not None
        lengths = np.linalg.norm(2 * np.pi * np.linalg.inv(cell).T, axis=1)
        n1, n2, n3 = (max(1, int(np.ceil(length / self.spacing - 1e-9))) for length in lengths)
        return n1, n2, n3

    def points(self, structure: Structure, grid: UniformGrid, density: ScalarField | None = None) -> KPoints:
        """The irreducible points for a structure whose density lies on a grid.

        They are reduced by the structure's symmetry, unless a density that lacks it is given.
        """
        mesh = self.mesh_for(structure.cell)
        if mesh == (1, 1, 1):
            return KPoints.gamma()
        symmetry = Symmetry.of(structure, grid) if self.symmetry else None
        points = _reduced(mesh, None if symmetry is None else symmetry.keeping_mesh(mesh))
        return points if density is None or _has_symmetry(density, points) else _reduced(mesh, None)


def _has_symmetry(density: ScalarField, points: KPoints) -> bool:
    """Whether a density has the symmetry that wave vectors were reduced with."""
    difference = np.abs(density.values - points.symmetrised(density.values)).sum()
    return bool(difference <= _SYMMETRY_TOLERANCE * np.abs(density.values).sum())


def k_points_text(fingerprint: Any) -> str:
    """What `KSampling.fingerprint` gives, for a person; None is an engine that does not say."""
    if isinstance(fingerprint, Mapping):
        return f"every {fingerprint['spacing']:g}/bohr"
    return str(fingerprint or "gamma") if not _is_mesh(fingerprint) else "×".join(map(str, fingerprint))


def _reduced(mesh: tuple[int, int, int], symmetry: Symmetry | None) -> KPoints:
    """The Γ-centred mesh reduced by time reversal and by a crystal's symmetry."""
    rotations = np.eye(3, dtype=np.intc)[None] if symmetry is None else symmetry.rotations.astype(np.intc)
    found = spglib.get_stabilized_reciprocal_mesh(mesh, rotations, is_shift=(0, 0, 0), is_time_reversal=True)
    if found is None:
        raise InputError(f"spglib cannot reduce the mesh of k_points {list(mesh)}; try another one")
    mapping, addresses = found
    chosen, counts = np.unique(mapping, return_counts=True)
    return KPoints(addresses[chosen] / np.array(mesh), counts / counts.sum(), symmetry)


def _is_mesh(value: Any) -> bool:
    whole = isinstance(value, Sequence) and all(isinstance(n, int) and not isinstance(n, bool) for n in value)
    return whole and len(value) == 3


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
