"""`LcaoEngine`: the embedded Kohn–Sham engine behind the `Engine` protocol."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from nearsight.atomic.radial import RadialDensity
from nearsight.engines.checks import require_cell, require_charge, require_even_where_fixed, require_grid
from nearsight.engines.correction import second_order_correction
from nearsight.engines.free_energy import harris_terms
from nearsight.engines.kpoints import KSampling
from nearsight.engines.lcao.bases import element_basis, file_digest
from nearsight.engines.lcao.forces import forces as atomic_forces
from nearsight.engines.lcao.hamiltonian import Geometry
from nearsight.engines.lcao.scf import (
    density_terms,
    diagonalise,
    screening_wave_vector,
    self_consistent,
)
from nearsight.engines.lcao.settings import LcaoSettings
from nearsight.engines.lcao.threads import threads
from nearsight.engines.protocol import GroundState, NonSelfConsistent
from nearsight.engines.pseudopotential import load_gth
from nearsight.engines.radial_atom import solve_atom
from nearsight.engines.registered import ENGINES
from nearsight.engines.resolution import coarseness, required_spacing
from nearsight.engines.self_consistency import superposed_atoms, warned_of
from nearsight.engines.xc import ExchangeCorrelation
from nearsight.errors import InputError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.provenance import digest
from nearsight.structure import Structure
from nearsight.units import KELVIN


@ENGINES.register("lcao")
class LcaoEngine:
    """Spin-unpolarised Kohn–Sham with GTH pseudopotentials and Gaussian orbitals on a grid.

    Parameters
    ----------
    settings : LcaoSettings, optional

    Notes
    -----
    What the last structure needed besides a density (integrals, orbitals on the grid) is kept, so that
    several densities of one structure cost one set-up.
    """

    name = "lcao"

    def __init__(self, settings: LcaoSettings | None = None) -> None:
        self.settings = settings or LcaoSettings()
        self._xc = ExchangeCorrelation(self.settings.functional)
        self._last: tuple[str, Geometry] | None = None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """An engine with the settings of a file; see `LcaoSettings` for the keys.

        Raises
        ------
        InputError
            An unknown key, or a value of the wrong type or out of range.
        """
        return cls(LcaoSettings.from_mapping(settings))

    @classmethod
    def from_fingerprint(cls, fingerprint: Mapping[str, Any]) -> Self:
        """An engine of the same physics as the one whose `fingerprint` this is."""
        return cls(
            LcaoSettings(
                basis=str(fingerprint["basis"]),
                pseudopotential=str(fingerprint["pseudopotentials"]),
                functional=str(fingerprint["functional"]),
                smearing_kelvin=float(fingerprint["smearing_kelvin"]),
                spacing=fingerprint.get("spacing"),
                k_points=KSampling.from_setting(fingerprint.get("k_points")),
                basis_file=_same_file(fingerprint.get("basis_file")),
            )
        )

    def __getstate__(self) -> dict[str, Any]:
        """Workers get the settings, not the last structure's arrays."""
        return self.__dict__ | {"_last": None}

    def fingerprint(self) -> dict[str, Any]:
        """What defines the physics, JSON-ready."""
        file = self.settings.basis_file
        return {
            "engine": self.name,
            "functional": self.settings.functional,
            "pseudopotentials": self.settings.pseudopotential,
            "basis": self.settings.basis,
            "smearing_kelvin": self.settings.smearing_kelvin,
            "spin": "unpolarised",
            "k_points": self.settings.k_points.fingerprint(),
            "spacing": self.settings.spacing,
        } | ({} if file is None else {"basis_file": {"path": file, "digest": file_digest(file)}})

    def n_electrons(self, structure: Structure) -> float:
        """Valence electrons of the neutral cell; raises `UnknownElementError`."""
        return float(sum(load_gth(self.settings.pseudopotential, int(z)).charge for z in structure.numbers))

    def default_grid(self, structure: Structure) -> UniformGrid:
        """The grid that the hardest element needs, by the rule of `nearsight.engines.resolution`."""
        spacing = self.settings.spacing or min(self._required_spacing(z) for z in structure.species)
        return UniformGrid.with_spacing(structure.cell, spacing)

    def atomic_density(self, number: int) -> RadialDensity:
        """Density of the free atom with this engine's pseudopotential and functional."""
        return solve_atom(number, self.settings.pseudopotential, self.settings.functional)

    def starting_density(self, structure: Structure, grid: UniformGrid) -> ScalarField:
        """Superposed atomic densities, scaled to the electron count, e/bohr³."""
        return superposed_atoms(self, structure, grid)

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
            An element without pseudopotential or basis.
        GridMismatchError
            The grid's or starting density's cell is not the structure's.
        """
        began = time.perf_counter()
        grid = grid or (start.grid if start is not None else self.default_grid(structure))
        with threads(self.settings.threads) as count:
            geometry = self._geometry(structure, grid, count)
            start = start or self.starting_density(structure, grid)
            require_grid(start.grid, grid)
            start = ScalarField(grid, geometry.k_points.symmetrised(start.values))
            warnings = coarseness(grid, {z: self._required_spacing(z) for z in structure.species})
            with warned_of(warnings):
                end = self_consistent(geometry, start, self.settings, watch)
            found = None
            if forces:
                potential = density_terms(geometry, end.rho, self._xc).potential
                found = atomic_forces(geometry, end.states, end.rho, potential)
                found -= found.mean(axis=0)
        return GroundState(
            density=end.rho,
            free_energy=float(sum(end.terms.values())),
            terms=end.terms,
            eigenvalues=end.states.eigenvalues,
            occupations=end.states.occupations.values,
            fermi_level=end.states.occupations.fermi_level,
            n_electrons=geometry.n_electrons,
            forces=found,
            n_iterations=end.n_iterations,
            residual=end.residual,
            seconds=time.perf_counter() - began,
            k_points=geometry.k_points,
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
        with threads(self.settings.threads) as count:
            geometry = self._geometry(structure, density.grid, count, density)
            terms = density_terms(geometry, density, self._xc)
            states = diagonalise(
                geometry, geometry.matrices(terms.potential), self.settings.smearing_kelvin * KELVIN
            )
            parts = harris_terms(geometry, density, terms, states)
            rho, correction = None, None
            if output_density:
                rho = ScalarField(density.grid, geometry.density(states.occupied))
                q = screening_wave_vector(geometry, states)
                correction = second_order_correction(density, rho, self._xc, q)
        return NonSelfConsistent(
            free_energy=float(sum(parts.values())),
            density=rho,
            eigenvalues=states.eigenvalues,
            occupations=states.occupations.values,
            fermi_level=states.occupations.fermi_level,
            terms=parts,
            correction=correction,
            k_points=geometry.k_points,
        )

    def _required_spacing(self, number: int) -> float:
        return required_spacing(load_gth(self.settings.pseudopotential, number), self.atomic_density(number))

    def _geometry(
        self, structure: Structure, grid: UniformGrid, count: int, density: ScalarField | None = None
    ) -> Geometry:
        """Set-up of a structure on a grid, for a given density if there is one; the last one is kept."""
        require_cell(structure, grid)
        require_even_where_fixed(structure, self.n_electrons(structure), self.settings.smearing_kelvin)
        points = self.settings.k_points.points(structure, grid, density)
        key = structure.digest() + grid.digest() + digest(points.fractional)
        if self._last is None or self._last[0] != key:
            for z in structure.species:
                charge = load_gth(self.settings.pseudopotential, z).charge
                element_basis(self.settings.basis, z, charge, self.settings.basis_file)
            self._last = None  # free the old one before the new one is made
            self._last = key, Geometry(structure, grid, self.settings, count, points)
        return self._last[1]


def _same_file(described: Mapping[str, str] | None) -> str | None:
    """The path of a basis file that is still what a fingerprint says it was."""
    if described is None:
        return None
    path = described["path"]
    if file_digest(path) != described["digest"]:
        raise InputError(f"the basis file {path} is no longer the one that the data was made with")
    return path
