"""From one entry of a recipe to its frames."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nearsight.io.extxyz import Frame
from nearsight.neighbours import require_separated_atoms
from nearsight.sampling.calculators import CalculatorFactory, make_calculator, require_forces
from nearsight.sampling.dynamics import Dynamics, Sampled, run_dynamics
from nearsight.sampling.recipe import StructureSpec, Trajectory
from nearsight.structure import Structure


def sample_trajectory(
    trajectory: Trajectory,
    recipe: str,
    rng: np.random.Generator,
    calculators: Mapping[str, CalculatorFactory] | None = None,
) -> Iterator[Frame]:
    """Yield the frames of a trajectory, which depend on `rng` alone.

    Parameters
    ----------
    trajectory : Trajectory
    recipe : str
        Name of the recipe, written into every frame.
    rng : Generator
        One for this trajectory alone makes it independent of the others.
    calculators : mapping of name to factory, optional
        Calculators that the dynamics may name besides those of `make_calculator`.

    Raises
    ------
    InputError
        A structure that cannot be built, or a calculator that cannot handle it.
    """
    if trajectory.dynamics is None:
        sources = _static(trajectory.structure, trajectory.frames, rng)
    else:
        sources = _dynamic(trajectory.structure, trajectory.dynamics, trajectory.frames, rng, calculators)
    for frame, (structure, info) in enumerate(sources):
        require_separated_atoms(structure)
        yield Frame(
            structure=structure,
            label=f"{trajectory.name}/{frame:04d}",
            trajectory=trajectory.name,
            split=trajectory.split,
            info={"frame": frame, "recipe": recipe, **info},
        )


def _static(
    spec: StructureSpec, n_frames: int, rng: np.random.Generator
) -> Iterator[tuple[Structure, dict[str, Any]]]:
    """Newly built structures."""
    for _ in range(n_frames):
        yield Structure.from_ase(spec.build(rng)), {}


def _dynamic(
    spec: StructureSpec,
    dynamics: Dynamics,
    n_frames: int,
    rng: np.random.Generator,
    calculators: Mapping[str, CalculatorFactory] | None,
) -> Iterator[tuple[Structure, dict[str, Any]]]:
    """Frames of one run of dynamics."""
    atoms = spec.build(rng)
    atoms.calc = make_calculator(dynamics.calculator, dynamics.calculator_settings, calculators)
    require_forces(atoms, dynamics.calculator)
    for sampled in run_dynamics(atoms, dynamics, n_frames, rng):
        yield Structure.from_ase(sampled.atoms), _record(dynamics, sampled)


def _record(dynamics: Dynamics, sampled: Sampled) -> dict[str, Any]:
    """What is known of a frame; ``not_equilibrated`` is there only where something spoke against it."""
    state = sampled.equilibration
    record: dict[str, Any] = {
        "temperature_K": dynamics.temperature_kelvin,
        "kinetic_K": round(sampled.kinetic_kelvin, 2),
        "equilibration_K": round(state.temperature_kelvin, 2),
    }
    return record if state.equilibrated else record | {"not_equilibrated": state.failure}
