"""From a recipe to a file of structures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearsight.io.extxyz import Frame, write_frames
from nearsight.progress import Progress, silent
from nearsight.provenance import generator
from nearsight.sampling.decorrelation import Decorrelation, decorrelation
from nearsight.sampling.recipe import Recipe, Trajectory, read_recipe
from nearsight.sampling.trajectory import sample_trajectory
from nearsight.workflows.engine_calculator import engine_calculators
from nearsight.workflows.recipe_engine import ENGINE_KEY


@dataclass(frozen=True)
class SampledTrajectory:
    """What came of one trajectory of a recipe; temperatures in K, None without dynamics.

    Attributes
    ----------
    name, split : str
    n_frames, n_atoms : int
        Frames, and atoms of the first.
    temperature_kelvin, equilibration_kelvin : float or None
        Of the thermostat, and measured at the end of the equilibration.
    not_equilibrated : str or None
        What speaks against equilibrium, if anything does.
    """

    name: str
    split: str
    n_frames: int
    n_atoms: int
    temperature_kelvin: float | None
    equilibration_kelvin: float | None
    not_equilibrated: str | None


@dataclass(frozen=True)
class SampleResult:
    """What `sample` wrote.

    Attributes
    ----------
    output : Path
    recipe : str
        Its name.
    size : str or None
        Which of the recipe's sizes, where it has some.
    note : str
        What the recipe says of all its structures.
    n_frames : int
    trajectories : list of SampledTrajectory
    decorrelation : Decorrelation
        How far apart the frames are.
    """

    output: Path
    recipe: str
    size: str | None
    note: str
    n_frames: int
    trajectories: list[SampledTrajectory]
    decorrelation: Decorrelation

    @property
    def warnings(self) -> list[str]:
        """One line for every trajectory that is not in equilibrium."""
        return [
            f"trajectory {t.name} is not equilibrated: {t.not_equilibrated}; more 'equilibration' steps help"
            for t in self.trajectories
            if t.not_equilibrated
        ]


def sample(
    recipe: Recipe | str | Path,
    output: str | Path,
    *,
    size: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> SampleResult:
    """Make the structures of a recipe and write them to an extended XYZ file, atomically.

    Every trajectory has its own random generator, seeded by `seed` and the names of recipe and
    trajectory: taking one out of the recipe leaves the others as they were.

    Parameters
    ----------
    recipe : Recipe, or path or name of one
        Its dynamics may name engines as calculators: ``engine:lcao``.
    output : path
    size : str, optional
        Which size of a recipe that has several; the smallest, ``demo``, unless given.
    seed : int
    progress : Progress

    Raises
    ------
    InputError
        A recipe that cannot be read or followed.
    """
    chosen = recipe if isinstance(recipe, Recipe) else read_recipe(recipe, size)
    common = _common(chosen)
    calculators = engine_calculators()
    frames: list[Frame] = []
    reports: list[SampledTrajectory] = []
    progress("sampling", 0, chosen.n_frames)
    for trajectory in chosen.trajectories:
        rng = generator(seed, chosen.name, trajectory.name)
        first = len(frames)
        for frame in sample_trajectory(trajectory, chosen.name, rng, calculators):
            frame.info.update(common)
            frames.append(frame)
            progress("sampling", len(frames), chosen.n_frames)
        reports.append(_report(trajectory, frames[first:]))
    write_frames(output, frames)
    return SampleResult(
        Path(output), chosen.name, chosen.size, chosen.note, len(frames), reports, decorrelation(frames)
    )


def _common(recipe: Recipe) -> dict[str, Any]:
    """What every structure of a recipe carries along: for readers, and for `label`."""
    engine = {ENGINE_KEY: recipe.engine.model_dump()} if "engine" in recipe.model_fields_set else {}
    return {key: value for key, value in (("size", recipe.size), ("note", recipe.note)) if value} | engine


def _report(trajectory: Trajectory, frames: list[Frame]) -> SampledTrajectory:
    info = frames[0].info
    return SampledTrajectory(
        name=trajectory.name,
        split=trajectory.split,
        n_frames=len(frames),
        n_atoms=frames[0].structure.n_atoms,
        temperature_kelvin=info.get("temperature_K"),
        equilibration_kelvin=info.get("equilibration_K"),
        not_equilibrated=info.get("not_equilibrated"),
    )
