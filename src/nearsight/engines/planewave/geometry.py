"""`Geometry`: what one structure on one grid needs before any density is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from nearsight.engines.ewald import ewald
from nearsight.engines.kpoints import KPoints
from nearsight.engines.norm_conserving import NormConserving
from nearsight.engines.planewave.nonlocal_potential import NonLocal
from nearsight.engines.planewave.sphere import PlaneWaves, box_shape
from nearsight.engines.pseudopotential import local_potential
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure


@dataclass(frozen=True)
class Form:
    """What one atom adds to a field, in reciprocal space."""

    fourier: Callable[[np.ndarray], np.ndarray]


class Geometry:
    """Fixed parts of the Kohn–Sham problem of a structure on a grid.

    Parameters
    ----------
    structure : Structure
    grid : UniformGrid
        Of the density and the potentials.
    potentials : mapping from atomic number to NormConserving
    k_points : KPoints
    ecut : float
        Orbital cut-off, hartree.
    device : torch.device
    memory_mb : float
        For projectors, all wave vectors together.

    Attributes
    ----------
    box : UniformGrid
        Where orbitals are squared and multiplied with the potential: the grid, or a coarser one that holds
        all their products.
    waves : list of PlaneWaves
    projectors : list of NonLocal
        One entry for each wave vector.
    """

    def __init__(
        self,
        structure: Structure,
        grid: UniformGrid,
        potentials: Mapping[int, NormConserving],
        k_points: KPoints,
        *,
        ecut: float,
        device: torch.device,
        memory_mb: float,
    ) -> None:
        self.structure, self.grid, self.potentials, self.k_points = structure, grid, potentials, k_points
        self.ecut, self.device, self.memory_mb = ecut, device, memory_mb
        self.charges = np.array([potentials[int(z)].charge for z in structure.numbers])
        self.n_electrons = float(self.charges.sum())
        self.box = UniformGrid(grid.cell, box_shape(grid, k_points.fractional, ecut))
        self.waves = [PlaneWaves(grid.cell, k, ecut, self.box.shape, device) for k in k_points.fractional]
        share = memory_mb / len(k_points)
        self.projectors = [NonLocal(structure, potentials, waves, share) for waves in self.waves]

    @cached_property
    def ewald(self) -> tuple[float, np.ndarray]:
        """Energy and forces of the ions."""
        return ewald(self.structure, self.charges)

    @property
    def local_forms(self) -> dict[int, Form]:
        """Local pseudopotentials by atomic number."""
        return {z: Form(potential.local) for z, potential in self.potentials.items()}

    @property
    def core_forms(self) -> dict[int, Form]:
        """Core densities by atomic number, zero where an element has none."""
        return {z: Form(_core_density(potential)) for z, potential in self.potentials.items()}

    @property
    def has_core(self) -> bool:
        """Whether any element has a core correction."""
        return any(potential.core is not None for potential in self.potentials.values())

    @cached_property
    def local_pseudopotential(self) -> np.ndarray:
        """Local pseudopotential on the grid, hartree."""
        return local_potential(self.structure, self.grid, self.local_forms)

    @cached_property
    def core(self) -> ScalarField | None:
        """Core density on the grid, e/bohr³."""
        if not self.has_core:
            return None
        return ScalarField(self.grid, local_potential(self.structure, self.grid, self.core_forms))

    def with_core(self, rho: ScalarField) -> ScalarField:
        """What exchange and correlation see of a valence density."""
        return rho if self.core is None else rho + self.core

    def on_box(self, potential: np.ndarray) -> torch.Tensor:
        """The waves of a potential on the grid that orbitals can see, on the box."""
        values = ScalarField(self.grid, potential).resampled(self.box.shape).values
        return torch.as_tensor(values, device=self.device)


def _core_density(potential: NormConserving) -> Callable[[np.ndarray], np.ndarray]:
    def fourier(g_squared: np.ndarray) -> np.ndarray:
        found = potential.core_density(g_squared)
        return np.zeros_like(g_squared) if found is None else found

    return fourier
