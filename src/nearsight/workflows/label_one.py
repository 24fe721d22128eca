"""One structure to one stored snapshot: what every process that labels does."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearsight.engines.protocol import Engine, GroundState
from nearsight.engines.resources import memory_estimate_mb, with_threads
from nearsight.engines.spin import spin_notes
from nearsight.errors import InputError, NearsightError, StoreError
from nearsight.grid import UniformGrid
from nearsight.io.extxyz import Frame
from nearsight.neighbours import require_separated_atoms
from nearsight.provenance import machine, software
from nearsight.snapshot import Snapshot
from nearsight.store.dataset import Dataset
from nearsight.structure import Structure
from nearsight.workflows.child import THREADS
from nearsight.workflows.outcome import Outcome, failure, one_line


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


def label_one(path: Path, engine: Engine, choice: GridChoice, item: tuple[int, Frame]) -> Outcome:
    """Label one structure, here or in a process of its own.

    A calculation may fail and is reported; a store that cannot be written is an error.

    Raises
    ------
    StoreError
        The data set is not there (a worker that does not see the folder), or not one.
    NearsightError
        The disk is full.
    """
    number, frame = item
    dataset = Dataset.open(path, "a")
    if _is_stored(dataset, number, frame):  # by a process that was given up, and finished all the same
        return Outcome(number)
    limit = os.environ.get(THREADS)
    try:
        state = _solve(engine if limit is None else with_threads(engine, int(limit)), choice, frame)
        snapshot = _snapshot(engine, frame, state)
    except (Exception, SystemExit) as error:  # an engine may fail in any way, and the others must go on
        return failure(number, error)
    try:
        dataset.write(number, snapshot, label=frame.label, trajectory=frame.trajectory, split=frame.split)
    except StoreError:
        if not _is_stored(dataset, number, frame):
            raise
    return Outcome(number, warnings=_warnings(frame, state))


def megabytes(engine: Engine, choice: GridChoice, item: tuple[int, Frame]) -> float:
    """Memory that labelling a structure will take, MB; zero where the engine does not know it at all."""
    structure = item[1].structure
    try:
        return memory_estimate_mb(engine, structure, choice.grid(structure, engine))
    except NearsightError:
        return 0.0  # it fails when it is its turn, with this reason on record


def _is_stored(dataset: Dataset, number: int, frame: Frame) -> bool:
    if not dataset.has(number):
        return False
    return dataset.info(number).structure_digest == frame.structure.digest()


def _solve(engine: Engine, choice: GridChoice, frame: Frame) -> GroundState:
    require_separated_atoms(frame.structure)
    return engine.ground_state(frame.structure, choice.grid(frame.structure, engine), forces=True)


def _snapshot(engine: Engine, frame: Frame, state: GroundState) -> Snapshot:
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
        "warnings": _warnings(frame, state),
        "n_k_points": len(state.k_points),
        "seconds": state.seconds,
        "software": software(),
        "machine": machine(),
    }


def _warnings(frame: Frame, state: GroundState) -> tuple[str, ...]:
    """What the engine warned of, each once, and that electrons have no spin here where that matters."""
    texts = [*state.warnings, *spin_notes(frame.structure.species)]
    return tuple(dict.fromkeys(one_line(str(text)) for text in texts))
