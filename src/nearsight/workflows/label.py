"""From structures to a data set: one Kohn–Sham calculation a snapshot, resumable."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ase import Atoms

from nearsight.engines.protocol import Engine, GroundState
from nearsight.errors import InputError, NearsightError, StoreError, UnknownElementError
from nearsight.grid import UniformGrid
from nearsight.io.extxyz import Frame, frame_of, read_frames
from nearsight.neighbours import require_separated_atoms
from nearsight.progress import Progress, silent
from nearsight.provenance import digest, machine, software
from nearsight.snapshot import Snapshot
from nearsight.store.dataset import Dataset
from nearsight.store.info import require_split
from nearsight.structure import Structure
from nearsight.workflows.parallel import map_items


@dataclass(frozen=True)
class LabelResult:
    """What `label` did.

    Attributes
    ----------
    output : Path
    done, skipped : list of int
        Snapshots labelled now, and those that were complete before.
    failed : dict of int to str
        Why the others failed, one line each; the next run tries them again.
    seconds : float
    """

    output: Path
    done: list[int]
    skipped: list[int]
    failed: dict[int, str]
    seconds: float


@dataclass(frozen=True)
class GridChoice:
    """Grid of every snapshot: a spacing in bohr, a shape, or what the engine thinks right."""

    spacing: float | None = None
    shape: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        if self.spacing is not None and self.shape is not None:
            raise InputError("give a grid spacing or a grid shape, not both")
        if self.spacing is not None and not 0 < self.spacing < 10:
            raise InputError(f"a grid spacing is a positive number of bohr such as 0.3, not {self.spacing}")

    def grid(self, structure: Structure, engine: Engine) -> UniformGrid:
        """The grid for one structure."""
        if self.shape is not None:
            return UniformGrid(structure.cell, self.shape)
        if self.spacing is not None:
            return UniformGrid.with_spacing(structure.cell, self.spacing)
        return engine.default_grid(structure)


def label(
    structures: str | Path | Sequence[Frame | Atoms],
    output: str | Path,
    engine: Engine,
    *,
    jobs: int = 1,
    spacing: float | None = None,
    shape: tuple[int, int, int] | None = None,
    progress: Progress = silent,
) -> LabelResult:
    """Compute density, energy and forces of every structure and store them.

    Snapshot i of the data set is structure i of the file. Run again after an interruption to carry
    on: what is complete is skipped, what failed is tried again.

    Parameters
    ----------
    structures : path, or sequence of Frame or ase.Atoms
        Info keys ``trajectory``, ``split`` and ``label`` are heeded; without them all structures are
        one trajectory for training.
    output : path
        Data set to make or to carry on.
    engine : Engine
    jobs : int
        Snapshots side by side, each in a process of its own.
    spacing, shape : optional
        Grid of every snapshot; the engine's choice unless one of them is given.
    progress : Progress

    Raises
    ------
    FileFormatError, StructureError
        Structures that cannot be read.
    StoreError
        The data set was made with another engine, grid or structures, or a trajectory is in two
        splits.
    NearsightError
        The disk is full; what is complete stays.
    """
    start = time.perf_counter()
    frames = _frames(structures)
    choice = GridChoice(spacing, shape)
    dataset = _open(Path(output), engine, choice)
    skipped = _complete(dataset, frames)
    pending = [number for number in range(len(frames)) if number not in set(skipped)]
    _add_radial_tables(dataset, engine, [frames[n].structure for n in pending])
    failed: dict[int, str] = {}
    progress("labelling", len(skipped), len(frames))
    finished = len(skipped)

    def note(outcome: tuple[int, str | None]) -> None:
        nonlocal finished
        finished += 1
        number, message = outcome
        if message is not None:
            failed[number] = message
        progress("labelling", finished, len(frames))

    work = partial(_label_one, dataset.path, engine, choice)
    map_items(work, [(number, frames[number]) for number in pending], jobs, note)
    done = [number for number in pending if number not in failed]
    return LabelResult(Path(output), done, skipped, dict(sorted(failed.items())), time.perf_counter() - start)


def _label_one(
    path: Path, engine: Engine, choice: GridChoice, item: tuple[int, Frame]
) -> tuple[int, str | None]:
    """Label one structure, here or in a worker; returns its number and why it failed, if it did.

    A calculation may fail and is noted; a store that cannot be written ends the run.
    """
    number, frame = item
    dataset = Dataset.open(path, "a")
    try:
        snapshot = _calculate(engine, choice, frame)
    except Exception as error:  # an engine may fail in any way, and the other snapshots must go on
        message = str(error) if isinstance(error, NearsightError) else f"{type(error).__name__}: {error}"
        message = " ".join(message.split())
        dataset.record_failure(number, frame.label, message)
        return number, message
    dataset.write(number, snapshot, label=frame.label, trajectory=frame.trajectory, split=frame.split)
    return number, None


def _calculate(engine: Engine, choice: GridChoice, frame: Frame) -> Snapshot:
    """One ground state as a snapshot."""
    require_separated_atoms(frame.structure)
    state = engine.ground_state(frame.structure, choice.grid(frame.structure, engine), forces=True)
    return Snapshot(
        structure=frame.structure,
        density=state.density,
        n_electrons=state.n_electrons,
        energy=state.free_energy,
        forces=state.forces,
        provenance=_provenance(engine, frame, state),
    )


def _provenance(engine: Engine, frame: Frame, state: GroundState) -> dict[str, Any]:
    return {
        "engine": engine.fingerprint(),
        "frame": frame.info,
        "fermi_level": state.fermi_level,
        "terms": state.terms,
        "n_iterations": state.n_iterations,
        "residual": state.residual,
        "seconds": state.seconds,
        "software": software(),
        "machine": machine(),
    }


def _frames(structures: str | Path | Sequence[Frame | Atoms]) -> list[Frame]:
    """The frames, every trajectory in one split."""
    if isinstance(structures, str | Path):
        frames = read_frames(structures)
    else:
        frames = [s if isinstance(s, Frame) else frame_of(s, i) for i, s in enumerate(structures)]
    if not frames:
        raise InputError("there are no structures to label")
    splits: dict[str, str] = {}
    for frame in frames:
        require_split(frame.split)
        if splits.setdefault(frame.trajectory, frame.split) != frame.split:
            raise StoreError(
                f"trajectory '{frame.trajectory}' is in the {splits[frame.trajectory]} and the {frame.split} "
                "part; its frames are near copies of each other: give it one split"
            )
    return frames


def _open(path: Path, engine: Engine, choice: GridChoice) -> Dataset:
    """The data set to fill: a new one, or one that the same engine began on the same grids."""
    fingerprint = engine.fingerprint()
    if not path.exists():
        return Dataset.create(path, engine=fingerprint, attributes={"grid": choice})
    dataset = Dataset.open(path, "a")
    recorded = dataset.engine
    if recorded is None:
        raise StoreError(f"{path} holds imported files; label into another data set")
    if digest(recorded) != digest(fingerprint):
        keys = sorted({*recorded, *fingerprint})
        differ = [k for k in keys if digest(recorded.get(k)) != digest(fingerprint.get(k))]
        raise StoreError(
            f"{path} was made with other engine settings ({', '.join(differ)} differ); "
            "use those, or another output"
        )
    grid = dataset.attributes.get("grid")
    if digest(grid) != digest(choice):
        raise StoreError(f"{path} was made with the grid {grid}; give the same, or another output")
    return dataset


def _complete(dataset: Dataset, frames: list[Frame]) -> list[int]:
    """Numbers that need no work, checked to be the same structures in the same splits."""
    numbers = [number for number in dataset.numbers() if number < len(frames)]
    for number in numbers:
        info, frame = dataset.info(number), frames[number]
        what = None
        if info.structure_digest != frame.structure.digest():
            what = "another structure than"
        elif (info.trajectory, info.split) != (frame.trajectory, frame.split):
            what = f"in the {info.split} part (trajectory '{info.trajectory}'), not {frame.split} as"
        if what is not None:
            raise StoreError(
                f"snapshot {number} of {dataset.path} is {what} number {number} of the structures given; "
                "give those that the data set was begun with, or another output"
            )
    return numbers


def _add_radial_tables(dataset: Dataset, engine: Engine, structures: list[Structure]) -> None:
    """Store the free-atom densities of all elements to come that the engine knows."""
    present = dataset.radial
    for number in sorted({z for s in structures for z in s.species} - set(present)):
        try:
            table = engine.atomic_density(number)
        except UnknownElementError:
            continue  # the snapshots that hold it fail one by one, with this reason on record
        dataset.set_radial({number: table})
