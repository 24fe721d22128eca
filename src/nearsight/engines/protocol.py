"""What a Kohn–Sham engine is, seen from the rest of nearsight.

System (`Structure`), discretisation (`UniformGrid`), algorithm (the engine) and result
(`GroundState`) are four objects.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from nearsight.atomic.radial import RadialDensity
from nearsight.engines.kpoints import KPoints
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure


@dataclass(frozen=True, eq=False)
class GroundState:
    """A converged self-consistent solution.

    Attributes
    ----------
    density : ScalarField
        Valence density, e/bohr³.
    free_energy : float
        E − TS of the cell in hartree: what forces differentiate and Harris–Foulkes reproduces.
    terms : dict
        Its parts by name, hartree, adding up to `free_energy`.
    eigenvalues, occupations : ndarray (n_k, n_states)
        Hartree, ascending at each wave vector; occupations between 0 and 2.
    fermi_level : float
        Hartree.
    n_electrons : float
    forces : ndarray (n_atoms, 3) or None
        Hartree/bohr, the net force removed.
    n_iterations : int
    residual : float
        Final density residual, ∫|ρ_out − ρ_in| per electron.
    seconds : float
    k_points : KPoints
        Wave vectors of the states.
    warnings : tuple of str
        What the user should know of this result, a line each: too coarse a grid, for instance.
    """

    density: ScalarField
    free_energy: float
    terms: dict[str, float]
    eigenvalues: np.ndarray
    occupations: np.ndarray
    fermi_level: float
    n_electrons: float
    forces: np.ndarray | None
    n_iterations: int
    residual: float
    seconds: float
    k_points: KPoints = field(default_factory=KPoints.gamma)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class NonSelfConsistent:
    """One diagonalisation in the potential of a given density.

    Attributes
    ----------
    free_energy : float
        Harris–Foulkes free energy in hartree per cell, second order in the density's error.
    density : ScalarField
        The output density, e/bohr³.
    eigenvalues, occupations, fermi_level, k_points
        As in `GroundState`.
    terms : dict
        Parts of the energy, hartree, adding up to `free_energy`.
    correction : float or None
        Estimate of what self-consistency would add to `free_energy`, hartree; comes with the output
        density, where the engine can tell (``lcao``: in metals). `free_energy` does not hold it.
    """

    free_energy: float
    density: ScalarField | None
    eigenvalues: np.ndarray
    occupations: np.ndarray
    fermi_level: float
    terms: dict[str, float] = field(default_factory=dict)
    correction: float | None = None
    k_points: KPoints = field(default_factory=KPoints.gamma)


@runtime_checkable
class Engine(Protocol):
    """A Kohn–Sham code behind one face; see `nearsight.engines.conformance` for its test suite."""

    #: registered name
    name: str

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """An engine from the keys and values of a settings file; none are needed.

        Raises `InputError` for a key or a value that it does not take.
        """
        ...

    @classmethod
    def from_fingerprint(cls, fingerprint: Mapping[str, Any]) -> Self:
        """An engine of the same physics as the one whose `fingerprint` this is."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """Settings that define the physics, JSON-ready: keys ``engine``, ``functional``,
        ``pseudopotentials`` (the family's name), ``basis``, ``smearing_kelvin``, ``spin``,
        ``k_points`` (as `KSampling.fingerprint` gives it).
        """
        ...

    def n_electrons(self, structure: Structure) -> float:
        """Valence electrons of the neutral cell; raises `UnknownElementError`."""
        ...

    def default_grid(self, structure: Structure) -> UniformGrid:
        """The grid this engine needs for the structure's hardest element."""
        ...

    def atomic_density(self, number: int) -> RadialDensity:
        """Density of the free atom with the engine's own pseudopotential and functional."""
        ...

    def ground_state(
        self, structure: Structure, grid: UniformGrid | None = None, *, forces: bool = True
    ) -> GroundState:
        """Solve self-consistently; raises `ConvergenceError` with what to try."""
        ...

    def harris(
        self, structure: Structure, density: ScalarField, *, output_density: bool = False
    ) -> NonSelfConsistent:
        """Harris–Foulkes energy of any density on the grid it comes on.

        Raises `GridMismatchError` where the density's cell is not the structure's.
        """
        ...
