"""The self-consistent cycle in plane waves, and the energy of one diagonalisation.

Kohn–Sham free energy of orbitals ψ with occupations f and density ρ = Σ f|ψ|²:

    F = Σ f⟨ψ|T + V_nl|ψ⟩ + ∫V_loc ρ + E_H[ρ] + E_xc[ρ + ρ_core] + E_ewald − TS.

Harris–Foulkes free energy of an input density ρ, with ε, f from one diagonalisation in its potential:

    F = Σ f ε − TS − E_H[ρ] + E_xc[ρ + ρ_core] − ∫v_xc ρ + E_ewald,

second order in the error of ρ (Harris, PRB 31, 1770 (1985); Foulkes and Haydock, PRB 39, 12520 (1989)). Sums
over states run over wave vectors with their weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from nearsight.engines.hartree import hartree
from nearsight.engines.mixing import PulayKerkerMixer
from nearsight.engines.planewave.geometry import Geometry
from nearsight.engines.planewave.settings import PlanewaveSettings
from nearsight.engines.planewave.states import (
    FIRST_STEPS,
    States,
    density,
    diagonalise,
    filled,
    occupy,
    padded,
    random_vectors,
    screening,
    with_room,
)
from nearsight.engines.planewave.threads import Workers
from nearsight.engines.xc import ExchangeCorrelation
from nearsight.errors import ConvergenceError
from nearsight.field import ScalarField
from nearsight.units import KELVIN

#: residual of the states relative to that of the density (with 0.3 mixing fails), and its largest value
_EIGEN_PER_DENSITY, _LOOSEST = 0.03, 2e-2
#: and where it hides that of the density at the beginning
_TOO_LOOSE = 0.2
#: extensions of the search space in all iterations but the first
_STEPS = 4


@dataclass(frozen=True, eq=False)
class DensityTerms:
    """What a density alone decides: energies (hartree) and potentials on the grid (hartree)."""

    hartree: float
    xc: float
    v_xc: np.ndarray
    potential: np.ndarray


@dataclass(frozen=True, eq=False)
class Converged:
    """The end of a self-consistent cycle: output density and what belongs to it."""

    rho: ScalarField
    states: States
    terms: dict[str, float]
    v_xc: np.ndarray
    n_iterations: int
    residual: float


def density_terms(geometry: Geometry, rho: ScalarField, xc: ExchangeCorrelation) -> DensityTerms:
    """Hartree and exchange-correlation energies of a density and the potential it makes."""
    e_hartree, v_hartree = hartree(rho)
    e_xc, v_xc = xc.evaluate(geometry.with_core(rho))
    return DensityTerms(e_hartree, e_xc, v_xc, geometry.local_pseudopotential + v_hartree + v_xc)


def harris_terms(
    geometry: Geometry, rho: ScalarField, terms: DensityTerms, states: States
) -> dict[str, float]:
    """Parts of the Harris–Foulkes free energy, hartree."""
    bands = np.einsum("k,kn,kn->", geometry.k_points.weights, states.occupations.values, states.eigenvalues)
    return {
        "eigenvalues": float(bands),
        "hartree_double_counting": -terms.hartree,
        "xc_double_counting": terms.xc - float(np.vdot(terms.v_xc, rho.values)) * rho.grid.dv,
        "ewald": geometry.ewald[0],
        "minus_ts": states.occupations.minus_ts,
    }


def kohn_sham_terms(
    geometry: Geometry, rho: ScalarField, states: States, terms: DensityTerms, workers: Workers
) -> dict[str, float]:
    """Parts of the Kohn–Sham free energy of orbitals and their own density, hartree."""
    kinetic = separable = 0.0
    for k, weight in enumerate(geometry.k_points.weights):
        f, x = states.weighted(k, float(weight)), states.vectors[k]
        kinetic += float(f @ (x.abs() ** 2 @ geometry.waves[k].kinetic))
        separable += geometry.projectors[k].energy(x, f, workers)
    return {
        "kinetic": kinetic,
        "nonlocal_pseudopotential": separable,
        "local_pseudopotential": float(np.vdot(geometry.local_pseudopotential, rho.values)) * rho.grid.dv,
        "hartree": terms.hartree,
        "xc": terms.xc,
        "ewald": geometry.ewald[0],
        "minus_ts": states.occupations.minus_ts,
    }


def self_consistent(
    geometry: Geometry,
    start: ScalarField,
    settings: PlanewaveSettings,
    workers: Workers,
    vectors: list[torch.Tensor] | None = None,
    watch: Callable[[int, float], None] | None = None,
) -> Converged:
    """Iterate a starting density to self-consistency.

    Parameters
    ----------
    geometry, settings, workers
    start : ScalarField
    vectors : list of Tensor, optional
        Orbitals to begin with.
    watch : callable, optional
        Called with the iteration and its residual.

    Raises
    ------
    ConvergenceError
        Not converged within the settings' iterations; says what to try.
    """
    xc = ExchangeCorrelation(settings.functional)
    kt = settings.smearing_kelvin * KELVIN
    steps = _STEPS if vectors else FIRST_STEPS
    vectors = vectors or random_vectors(geometry, settings.n_states(geometry.n_electrons))
    mixer, importance = None, filled(geometry, vectors)
    rho, residual = start, np.inf
    for iteration in range(1, settings.max_iterations + 1):
        found = diagonalise(
            geometry, density_terms(geometry, rho, xc).potential, vectors, workers,
            tolerance=min(_LOOSEST, _EIGEN_PER_DENSITY * residual), importance=importance, max_steps=steps,
        )  # fmt: skip
        states = occupy(geometry, found, kt)
        out = density(geometry, states, workers)
        residual = float(np.abs(out.values - rho.values).sum()) * geometry.grid.dv / geometry.n_electrons
        if watch is not None:
            watch(iteration, residual)
        if residual < settings.density_tolerance and states.has_room:
            last = density_terms(geometry, out, xc)
            terms = kohn_sham_terms(geometry, out, states, last, workers)
            return Converged(out, states, terms, last.v_xc, iteration, residual)
        vectors = with_room(geometry, states)
        importance = padded(states.importance, len(vectors[0]))
        if mixer is None and states.error > _TOO_LOOSE * residual:
            continue  # a good density, random orbitals: what is left of those must not be mixed in
        steps = _STEPS
        mixer = mixer or _mixer(geometry, states, settings)
        rho = ScalarField(geometry.grid, mixer.next_input(rho.values, out.values))
    raise ConvergenceError(
        f"the density of {geometry.structure.formula} did not converge in {settings.max_iterations} "
        f"iterations (residual {residual:.1e} per electron, wanted {settings.density_tolerance:.1e}); "
        f"try mixing {settings.mixing / 2:g} instead of {settings.mixing:g}, more max_iterations, "
        f"or smearing_kelvin {2 * settings.smearing_kelvin + 1000:g}"
    )


def _mixer(geometry: Geometry, states: States, settings: PlanewaveSettings) -> PulayKerkerMixer:
    """A mixer whose damping fits the system, judged by the first states."""
    kerker = settings.kerker
    if kerker is None:
        kerker = screening(geometry, states)
    return PulayKerkerMixer(
        geometry.grid, fraction=settings.mixing, depth=settings.mixing_depth, kerker=kerker
    )
