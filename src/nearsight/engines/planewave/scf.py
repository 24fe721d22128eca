"""The self-consistent cycle in plane waves."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from nearsight.engines.free_energy import DensityTerms, kohn_sham_terms
from nearsight.engines.hartree import hartree
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
from nearsight.engines.self_consistency import new_mixer, not_converged, residual_per_electron
from nearsight.engines.xc import ExchangeCorrelation
from nearsight.field import ScalarField
from nearsight.units import KELVIN

#: residual of the states relative to that of the density (with 0.3 mixing fails), and its largest value
_EIGEN_PER_DENSITY, _LOOSEST = 0.03, 2e-2
#: and where it hides that of the density at the beginning
_TOO_LOOSE = 0.2
#: extensions of the search space in all iterations but the first
_STEPS = 4


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


def _energies(
    geometry: Geometry, rho: ScalarField, states: States, terms: DensityTerms, workers: Workers
) -> dict[str, float]:
    """Parts of the Kohn–Sham free energy of orbitals and their own density, hartree."""
    kinetic = separable = 0.0
    for k, weight in enumerate(geometry.k_points.weights):
        f, x = states.weighted(k, float(weight)), states.vectors[k]
        kinetic += float(f @ (x.abs() ** 2 @ geometry.waves[k].kinetic))
        separable += geometry.projectors[k].energy(x, f, workers)
    return kohn_sham_terms(geometry, rho, terms, states, kinetic=kinetic, separable=separable)


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
        residual = residual_per_electron(rho, out, geometry.n_electrons)
        if watch is not None:
            watch(iteration, residual)
        if residual < settings.density_tolerance and states.has_room:
            last = density_terms(geometry, out, xc)
            terms = _energies(geometry, out, states, last, workers)
            return Converged(out, states, terms, last.v_xc, iteration, residual)
        vectors = with_room(geometry, states)
        importance = padded(states.importance, len(vectors[0]))
        if mixer is None and states.error > _TOO_LOOSE * residual:
            continue  # a good density, random orbitals: what is left of those must not be mixed in
        steps = _STEPS
        mixer = mixer or new_mixer(geometry.grid, settings, screening(geometry, states))
        rho = ScalarField(geometry.grid, mixer.next_input(rho.values, out.values))
    raise not_converged(geometry.structure, settings, residual)
