"""Periodic dislocation dipoles in face-centred cubic crystals, through matscipy."""

from typing import Any, Literal

import numpy as np
from ase import Atoms
from pydantic import Field, PositiveFloat, PositiveInt

from nearsight.errors import InputError
from nearsight.sampling.optional import optional
from nearsight.sampling.strict import Strict

_CLASSES = {"edge": "FCCEdge110Dislocation", "screw": "FCCScrew110Dislocation"}


class Dislocation(Strict):
    """Two dislocations of opposite Burgers vector ±½⟨110⟩ in a periodic cell, arranged as a quadrupole.

    Anisotropic elasticity (Stroh) places the atoms; a relaxation or a run of dynamics shapes the cores.
    Before either, atoms at the cores are closer than in the crystal.

    Attributes
    ----------
    element : str
    a : float
        Lattice constant in Å.
    elastic_constants : three float
        C11, C12, C44 in GPa.
    character : str
        ``edge`` or ``screw``.
    separation : int
        Distance of the two cores in steps of glide, even. It settles the size of the cell: for
        edges 4, 6, 8, 12 give 24, 72, 96, 216 atoms, for screws 4, 6, 8 give 48, 108, 192.
    length : int
        Copies along the dislocation line.
    rattle : float
        Standard deviation in Å of random displacements of every coordinate.
    """

    kind: Literal["dislocation"] = "dislocation"
    element: str
    a: PositiveFloat
    elastic_constants: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    character: Literal["edge", "screw"]
    separation: PositiveInt = Field(multiple_of=2)
    length: PositiveInt = 1
    rattle: float = Field(0.0, ge=0.0)

    def build(self, rng: np.random.Generator) -> Atoms:
        """Make the atoms; displacements, where asked for, come from `rng`."""
        _, atoms, _ = self.dipole()
        atoms = atoms.repeat((1, 1, self.length))
        if self.rattle:
            atoms.positions += rng.normal(scale=self.rattle, size=atoms.positions.shape)
        return atoms

    def dipole(self) -> tuple[Atoms, Atoms, np.ndarray]:
        """The perfect crystal, the same atoms with the dislocations, and where they are.

        Returns
        -------
        perfect, dislocated : Atoms
        cores : ndarray (2, 3)
            Points on the dislocation lines in the perfect crystal, Å; the line is along z. The second
            dislocation has the Burgers vector `burgers_vector`, the first its opposite.

        Notes
        -----
        The slip b between the cores is a mean plastic strain b ⊗ n A/V, with A the area of the cut and n its
        normal. Given to the cell it leaves the dislocations without a mean stress, which would drive
        them together (Cai, Bulatov, Chang, Li, Yip, Philos. Mag. 83, 539 (2003)).
        """
        quadrupole = self._quadrupole()
        try:
            perfect, dislocated = quadrupole.build_quadrupole(
                glide_separation=self.separation, verbose=False, method="adsl"
            )
        except RuntimeError as error:
            raise InputError(f"no dislocation dipole of separation {self.separation}: {error}") from error
        perfect = Atoms(perfect.symbols, positions=perfect.positions, cell=perfect.cell, pbc=True)
        cores = np.array(dislocated.info["core_positions"])
        slip = np.zeros((3, 3))
        area = perfect.cell.volume / perfect.cell.array[2, 2]
        slip[:, 1] = burgers_vector(quadrupole) * (cores[1, 0] - cores[0, 0]) / area
        moved = Atoms(perfect.symbols, positions=dislocated.positions, cell=perfect.cell, pbc=True)
        moved.set_cell(perfect.cell.array @ (np.eye(3) + slip).T, scale_atoms=True)
        return perfect, moved, cores

    def _quadrupole(self) -> Any:
        module = optional("matscipy.dislocation", "dislocations")
        return module.Quadrupole(
            getattr(module, _CLASSES[self.character]), self.a, *self.elastic_constants, symbol=self.element
        )


def burgers_vector(quadrupole: Any) -> np.ndarray:
    """Burgers vector (3,) of the second dislocation in the frame of the cell, Å."""
    axes = np.array(quadrupole.right_dislocation.axes, dtype=float)
    frame = axes / np.linalg.norm(axes, axis=1)[:, None]
    return np.asarray(frame @ np.array(quadrupole.right_dislocation.burgers, dtype=float))
