"""The self-consistent cycle in Gaussian orbitals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nearsight.engines.free_energy import DensityTerms, kohn_sham_terms
from nearsight.engines.hartree import hartree
from nearsight.engines.lcao.hamiltonian import Geometry
from nearsight.engines.lcao.settings import LcaoSettings
from nearsight.engines.lcao.threads import in_threads
from nearsight.engines.mixing import thomas_fermi_wave_vector
from nearsight.engines.occupations import Occupations, fermi_dirac
from nearsight.engines.self_consistency import new_mixer, not_converged, residual_per_electron
from nearsight.engines.xc import ExchangeCorrelation
from nearsight.field import ScalarField
from nearsight.units import KELVIN

#: states that hold fewer electrons are left out of all sums
EMPTY = 1e-14
#: residual per electron above which densities are summed in single precision, whose noise is 1e-7
_SINGLE_PRECISION = 1e-3


@dataclass(frozen=True, eq=False)
class Diagonalised:
    """Orbitals in the potential of a density.

    Attributes
    ----------
    eigenvalues : ndarray (n_k, n_states)
    coefficients : list of ndarray (n_orbitals, n_states)
        One array for each wave vector.
    occupations : Occupations
    """

    eigenvalues: np.ndarray
    coefficients: list[np.ndarray]
    occupations: Occupations

    @property
    def occupied(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Coefficients and occupations of the states that hold any electrons, at each wave vector."""
        return [
            (c[:, f > EMPTY], f[f > EMPTY])
            for c, f in zip(self.coefficients, self.occupations.values, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class Converged:
    """The end of a self-consistent cycle: output density and what belongs to it."""

    rho: ScalarField
    states: Diagonalised
    terms: dict[str, float]
    n_iterations: int
    residual: float


def density_terms(geometry: Geometry, rho: ScalarField, xc: ExchangeCorrelation) -> DensityTerms:
    """Hartree and exchange-correlation energies of a density and the potential it makes."""
    e_hartree, v_hartree = hartree(rho)
    e_xc, v_xc = xc.evaluate(rho)
    potential = geometry.local_pseudopotential + v_hartree + v_xc
    return DensityTerms(e_hartree, e_xc, v_xc, geometry.k_points.symmetrised(potential))


def diagonalise(geometry: Geometry, matrices: list[np.ndarray], kt: float) -> Diagonalised:
    """All states of Hamiltonian matrices (n_orbitals, n_orbitals), hartree, one for each wave vector.

    They are occupied at temperature `kt` (hartree).

    Where the orbitals are dependent at some wave vectors, the highest states are left out at the others,
    so that there are equally many at all.
    """

    def one(pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        h, x = pair
        eigenvalues, vectors = np.linalg.eigh(x.conj().T @ h @ x)
        return eigenvalues, x @ vectors

    pairs = list(zip(matrices, geometry.orthonormal, strict=True))
    solved = list(in_threads(one, pairs, geometry.orbitals.threads))
    n_states = min(len(e) for e, _ in solved)
    eigenvalues = np.array([e[:n_states] for e, _ in solved])
    occupations = fermi_dirac(eigenvalues, geometry.n_electrons, kt, geometry.k_points.weights)
    return Diagonalised(eigenvalues, [c[:, :n_states] for _, c in solved], occupations)


def _energies(
    geometry: Geometry, rho: ScalarField, states: Diagonalised, terms: DensityTerms
) -> dict[str, float]:
    """Parts of the Kohn–Sham free energy of orbitals and their own density, hartree."""
    kinetic = _expectation(geometry, geometry.kinetic, states)
    separable = _expectation(geometry, geometry.nonlocal_pseudopotential, states)
    return kohn_sham_terms(geometry, rho, terms, states, kinetic=kinetic, separable=separable)


def _expectation(geometry: Geometry, matrices: list[np.ndarray], states: Diagonalised) -> float:
    """Σ_k w_k Σ_n f_nk ⟨ψ_nk|A_k|ψ_nk⟩."""
    each = [
        np.einsum("mn,mn,n->", c.conj(), matrix @ c, f).real
        for matrix, (c, f) in zip(matrices, states.occupied, strict=True)
    ]
    return float(geometry.k_points.weights @ np.array(each))


def self_consistent(
    geometry: Geometry,
    start: ScalarField,
    settings: LcaoSettings,
    watch: Callable[[int, float], None] | None = None,
) -> Converged:
    """Iterate a starting density to self-consistency.

    Parameters
    ----------
    geometry, settings
    start : ScalarField
    watch : callable, optional
        Called with the iteration and its residual.

    Raises
    ------
    ConvergenceError
        Not converged within the settings' iterations; says what to try.
    """
    xc = ExchangeCorrelation(settings.functional)
    kt = settings.smearing_kelvin * KELVIN
    mixer = None
    rho, residual = start, np.inf
    potential = density_terms(geometry, rho, xc).potential
    matrices = geometry.matrices(potential)
    for iteration in range(1, settings.max_iterations + 1):
        states = diagonalise(geometry, matrices, kt)
        out, residual = _output(geometry, states, rho, residual)
        if watch is not None:
            watch(iteration, residual)
        if residual < settings.density_tolerance:
            terms = _energies(geometry, out, states, density_terms(geometry, out, xc))
            return Converged(out, states, terms, iteration, residual)
        mixer = mixer or new_mixer(geometry.grid, settings, screening_wave_vector(geometry, states))
        rho = ScalarField(geometry.grid, mixer.next_input(rho.values, out.values))
        last, potential = potential, density_terms(geometry, rho, xc).potential
        changes = geometry.on_grid(potential - last, np.float32)
        matrices = [a + b for a, b in zip(matrices, changes, strict=True)]
    raise not_converged(geometry.structure, settings, residual)


def _output(
    geometry: Geometry, states: Diagonalised, rho: ScalarField, last_residual: float
) -> tuple[ScalarField, float]:
    """The density of states, and how far it is from the density they came from, per electron.

    In single precision as long as that is much less than the residual.
    """
    residual = last_residual
    while True:
        precision = np.float32 if residual > _SINGLE_PRECISION else np.float64
        out = ScalarField(geometry.grid, geometry.density(states.occupied, precision))
        residual = residual_per_electron(rho, out, geometry.n_electrons)
        if precision is np.float64 or residual > _SINGLE_PRECISION:
            return out, residual


def screening_wave_vector(geometry: Geometry, states: Diagonalised) -> float:
    """Thomas and Fermi's screening wave vector of some states in 1/bohr, near 0 for an insulator."""
    return thomas_fermi_wave_vector(
        states.eigenvalues,
        states.occupations.fermi_level,
        geometry.structure.volume,
        geometry.k_points.weights,
    )
