"""What self-consistent cycles share: how far they are, how they mix, and what to try where they fail."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from nearsight.atomic.superposition import superpose
from nearsight.engines.mixing import PulayKerkerMixer
from nearsight.engines.protocol import Engine
from nearsight.engines.settings import SelfConsistentSettings
from nearsight.errors import ConvergenceError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure


def residual_per_electron(rho_in: ScalarField, rho_out: ScalarField, n_electrons: float) -> float:
    """∫|ρ_out − ρ_in| per electron."""
    return float(np.abs(rho_out.values - rho_in.values).sum()) * rho_in.grid.dv / n_electrons


def new_mixer(grid: UniformGrid, settings: SelfConsistentSettings, screening: float) -> PulayKerkerMixer:
    """A mixer whose damping is as set, or fits the system.

    Parameters
    ----------
    grid : UniformGrid
    settings : SelfConsistentSettings
    screening : float
        Thomas and Fermi's wave vector in 1/bohr of the first states.
    """
    kerker = settings.kerker if settings.kerker is not None else screening
    return PulayKerkerMixer(grid, fraction=settings.mixing, depth=settings.mixing_depth, kerker=kerker)


def superposed_atoms(engine: Engine, structure: Structure, grid: UniformGrid) -> ScalarField:
    """Where a cycle begins: an engine's free atoms, scaled to the electron count, e/bohr³."""
    tables = {z: engine.atomic_density(z) for z in structure.species}
    return superpose(structure, grid, tables).rescaled(engine.n_electrons(structure)).field


@contextmanager
def warned_of(warnings: tuple[str, ...]) -> Iterator[None]:
    """Let an error of convergence begin with what the result would have been warned of: the likely cause."""
    try:
        yield
    except ConvergenceError as error:
        raise ConvergenceError("; ".join([*warnings, str(error)])) from None


def not_converged(
    structure: Structure, settings: SelfConsistentSettings, residual: float
) -> ConvergenceError:
    """The error to raise after the last iteration; its message says what to try."""
    return ConvergenceError(
        f"the density of {structure.formula} did not converge in {settings.max_iterations} "
        f"iterations (residual {residual:.1e} per electron, wanted {settings.density_tolerance:.1e}); "
        f"try mixing {settings.mixing / 2:g} instead of {settings.mixing:g}, more max_iterations, "
        f"or smearing_kelvin {2 * settings.smearing_kelvin + 1000:g}"
    )
