"""Orbitals in a potential: found, occupied, squared."""

from dataclasses import dataclass

import numpy as np
import torch

from nearsight.engines.mixing import thomas_fermi_wave_vector
from nearsight.engines.occupations import Occupations, fermi_dirac
from nearsight.engines.planewave.davidson import Eigenstates, davidson
from nearsight.engines.planewave.geometry import Geometry
from nearsight.engines.planewave.hamiltonian import Hamiltonian, squared
from nearsight.engines.planewave.settings import PlanewaveSettings
from nearsight.engines.planewave.threads import Workers
from nearsight.errors import ConvergenceError, InputError
from nearsight.field import ScalarField
from nearsight.units import KELVIN

#: seed of the random vectors that the first diagonalisation begins with; no result depends on it
_SEED = 1
#: least importance of a state to the eigensolver
_LEAST_IMPORTANCE = 1e-3
#: extensions of the search space from random vectors
FIRST_STEPS = 12
#: residuals (hartree) of states for a density that is not iterated, and of bands; rounds of first steps
_EXACT, _EXACT_BANDS, _ROUNDS = 1e-5, 1e-4, 8
#: occupation of the highest state that calls for more of them, and how many more at least
_TOO_FULL, _FEWEST_MORE = 1e-4, 4


@dataclass(frozen=True, eq=False)
class States:
    """Orbitals at all wave vectors.

    Attributes
    ----------
    eigenvalues : ndarray (n_k, n_states)
    vectors : list of Tensor (n_states, len_k)
    occupations : Occupations
    norms : ndarray (n_k, n_states)
        ‖Hψ − εψ‖ in hartree.
    """

    eigenvalues: np.ndarray
    vectors: list[torch.Tensor]
    occupations: Occupations
    norms: np.ndarray

    @property
    def importance(self) -> np.ndarray:
        """What the states' residuals count for, (n_k, n_states): the root of half the occupation."""
        return np.sqrt(self.occupations.values / 2)

    @property
    def error(self) -> float:
        """Largest residual times its importance, hartree."""
        return float((self.importance * self.norms).max())

    @property
    def has_room(self) -> bool:
        """Whether the highest states are empty, so that none is missing."""
        return float(self.occupations.values[:, -1].max()) < _TOO_FULL

    def weighted(self, k: int, weight: float) -> torch.Tensor:
        """Occupations of one wave vector's states times its weight, shape (n_states,)."""
        return torch.as_tensor(weight * self.occupations.values[k], device=self.vectors[k].device)


def random_vectors(geometry: Geometry, n_states: int, seed: int = _SEED) -> list[torch.Tensor]:
    """Where a first diagonalisation begins; fewer states where there are fewer plane waves."""
    generator = np.random.default_rng(seed)
    n_states = min(n_states, *(waves.n_waves for waves in geometry.waves))
    return [waves.random(n_states, generator) for waves in geometry.waves]


def diagonalise(
    geometry: Geometry,
    potential: np.ndarray,
    start: list[torch.Tensor],
    workers: Workers,
    *,
    tolerance: float,
    importance: np.ndarray,
    max_steps: int,
) -> list[Eigenstates]:
    """The lowest states in a potential on the grid, for each wave vector.

    Parameters
    ----------
    geometry : Geometry
    potential : ndarray (n1, n2, n3)
        Hartree.
    start : list of Tensor (n_states, len_k)
    workers : Workers
    tolerance : float
        Hartree, for the residuals times their importance.
    importance : ndarray (n_k, n_states)
    max_steps : int
        Of the eigensolver; it stops there in any case.
    """
    on_box = geometry.on_box(potential)
    found = []
    for k, (waves, projectors) in enumerate(zip(geometry.waves, geometry.projectors, strict=True)):
        apply = Hamiltonian(waves, projectors, on_box, workers)
        weights = torch.as_tensor(importance[k].clip(min=_LEAST_IMPORTANCE)).to(start[k].real)
        found.append(
            davidson(
                apply, waves.kinetic, start[k], workers,
                tolerance=tolerance, importance=weights, max_steps=max_steps,
            )
        )  # fmt: skip
    return found


def occupy(geometry: Geometry, found: list[Eigenstates], kt: float) -> States:
    """States with their occupations at temperature `kt` (hartree)."""
    eigenvalues = np.stack([one.values.double().cpu().numpy() for one in found])
    occupations = fermi_dirac(eigenvalues, geometry.n_electrons, kt, geometry.k_points.weights)
    norms = np.stack([one.residuals.double().cpu().numpy() for one in found])
    return States(eigenvalues, [one.vectors for one in found], occupations, norms)


def solve(
    geometry: Geometry,
    potential: np.ndarray,
    settings: PlanewaveSettings,
    workers: Workers,
    vectors: list[torch.Tensor] | None,
) -> States:
    """Well converged states in a potential that is not iterated.

    Parameters
    ----------
    geometry : Geometry
    potential : ndarray (n1, n2, n3)
        Total local potential on the grid, hartree.
    settings : PlanewaveSettings
    workers : Workers
    vectors : list of Tensor (n_states, n_waves), optional
        Orbitals to begin with, one tensor for each wave vector; random ones unless given.

    Raises
    ------
    ConvergenceError
        The eigensolver did not converge.
    """
    kt = settings.smearing_kelvin * KELVIN
    vectors = vectors or random_vectors(geometry, settings.n_states(geometry.n_electrons))
    importance = filled(geometry, vectors)
    for _ in range(_ROUNDS):
        found = diagonalise(
            geometry, potential, vectors, workers,
            tolerance=_EXACT, importance=importance, max_steps=FIRST_STEPS,
        )  # fmt: skip
        states = occupy(geometry, found, kt)
        if states.has_room and states.error < _EXACT:
            return states
        vectors = with_room(geometry, states)
        importance = padded(states.importance, len(vectors[0]))
    raise _unconverged(geometry)


def lowest(geometry: Geometry, potential: np.ndarray, n_states: int, workers: Workers) -> np.ndarray:
    """The `n_states` lowest eigenvalues in a potential at each wave vector, hartree, (n_k, n_states).

    Raises
    ------
    ConvergenceError
        The eigensolver did not converge.
    """
    vectors = random_vectors(geometry, n_states + max(_FEWEST_MORE, n_states // 8))
    importance = np.zeros((len(vectors), len(vectors[0])))
    importance[:, :n_states] = 1.0
    for _ in range(_ROUNDS):
        found = diagonalise(
            geometry, potential, vectors, workers,
            tolerance=_EXACT_BANDS, importance=importance, max_steps=FIRST_STEPS,
        )  # fmt: skip
        vectors = [one.vectors for one in found]
        if max(float(one.residuals[:n_states].max()) for one in found) < _EXACT_BANDS:
            return np.stack([one.values[:n_states].double().cpu().numpy() for one in found])
    raise _unconverged(geometry)


def _unconverged(geometry: Geometry) -> ConvergenceError:
    return ConvergenceError(
        f"the states of {geometry.structure.formula} did not converge in {_ROUNDS * FIRST_STEPS} steps "
        "of the eigensolver; check the density, or use a smaller ecut or fewer states"
    )


def filled(geometry: Geometry, vectors: list[torch.Tensor]) -> np.ndarray:
    """Importance of states whose energies nobody knows yet, 1 for the lowest: shape (n_k, n_states)."""
    lowest_ones = np.arange(len(vectors[0])) < geometry.n_electrons / 2
    return np.tile(lowest_ones.astype(np.float64), (len(vectors), 1))


def with_room(geometry: Geometry, states: States) -> list[torch.Tensor]:
    """Vectors to go on with: more of them where the highest state is not empty.

    Raises
    ------
    InputError
        There are no more plane waves.
    """
    if states.has_room:
        return states.vectors
    n_states = states.eigenvalues.shape[1]
    room = min(waves.n_waves for waves in geometry.waves) - n_states
    if room < 1:
        raise InputError(f"the electrons fill all {n_states} plane waves; use a larger ecut")
    more = random_vectors(geometry, max(_FEWEST_MORE, n_states // 8), seed=n_states)
    return [torch.cat([x, y[:room].to(x)]) for x, y in zip(states.vectors, more, strict=True)]


def padded(importance: np.ndarray, n_states: int) -> np.ndarray:
    """Importance (n_k, n_states) with zeros for states that were added."""
    return np.pad(importance, ((0, 0), (0, n_states - importance.shape[1])))


def density(geometry: Geometry, states: States, workers: Workers) -> ScalarField:
    """Σ_k w_k Σ_n f_n |ψ_n|² on the grid, e/bohr³."""
    total = torch.zeros(geometry.box.shape, dtype=torch.float64, device=geometry.device)
    for k, weight in enumerate(geometry.k_points.weights):
        f = states.weighted(k, float(weight))
        kept = f > 1e-14
        total += squared(geometry.waves[k], states.vectors[k][kept], f[kept], workers)
    rho = ScalarField(geometry.box, total.cpu().numpy()).resampled(geometry.grid.shape)
    return ScalarField(rho.grid, geometry.k_points.symmetrised(rho.values))


def screening(geometry: Geometry, states: States) -> float:
    """Thomas and Fermi's screening wave vector of the states, 1/bohr."""
    return thomas_fermi_wave_vector(
        states.eigenvalues,
        states.occupations.fermi_level,
        geometry.structure.volume,
        geometry.k_points.weights,
    )
