"""`Calculation`: one structure on one grid, with the orbitals found last as the beginning of the next."""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from nearsight.engines.correction import second_order_correction
from nearsight.engines.free_energy import harris_terms
from nearsight.engines.kpoints import KPoints
from nearsight.engines.norm_conserving import NormConserving
from nearsight.engines.planewave.forces import forces
from nearsight.engines.planewave.geometry import Geometry
from nearsight.engines.planewave.scf import Converged, density_terms, self_consistent
from nearsight.engines.planewave.settings import PlanewaveSettings
from nearsight.engines.planewave.states import States, density, lowest, screening, solve
from nearsight.engines.planewave.stress import stress
from nearsight.engines.planewave.threads import Workers, find_device, workers
from nearsight.engines.protocol import NonSelfConsistent
from nearsight.engines.xc import ExchangeCorrelation
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure


class Calculation:
    """What the engine does with one structure on one grid.

    Parameters
    ----------
    structure : Structure
    grid : UniformGrid
    potentials : mapping from atomic number to NormConserving
    k_points : KPoints
    settings : PlanewaveSettings
    ecut : float
        Hartree.
    """

    def __init__(
        self,
        structure: Structure,
        grid: UniformGrid,
        potentials: Mapping[int, NormConserving],
        k_points: KPoints,
        settings: PlanewaveSettings,
        ecut: float,
    ) -> None:
        self._settings = settings
        self._device = find_device(settings.device)
        self._xc = ExchangeCorrelation(settings.functional)
        self._vectors: list[torch.Tensor] | None = None
        self._parts = structure, grid, potentials, ecut
        self.geometry = self._at(k_points)

    def ground_state(
        self, start: ScalarField, watch: Callable[[int, float], None] | None, *, with_forces: bool
    ) -> tuple[Converged, np.ndarray | None]:
        """The self-consistent state from a starting density, and its forces in hartree/bohr, of sum 0."""
        with workers(self._settings.threads, self._device) as pool:
            end = self_consistent(self.geometry, start, self._settings, pool, self._vectors, watch)
            self._vectors = end.states.vectors
            if not with_forces:
                return end, None
            found = forces(self.geometry, end.states, end.rho, end.v_xc, pool)
        return end, found - found.mean(axis=0)

    def harris(self, rho: ScalarField, *, output_density: bool) -> NonSelfConsistent:
        """Harris–Foulkes free energy of a density on the grid."""
        with workers(self._settings.threads, self._device) as pool:
            terms = density_terms(self.geometry, rho, self._xc)
            states = self._states(terms.potential, pool)
            parts = harris_terms(self.geometry, rho, terms, states)
            out = density(self.geometry, states, pool) if output_density else None
        return NonSelfConsistent(
            free_energy=float(sum(parts.values())),
            density=out,
            eigenvalues=states.eigenvalues,
            occupations=states.occupations.values,
            fermi_level=states.occupations.fermi_level,
            terms=parts,
            correction=None if out is None else self._correction(rho, out, states),
            k_points=self.geometry.k_points,
        )

    def stress(self, rho: ScalarField) -> np.ndarray:
        """Stress in hartree/bohr³, shape (3, 3), of the states in a converged density's potential."""
        with workers(self._settings.threads, self._device) as pool:
            states = self._states(density_terms(self.geometry, rho, self._xc).potential, pool)
            return stress(self.geometry, states, rho, self._xc, pool)

    def bands(self, rho: ScalarField, path: np.ndarray, n_states: int | None) -> np.ndarray:
        """Lowest eigenvalues in a density's potential at fractional wave vectors (n, 3), (n, n_states)."""
        potential = density_terms(self.geometry, rho, self._xc).potential
        found = []
        wanted = n_states or self._settings.n_states(self.geometry.n_electrons)
        with workers(self._settings.threads, self._device) as pool:
            for point in path:
                geometry = self._at(KPoints(point[None], np.ones(1)))
                found.append(lowest(geometry, potential, wanted, pool)[0])
        return np.array(found)

    def _states(self, potential: np.ndarray, pool: Workers) -> States:
        """Well converged states, beginning with the last ones."""
        states = solve(self.geometry, potential, self._settings, pool, self._vectors)
        self._vectors = states.vectors
        return states

    def _correction(self, rho_in: ScalarField, rho_out: ScalarField, states: States) -> float | None:
        """What the output density says of the distance to self-consistency, hartree."""
        q = screening(self.geometry, states)
        inside = self.geometry.with_core(rho_in), self.geometry.with_core(rho_out)
        return second_order_correction(*inside, self._xc, q)

    def _at(self, k_points: KPoints) -> Geometry:
        structure, grid, potentials, ecut = self._parts
        return Geometry(
            structure, grid, potentials, k_points,
            ecut=ecut, device=self._device, memory_mb=self._settings.memory_limit_mb,
        )  # fmt: skip
