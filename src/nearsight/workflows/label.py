"""From structures to a data set: one Kohn–Sham calculation a snapshot, resumable."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ase import Atoms

from nearsight.engines.protocol import Engine
from nearsight.engines.resources import with_threads
from nearsight.errors import InputError, StoreError, UnknownElementError
from nearsight.io.extxyz import Frame, frame_of, read_frames
from nearsight.progress import Progress, silent
from nearsight.provenance import digest
from nearsight.store.dataset import Dataset, Failure
from nearsight.store.info import require_split
from nearsight.structure import Structure
from nearsight.workflows.label_one import GridChoice, label_one, megabytes
from nearsight.workflows.outcome import Outcome
from nearsight.workflows.parallel import Execution, outcomes


@dataclass(frozen=True)
class LabelResult:
    """What `label` did.

    Attributes
    ----------
    output : Path
    done, skipped : list of int
        Snapshots labelled now, and those that were complete before.
    failures : list of Failure
        The others, by number, each with its kind and reason; the next run tries them again.
    warnings : dict of str to list of int
        What the engine warned of, and the snapshots labelled now that it said so of.
    seconds : float
    """

    output: Path
    done: list[int]
    skipped: list[int]
    failures: list[Failure]
    warnings: dict[str, list[int]]
    seconds: float

    @property
    def failed(self) -> dict[int, str]:
        """Why snapshots failed, one line each, by number."""
        return {failure.number: failure.message for failure in self.failures}


def label(
    structures: str | Path | Sequence[Frame | Atoms],
    output: str | Path,
    engine: Engine,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    retries: int = 1,
    timeout: float | None = None,
    threads: int | None = None,
    memory_mb: float | None = None,
    spacing: float | None = None,
    shape: tuple[int, int, int] | None = None,
    progress: Progress = silent,
) -> LabelResult:
    """Compute density, energy and forces of every structure and store them.

    Snapshot i of the data set is structure i of the file. Run again after an interruption to carry
    on: what is complete is skipped, what failed is tried again. Whoever does the work, the store is
    the same. A new store that not one snapshot got into is removed.

    Parameters
    ----------
    structures : path, or sequence of Frame or ase.Atoms
        Info keys ``trajectory``, ``split`` and ``label`` are heeded; without them all structures are
        one trajectory for training.
    output : path
        Data set to make or to carry on.
    engine : Engine
    jobs, scheduler, retries, timeout, threads, memory_mb
        Where and how patiently to work: see `nearsight.workflows.parallel.Execution`.
    spacing, shape : optional
        Grid of every snapshot; the engine's choice unless one of them is given.
    progress : Progress

    Raises
    ------
    FileFormatError, StructureError
        Structures that cannot be read.
    InputError
        Magnetic moments, which nearsight does not treat; an option out of range.
    StoreError
        The data set was made with another engine, grid or structures, or a trajectory is in two
        splits.
    NearsightError
        The disk is full, or the scheduler is not there or goes away; what is complete stays.
    """
    start = time.perf_counter()
    execution = Execution(jobs, scheduler, retries, timeout, threads, memory_mb)
    frames = _frames(structures)
    choice = GridChoice(spacing, shape)
    with _filling(Path(output), engine, choice) as dataset:
        skipped = _complete(dataset, frames)
        pending = [number for number in range(len(frames)) if number not in set(skipped)]
        _add_radial_tables(dataset, engine, [frames[n].structure for n in pending])
        progress("labelling", len(skipped), len(frames))
        tally = _Tally(dataset, frames, progress, len(skipped))
        solver = engine if threads is None else with_threads(engine, threads)
        work = partial(label_one, dataset.path.absolute(), solver, choice)
        items = [(number, frames[number]) for number in pending]
        with closing(outcomes(work, items, execution, partial(megabytes, engine, choice), progress)) as ends:
            for outcome in ends:
                tally.note(outcome)
    failures = sorted(tally.failures, key=lambda failure: failure.number)
    seconds = time.perf_counter() - start
    return LabelResult(Path(output), sorted(tally.done), skipped, failures, tally.warnings, seconds)


@dataclass
class _Tally:
    """What has become of the snapshots so far; failures go on record as they come."""

    dataset: Dataset
    frames: list[Frame]
    progress: Progress
    finished: int
    done: list[int] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    warnings: dict[str, list[int]] = field(default_factory=dict)

    def note(self, outcome: Outcome) -> None:
        number, frame = outcome.number, self.frames[outcome.number]
        if outcome.kind is None:
            self.done.append(number)
            for text in outcome.warnings:
                self.warnings.setdefault(text, []).append(number)
        else:
            self.failures.append(
                self.dataset.record_failure(
                    number,
                    frame.label,
                    outcome.message,
                    formula=frame.structure.formula,
                    kind=outcome.kind,
                    tries=outcome.tries,
                )
            )
        self.finished += 1
        self.progress("labelling", self.finished, len(self.frames))


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


@contextmanager
def _filling(path: Path, engine: Engine, choice: GridChoice) -> Iterator[Dataset]:
    """The data set to fill: a new one, or one that the same engine began on the same grids.

    A new one that nothing got into is removed, however the run ends: it would bind its name to engine
    settings that may be what was wrong.
    """
    if path.exists():
        yield _carry_on(path, engine, choice)
        return
    dataset = Dataset.create(path, engine=engine.fingerprint(), attributes={"grid": choice})
    try:
        yield dataset
    finally:
        if not dataset.numbers():
            shutil.rmtree(path, ignore_errors=True)


def _carry_on(path: Path, engine: Engine, choice: GridChoice) -> Dataset:
    """The data set at `path`, checked to be of the same engine and grids."""
    fingerprint = engine.fingerprint()
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
