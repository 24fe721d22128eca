"""From a recipe to a file of structures."""

from dataclasses import dataclass
from pathlib import Path

from nearsight.io.extxyz import Frame, write_frames
from nearsight.progress import Progress, silent
from nearsight.provenance import generator
from nearsight.sampling.recipe import Recipe, Trajectory, read_recipe
from nearsight.sampling.trajectory import sample_trajectory


@dataclass(frozen=True)
class SampledTrajectory:
    """What came of one trajectory of a recipe; temperatures in K, None without dynamics."""

    name: str
    split: str
    n_frames: int
    temperature_kelvin: float | None
    equilibration_kelvin: float | None


@dataclass(frozen=True)
class SampleResult:
    """What `sample` wrote."""

    output: Path
    recipe: str
    n_frames: int
    trajectories: list[SampledTrajectory]


def sample(
    recipe: Recipe | str | Path, output: str | Path, *, seed: int = 0, progress: Progress = silent
) -> SampleResult:
    """Make the structures of a recipe and write them to an extended XYZ file, atomically.

    Every trajectory has its own random generator, seeded by `seed` and the names of recipe and
    trajectory: taking one out of the recipe leaves the others as they were.

    Parameters
    ----------
    recipe : Recipe, or path or name of one
    output : path
    seed : int
    progress : Progress

    Raises
    ------
    InputError
        A recipe that cannot be read or followed.
    """
    chosen = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    frames: list[Frame] = []
    reports: list[SampledTrajectory] = []
    progress("sampling", 0, chosen.n_frames)
    for trajectory in chosen.trajectories:
        rng = generator(seed, chosen.name, trajectory.name)
        first = len(frames)
        for frame in sample_trajectory(trajectory, chosen.name, rng):
            frames.append(frame)
            progress("sampling", len(frames), chosen.n_frames)
        reports.append(_report(trajectory, frames[first:]))
    write_frames(output, frames)
    return SampleResult(Path(output), chosen.name, len(frames), reports)


def _report(trajectory: Trajectory, frames: list[Frame]) -> SampledTrajectory:
    info = frames[0].info
    return SampledTrajectory(
        name=trajectory.name,
        split=trajectory.split,
        n_frames=len(frames),
        temperature_kelvin=info.get("temperature_K"),
        equilibration_kelvin=info.get("equilibration_K"),
    )
