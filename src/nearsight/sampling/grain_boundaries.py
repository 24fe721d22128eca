"""Coincidence-site grain boundaries in cubic metals, through pymatgen."""

import warnings
from typing import Literal

import numpy as np
from ase import Atoms
from ase.build import bulk
from pydantic import Field, PositiveFloat, PositiveInt

from nearsight.errors import InputError
from nearsight.sampling.optional import optional
from nearsight.sampling.strict import Strict

Miller = tuple[int, int, int]


class GrainBoundary(Strict):
    """Two grains that meet in two boundaries of a periodic cell.

    Attributes
    ----------
    element : str
    lattice : str
        ``fcc`` or ``bcc``.
    a : float
        Lattice constant in Å.
    sigma : int
        Σ: one site in Σ is common to both lattices.
    axis, plane : three int
        Axis that one grain is turned about, and plane of the boundary, in the cubic crystal's axes.
        Σ5: axis [1, 0, 0], plane [0, 1, 2]; the coherent twin Σ3: axis [1, 1, 1], plane [1, 1, 1].
    thickness : int
        Of each grain, in repeats of its cell.
    merge : float
        Of two atoms closer than this part of the bond length one is taken out.
    rattle : float
        Standard deviation in Å of random displacements of every coordinate.
    """

    kind: Literal["grain_boundary"] = "grain_boundary"
    element: str
    lattice: Literal["fcc", "bcc"] = "fcc"
    a: PositiveFloat
    sigma: PositiveInt
    axis: Miller
    plane: Miller
    thickness: PositiveInt = 1
    merge: float = Field(0.7, ge=0.0, lt=1.0)
    rattle: float = Field(0.0, ge=0.0)

    def build(self, rng: np.random.Generator) -> Atoms:
        """Make the atoms; displacements, where asked for, come from `rng`.

        Raises
        ------
        InputError
            pymatgen is not installed, or knows no such boundary.
        """
        core = optional("pymatgen.core", "grain boundaries")
        interface = optional("pymatgen.core.interface", "grain boundaries")
        cell = bulk(self.element, self.lattice, a=self.a, cubic=True)
        grain = core.Structure(cell.cell.array, cell.get_chemical_symbols(), cell.get_scaled_positions())
        generator = interface.GrainBoundaryGenerator(grain)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pymatgen's remarks on how it merges sites
            boundary = generator.gb_from_parameters(
                list(self.axis),
                self.angle(interface.GrainBoundaryGenerator),
                expand_times=self.thickness,
                plane=self.plane,
                rm_ratio=self.merge,
            )
        atoms = Atoms(
            [site.specie.symbol for site in boundary],
            positions=boundary.cart_coords,
            cell=boundary.lattice.matrix,
            pbc=True,
        )
        atoms.positions += rng.normal(scale=self.rattle, size=atoms.positions.shape) if self.rattle else 0.0
        return atoms

    def angle(self, generator: type) -> float:
        """The smallest rotation in degrees about `axis` that gives `sigma`."""
        known = generator.enum_sigma_cubic(cutoff=self.sigma, r_axis=list(self.axis))  # type: ignore[attr-defined]
        if self.sigma not in known:
            raise InputError(f"a turn about {list(self.axis)} gives no Σ{self.sigma} in a cubic crystal")
        return float(min(known[self.sigma]))
