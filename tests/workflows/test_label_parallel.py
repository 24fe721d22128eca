"""Labelling side by side: the same store, whoever writes it and whatever befalls the processes."""

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

sys.path.insert(0, str(Path(__file__).parent))  # of children too: they import the engine below

from probe_engine import ProbeEngine, ProbeSettings, structures  # type: ignore[import-not-found]

from nearsight.engines import LcaoEngine, LcaoSettings
from nearsight.engines.resources import EstimatesMemory, memory_estimate_mb, with_threads
from nearsight.errors import InputError
from nearsight.grid import UniformGrid
from nearsight.store import Dataset
from nearsight.structure import Structure
from nearsight.workflows.label import label
from nearsight.workflows.parallel import Execution

#: of a run, not of its result
TIMES_AND_PLACES = {"seconds", "machine"}


@pytest.fixture
def engine(tmp_path: Path) -> Callable[..., ProbeEngine]:
    (tmp_path / "notes").mkdir()

    def make(**settings: Any) -> ProbeEngine:
        return ProbeEngine(ProbeSettings(str(tmp_path / "notes"), **settings))

    return make


def assert_same_store(one: Path, other: Path) -> None:
    first, second = Dataset.open(one), Dataset.open(other)
    assert first.numbers() == second.numbers() != []
    assert first.digest() == second.digest()
    for number in first.numbers():
        a, b = first.snapshot(number), second.snapshot(number)
        np.testing.assert_array_equal(a.density.values, b.density.values)
        np.testing.assert_array_equal(a.forces, b.forces)
        assert np.ptp(a.density.values) > 0
        assert {k: v for k, v in a.provenance.items() if k not in TIMES_AND_PLACES} == {
            k: v for k, v in b.provenance.items() if k not in TIMES_AND_PLACES
        }


def test_processes_write_the_same_store(engine: Callable[..., ProbeEngine], tmp_path: Path) -> None:
    atoms = structures("Al", "Al", "Cu", "Al")
    here = label(atoms, tmp_path / "here.zarr", engine())
    probe = engine(threads=8, note_torch=True)
    calls: list[int] = []
    apart = label(
        atoms, tmp_path / "apart.zarr", probe, jobs=2, threads=1, progress=lambda _, n, __: calls.append(n)
    )
    assert here.done == apart.done == [0, 1, 2, 3]
    assert calls == [0, 1, 2, 3, 4]
    assert_same_store(here.output, apart.output)
    notes = [note for note in probe.notes() if "torch" in note]
    assert len({note["pid"] for note in notes}) == 2
    for note in notes:
        assert {note["torch"], note["numba"], note["own"], *note["pools"]} == {1}


def test_lcao_in_processes_writes_the_same_store(tmp_path: Path) -> None:
    atoms = [bulk("Al", cubic=True, a=4.05) for _ in range(2)]
    for seed, image in enumerate(atoms):
        image.rattle(0.05, seed=seed)
    for jobs in (1, 2):
        label(atoms, tmp_path / f"{jobs}.zarr", LcaoEngine(), shape=(16, 16, 16), jobs=jobs, threads=1)
    assert_same_store(tmp_path / "1.zarr", tmp_path / "2.zarr")


def test_what_befalls_one_snapshot_stays_with_it(engine: Callable[..., ProbeEngine], tmp_path: Path) -> None:
    atoms = structures("Al", "Cu", "Ag", "Au", "Pt", "Pd", "Ni")
    fate = {
        "Cu4": "die",
        "Ag4": "die once",
        "Au4": "hang",
        "Pt4": "unconverged",
        "Pd4": "exit",
        "Ni4": "warn",
    }
    path = tmp_path / "d.zarr"
    result = label(atoms, path, engine(fate=fate), jobs=2, timeout=6)
    assert result.done == [0, 2, 6]
    assert [(f.number, f.formula, f.kind, f.tries) for f in result.failures] == [
        (1, "Cu4", "killed", 2),
        (3, "Au4", "timeout", 1),
        (4, "Pt4", "convergence", 1),
        (5, "Pd4", "error", 2),
    ]
    assert "signal 9" in result.failed[1]
    assert "not done after 6 s" in result.failed[3]
    assert "try more mixing" in result.failed[4]
    assert "libfoo is missing" in result.failed[5]
    assert result.warnings.pop("the grid is coarse") == [6]
    assert [numbers for text, numbers in result.warnings.items() if "without spin" in text] == [[6]]
    dataset = Dataset.open(path)
    assert dataset.failures() == result.failures
    assert dataset.snapshot(6).provenance["warnings"][0] == "the grid is coarse"
    assert dataset.snapshot(0).provenance["warnings"] == []
    again = label(atoms, path, engine(fate={"Ni4": "warn"}))
    assert (again.done, again.skipped, again.failures) == ([1, 3, 4, 5], [0, 2, 6], [])
    assert Dataset.open(path).failures() == []
    whole = label(atoms, tmp_path / "whole.zarr", engine(fate={"Ni4": "warn"}))
    assert_same_store(path, whole.output)


def test_retries_here(engine: Callable[..., ProbeEngine], tmp_path: Path) -> None:
    atoms = structures("Al", "Cu", "Ag")
    fate = {"Al4": "raise once", "Cu4": "raise", "Ag4": "unconverged"}
    result = label(atoms, tmp_path / "d.zarr", engine(fate=fate), retries=2)
    assert result.done == [0]
    assert [(f.number, f.kind, f.tries) for f in result.failures] == [(1, "error", 3), (2, "convergence", 1)]
    assert "licence server" in result.failed[1]
    unlucky = engine(fate={"Pt4": "raise once"})
    once = label(structures("Pt"), tmp_path / "e.zarr", unlucky, retries=0)
    assert [f.tries for f in once.failures] == [1]


def test_no_more_at_once_than_memory_holds(engine: Callable[..., ProbeEngine], tmp_path: Path) -> None:
    """One that says it needs more than there is runs alone."""
    probe = engine(seconds=0.3, megabytes=150.0)
    atoms = structures("Al", "Al", "Al", "Al")
    result = label(atoms, tmp_path / "d.zarr", probe, jobs=2, memory_mb=100)
    assert result.done == [0, 1, 2, 3]
    spans = sorted((note["began"], note["ended"]) for note in probe.notes())
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


def test_a_new_store_without_a_snapshot_is_removed(
    engine: Callable[..., ProbeEngine], tmp_path: Path
) -> None:
    atoms, path = structures("Al", "Al"), tmp_path / "d.zarr"
    result = label(atoms, path, engine(fate={"Al4": "unconverged"}))
    assert [f.kind for f in result.failures] == ["convergence", "convergence"]
    assert not path.exists()

    def interrupt(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label(atoms, path, engine(), progress=interrupt)
    assert not path.exists()
    label(atoms[:1], path, engine())
    assert len(label(atoms, path, engine(fate={"Al4": "unconverged"})).failures) == 1
    assert Dataset.open(path).numbers() == [0]


def test_magnetic_moments_are_refused(engine: Callable[..., ProbeEngine], tmp_path: Path) -> None:
    iron = bulk("Fe", cubic=True)
    assert iron.get_initial_magnetic_moments().any()
    with pytest.raises(InputError, match=r"structure 1: magnetic moments .* without spin"):
        label([bulk("Al"), iron], tmp_path / "d.zarr", engine())
    asked = bulk("Al")
    asked.info["initial_magmoms"] = [1.0]
    with pytest.raises(InputError, match="without spin"):
        label([asked], tmp_path / "d.zarr", engine())
    assert not (tmp_path / "d.zarr").exists()
    iron.set_initial_magnetic_moments(np.zeros(2))
    assert label([iron], tmp_path / "d.zarr", engine()).done == [0]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"jobs": 0}, "--jobs must be at least 1"),
        ({"jobs": 2, "scheduler": "tcp://a:1"}, "--jobs or --scheduler"),
        ({"retries": -1}, "--retries"),
        ({"timeout": 0.0}, "--timeout"),
        ({"timeout": float("nan")}, "--timeout"),
        ({"threads": 0}, "--threads"),
        ({"memory_mb": -5.0}, "--memory"),
        ({"memory_mb": 5.0, "scheduler": "tcp://a:1"}, "--memory is for this machine"),
        ({"scheduler": "nope"}, "such as tcp://node7:8786, not 'nope'"),
    ],
)
def test_options_out_of_range(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Execution(**wrong)


def test_what_an_engine_takes_of_the_machine(engine: Callable[..., ProbeEngine]) -> None:
    structure = Structure.from_ase(bulk("Al", cubic=True))
    grid = UniformGrid(structure.cell, (32, 32, 32))
    probe = engine(megabytes=77.0, threads=4)
    assert isinstance(probe, EstimatesMemory)
    assert memory_estimate_mb(probe, structure, grid) == 77.0

    class Silent:
        settings: Any = None

    def guess(limit: float | None, n: int) -> float:
        Silent.settings = LcaoSettings(memory_limit_mb=limit) if limit else None
        return memory_estimate_mb(Silent(), structure, UniformGrid(structure.cell, (n, n, n)))  # type: ignore[arg-type]

    array = 8 * 32**3 / 2**20
    assert guess(None, 64) - guess(None, 32) == pytest.approx(7 * (64 + 32 * 4) * array)
    assert guess(1e6, 32) == guess(None, 32)
    assert guess(10.0, 32) == pytest.approx(300 + 64 * array + 10)
    assert with_threads(probe, 2).settings.threads == 2
    assert with_threads(probe, 4) is probe
    assert with_threads(engine(), 1).settings.threads is None
