"""The self-consistent cycle, and the energy of one diagonalisation.

Kohn–Sham free energy of orbitals ψ with occupations f and density ρ = Σ f|ψ|²:

    F = Σ f⟨ψ|T + V_nl|ψ⟩ + ∫V_loc ρ + E_H[ρ] + E_xc[ρ] + E_ewald − TS.

Harris–Foulkes free energy of an input density ρ, with ε, f from one diagonalisation in its potential:

    F = Σ f ε − TS − E_H[ρ] + E_xc[ρ] − ∫v_xc ρ + E_ewald,

second order in the error of ρ (Harris, PRB 31, 1770 (1985); Foulkes and Haydock, PRB 39, 12520 (1989)).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nearsight.engines.hartree import hartree
from nearsight.engines.lcao.hamiltonian import Geometry
from nearsight.engines.lcao.settings import LcaoSettings
from nearsight.engines.mixing import PulayKerkerMixer, thomas_fermi_wave_vector
from nearsight.engines.occupations import Occupations, fermi_dirac
from nearsight.engines.xc import ExchangeCorrelation
from nearsight.errors import ConvergenceError
from nearsight.field import ScalarField
from nearsight.units import KELVIN


@dataclass(frozen=True, eq=False)
class DensityTerms:
    """What a density alone decides: energies (hartree) and the total potential on the grid."""

    hartree: float
    xc: float
    v_xc: np.ndarray
    potential: np.ndarray


@dataclass(frozen=True, eq=False)
class Diagonalised:
    """Orbitals in the potential of a density.

    Attributes
    ----------
    eigenvalues : ndarray (n_states,)
    coefficients : ndarray (n_orbitals, n_states)
    occupations : Occupations
    """

    eigenvalues: np.ndarray
    coefficients: np.ndarray
    occupations: Occupations

    @property
    def occupied(self) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients and occupations of the states that hold any electrons."""
        f = self.occupations.values[0]
        return self.coefficients[:, f > 1e-14], f[f > 1e-14]


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
    return DensityTerms(e_hartree, e_xc, v_xc, geometry.local_pseudopotential + v_hartree + v_xc)


def diagonalise(geometry: Geometry, potential: np.ndarray, kt: float) -> Diagonalised:
    """All states in a potential on the grid, occupied at temperature `kt` (hartree)."""
    x = geometry.orthonormal
    eigenvalues, vectors = np.linalg.eigh(x.T @ geometry.matrix(potential) @ x)
    occupations = fermi_dirac(eigenvalues[None], geometry.n_electrons, kt)
    return Diagonalised(eigenvalues, x @ vectors, occupations)


def harris_terms(
    geometry: Geometry, rho: ScalarField, terms: DensityTerms, states: Diagonalised
) -> dict[str, float]:
    """Parts of the Harris–Foulkes free energy, hartree."""
    return {
        "eigenvalues": float(states.occupations.values[0] @ states.eigenvalues),
        "hartree_double_counting": -terms.hartree,
        "xc_double_counting": terms.xc - float(np.vdot(terms.v_xc, rho.values)) * rho.grid.dv,
        "ewald": geometry.ewald[0],
        "minus_ts": states.occupations.minus_ts,
    }


def kohn_sham_terms(
    geometry: Geometry, rho: ScalarField, states: Diagonalised, terms: DensityTerms
) -> dict[str, float]:
    """Parts of the Kohn–Sham free energy of orbitals and their own density, hartree."""
    c, f = states.occupied
    return {
        "kinetic": _expectation(geometry.kinetic, c, f),
        "nonlocal_pseudopotential": _expectation(geometry.nonlocal_pseudopotential, c, f),
        "local_pseudopotential": float(np.vdot(geometry.local_pseudopotential, rho.values)) * rho.grid.dv,
        "hartree": terms.hartree,
        "xc": terms.xc,
        "ewald": geometry.ewald[0],
        "minus_ts": states.occupations.minus_ts,
    }


def _expectation(matrix: np.ndarray, coefficients: np.ndarray, occupations: np.ndarray) -> float:
    return float(np.einsum("mn,mn,n->", coefficients, matrix @ coefficients, occupations))


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
    for iteration in range(1, settings.max_iterations + 1):
        states = diagonalise(geometry, density_terms(geometry, rho, xc).potential, kt)
        out = ScalarField(geometry.grid, geometry.density(*states.occupied))
        residual = float(np.abs(out.values - rho.values).sum()) * geometry.grid.dv / geometry.n_electrons
        if watch is not None:
            watch(iteration, residual)
        if residual < settings.density_tolerance:
            terms = kohn_sham_terms(geometry, out, states, density_terms(geometry, out, xc))
            return Converged(out, states, terms, iteration, residual)
        mixer = mixer or _mixer(geometry, states, settings)
        rho = ScalarField(geometry.grid, mixer.next_input(rho.values, out.values))
    raise ConvergenceError(
        f"the density of {geometry.structure.formula} did not converge in {settings.max_iterations} "
        f"iterations (residual {residual:.1e} per electron, wanted {settings.density_tolerance:.1e}); "
        f"try mixing {settings.mixing / 2:g} instead of {settings.mixing:g}, more max_iterations, "
        f"or smearing_kelvin {2 * settings.smearing_kelvin + 1000:g}"
    )


def _mixer(geometry: Geometry, states: Diagonalised, settings: LcaoSettings) -> PulayKerkerMixer:
    """A mixer whose damping fits the system, judged by the first states."""
    kerker = settings.kerker
    if kerker is None:
        kerker = thomas_fermi_wave_vector(
            states.eigenvalues[None], states.occupations.fermi_level, geometry.structure.volume
        )
    return PulayKerkerMixer(
        geometry.grid, fraction=settings.mixing, depth=settings.mixing_depth, kerker=kerker
    )
