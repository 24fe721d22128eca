"""`PlanewaveEngine`: Kohn–Sham in plane waves behind the `Engine` protocol."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from nearsight.engines.checks import require_cell, require_charge, require_even_where_fixed, require_grid
from nearsight.engines.planewave.resolution import cutoff_warnings, grid_warnings, required_cutoff
from nearsight.engines.planewave.settings import PlanewaveSettings
from nearsight.engines.potential_resolution import spacing_of_cutoff
from nearsight.engines.protocol import GroundState, NonSelfConsistent
from nearsight.engines.pseudopotential_engine import PseudopotentialEngine, recorded_source
from nearsight.engines.registered import ENGINES
from nearsight.engines.self_consistency import superposed_atoms, warned_of
from nearsight.engines.xc import ExchangeCorrelation
from nearsight.errors import InputError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.provenance import digest
from nearsight.structure import Structure

if TYPE_CHECKING:
    from nearsight.engines.planewave.calculation import Calculation

#: memory: the process with torch and PySCF (measured), arrays on the grid, sets of orbitals at once
_PROCESS_MB, _GRID_ARRAYS, _ORBITAL_COPIES = 550.0, 64, 16


@ENGINES.register("planewave")
class PlanewaveEngine(PseudopotentialEngine[PlanewaveSettings]):
    """Spin-unpolarised Kohn–Sham in plane waves with norm-conserving pseudopotentials.

    Parameters
    ----------
    settings : PlanewaveSettings, optional

    Notes
    -----
    What the last structure needed besides a density (projectors, orbitals to begin with) is kept, so that
    several densities of one structure cost one set-up.
    """

    name = "planewave"

    def __init__(self, settings: PlanewaveSettings | None = None) -> None:
        self.settings = settings or PlanewaveSettings()
        ExchangeCorrelation(self.settings.functional)  # refuses what it cannot do before any work is done
        self._last: tuple[str, Calculation] | None = None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """An engine with the settings of a file; see `PlanewaveSettings` for the keys.

        Raises
        ------
        InputError
            An unknown key, or a value of the wrong type or out of range.
        """
        return cls(PlanewaveSettings.from_mapping(settings))

    @classmethod
    def from_fingerprint(cls, fingerprint: Mapping[str, Any]) -> Self:
        """An engine of the same physics as the one whose `fingerprint` this is."""
        return cls(
            PlanewaveSettings(
                pseudopotential=recorded_source(fingerprint),
                functional=str(fingerprint["functional"]),
                ecut=fingerprint.get("ecut"),
                k_points=fingerprint.get("k_points", "gamma"),
                smearing_kelvin=float(fingerprint["smearing_kelvin"]),
                spacing=fingerprint.get("spacing"),
            )
        )

    def __getstate__(self) -> dict[str, Any]:
        """Workers get the settings, not the last structure's arrays."""
        return self.__dict__ | {"_last": None}

    def fingerprint(self) -> dict[str, Any]:
        """What defines the physics, JSON-ready."""
        return {
            "engine": self.name,
            "functional": self.settings.functional,
            **self.potentials_fingerprint(),
            "basis": "plane waves",
            "ecut": self.settings.ecut,
            "smearing_kelvin": self.settings.smearing_kelvin,
            "spin": "unpolarised",
            "k_points": self.settings.k_points.fingerprint(),
            "spacing": self.settings.spacing,
        }

    # -- elements -------------------------------------------------------------------------------

    def cutoff(self, structure: Structure) -> float:
        """Largest kinetic energy of the plane waves in hartree: the setting, or by the hardest element."""
        if self.settings.ecut is not None:
            return float(self.settings.ecut)
        return self._required_cutoff(structure)

    def _required_cutoff(self, structure: Structure) -> float:
        """What the hardest element needs, hartree."""
        return max(required_cutoff(self.atomic_density(z)) for z in structure.species)

    def default_grid(self, structure: Structure) -> UniformGrid:
        """A grid that holds the density of all plane waves, and what the hardest element needs."""
        spacing = self.settings.spacing or min(
            spacing_of_cutoff(self.cutoff(structure)), self._required_spacing(structure)
        )
        return UniformGrid.with_spacing(structure.cell, spacing)

    def memory_estimate_mb(self, structure: Structure, grid: UniformGrid) -> float:
        """Peak memory of one ground state in MB, the process itself included (no GPU's)."""
        n_k = len(self.settings.k_points.points(structure, grid))
        n_states = self.settings.n_states(self.n_electrons(structure))
        numbers = 1 if n_k == 1 else 2  # real or complex
        waves = structure.volume * (2 * self.cutoff(structure)) ** 1.5 / (6 * np.pi**2)
        orbitals = 8 * numbers * waves * n_states * (_ORBITAL_COPIES + n_k)
        rows = sum(self.potential(int(z)).n_projectors for z in structure.numbers)
        projectors = min(8 * numbers * waves * rows * n_k, 1e6 * self.settings.memory_limit_mb)
        return float(_PROCESS_MB + (orbitals + projectors + 8 * _GRID_ARRAYS * grid.n_points) / 1e6)

    def starting_density(self, structure: Structure, grid: UniformGrid) -> ScalarField:
        """Superposed atomic densities, scaled to the electron count, e/bohr³."""
        return superposed_atoms(self, structure, grid)

    # -- energies -------------------------------------------------------------------------------

    def ground_state(
        self,
        structure: Structure,
        grid: UniformGrid | None = None,
        *,
        forces: bool = True,
        start: ScalarField | None = None,
        watch: Callable[[int, float], None] | None = None,
    ) -> GroundState:
        """Solve self-consistently.

        Parameters
        ----------
        structure : Structure
        grid : UniformGrid, optional
            The default grid unless given.
        forces : bool
        start : ScalarField, optional
            Density to begin with instead of superposed atoms; settles the grid.
        watch : callable, optional
            Called with the iteration and its residual.

        Raises
        ------
        ConvergenceError
            The cycle did not converge; the message says what to try.
        StructureError
            Atoms on top of each other.
        UnknownElementError
            An element without pseudopotential.
        GridMismatchError
            The grid's or starting density's cell is not the structure's.
        InputError
            A grid too coarse for the orbitals, or an odd number of electrons without smearing.
        """
        began = time.perf_counter()
        grid = grid or (start.grid if start is not None else self.default_grid(structure))
        calculation = self._calculation(structure, grid)
        start = start or self.starting_density(structure, grid)
        require_grid(start.grid, grid)
        start = ScalarField(grid, calculation.geometry.k_points.symmetrised(start.values))
        warnings = grid_warnings(grid, self.cutoff(structure)) + cutoff_warnings(
            self.cutoff(structure), self._required_cutoff(structure)
        )
        with warned_of(warnings):
            end, found = calculation.ground_state(start, watch, with_forces=forces)
        return GroundState(
            density=end.rho,
            free_energy=float(sum(end.terms.values())),
            terms=end.terms,
            eigenvalues=end.states.eigenvalues,
            occupations=end.states.occupations.values,
            fermi_level=end.states.occupations.fermi_level,
            n_electrons=self.n_electrons(structure),
            forces=found,
            n_iterations=end.n_iterations,
            residual=end.residual,
            seconds=time.perf_counter() - began,
            k_points=calculation.geometry.k_points,
            warnings=warnings,
        )

    def harris(
        self, structure: Structure, density: ScalarField, *, output_density: bool = False
    ) -> NonSelfConsistent:
        """Harris–Foulkes free energy of any density, on the grid it comes on; one diagonalisation.

        Raises
        ------
        GridMismatchError
            The density's cell is not the structure's.
        ChargeError
            The density's integral is more than 1 % off the electron count.
        """
        require_charge(density, self.n_electrons(structure))
        return self._calculation(structure, density.grid, density).harris(
            density, output_density=output_density
        )

    def stress(self, structure: Structure, density: ScalarField) -> np.ndarray:
        """Stress of the ground state that a converged density belongs to, hartree/bohr³, shape (3, 3).

        The derivative of the free energy with respect to a strain, over the volume, at a fixed number of
        plane waves; negative diagonals push the cell apart (ASE's sign). Raises what `harris` raises.
        """
        require_charge(density, self.n_electrons(structure))
        return self._calculation(structure, density.grid, density).stress(density)

    def bands(
        self, structure: Structure, density: ScalarField, path: np.ndarray, n_states: int | None = None
    ) -> np.ndarray:
        """Eigenvalues in the potential of a density along a path, hartree, shape (n, n_states).

        Parameters
        ----------
        structure : Structure
        density : ScalarField
        path : ndarray (n, 3)
            Fractional wave vectors, such as the ``kpts`` of ASE's ``BandPath``.
        n_states : int, optional
            As many as a ground state begins with unless given.

        Raises
        ------
        GridMismatchError, ChargeError
            As `harris`.
        InputError
            A path that is not (n, 3).
        """
        path = np.asarray(path, dtype=np.float64)
        if path.ndim != 2 or path.shape[1] != 3:
            raise InputError(f"a path has shape (n, 3), not {path.shape}")
        require_charge(density, self.n_electrons(structure))
        return self._calculation(structure, density.grid, density).bands(density, path, n_states)

    def _calculation(
        self, structure: Structure, grid: UniformGrid, density: ScalarField | None = None
    ) -> "Calculation":
        """Set-up of a structure on a grid, for a given density if there is one; the last one is kept."""
        # torch takes a second to import: only those who calculate wait for it
        from nearsight.engines.planewave.calculation import Calculation

        require_cell(structure, grid)
        require_even_where_fixed(structure, self.n_electrons(structure), self.settings.smearing_kelvin)
        k_points = self.settings.k_points.points(structure, grid, density)
        key = structure.digest() + grid.digest() + digest(k_points.fractional)
        if self._last is None or self._last[0] != key:
            potentials = {z: self.potential(z) for z in structure.species}
            self._last = None  # free the old one before the new one is made
            ecut = self.cutoff(structure)
            self._last = key, Calculation(structure, grid, potentials, k_points, self.settings, ecut)
        return self._last[1]
