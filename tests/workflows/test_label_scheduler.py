"""Labelling through a Dask scheduler that runs elsewhere: here, in processes of its own."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # of children too: they import the engine below

from probe_engine import ProbeEngine, ProbeSettings, structures  # type: ignore[import-not-found]

from nearsight.errors import InputError, NearsightError
from nearsight.provenance import software
from nearsight.store import Dataset
from nearsight.workflows.label import label

distributed = pytest.importorskip("distributed", reason="needs the package distributed")

from nearsight.workflows import cluster  # noqa: E402  (it needs distributed)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Address of a cluster with one worker process that takes two things at a time."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        with distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            processes=True,
            dashboard_address=None,
            resources={"MB": 1000},
            silence_logs=50,
        ) as local:
            local.scheduler.allowed_failures = 0  # so that a killed worker counts as one try
            yield local.scheduler_address


@pytest.fixture
def engine(tmp_path: Path) -> Callable[..., ProbeEngine]:
    (tmp_path / "notes").mkdir()

    def make(**settings: Any) -> ProbeEngine:
        return ProbeEngine(ProbeSettings(str(tmp_path / "notes"), **settings))

    return make


def test_the_workers_write_the_same_store(
    scheduler: str, engine: Callable[..., ProbeEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the workers have another working directory
    atoms, probe = structures("Al", "Cu", "Al"), engine(fate={"Cu4": "warn"})
    there = label(atoms, "there.zarr", probe, scheduler=scheduler)
    here = label(atoms, "here.zarr", probe)
    assert there.done == here.done == [0, 1, 2]
    assert there.warnings == here.warnings == {"the grid is coarse": [1]}
    assert os.getpid() in {note["pid"] for note in probe.notes()}
    assert len({note["pid"] for note in probe.notes()}) > 1
    one, other = Dataset.open("there.zarr"), Dataset.open("here.zarr")
    assert one.digest() == other.digest()
    for number in one.numbers():
        a, b = one.snapshot(number), other.snapshot(number)
        np.testing.assert_array_equal(a.density.values, b.density.values)
        keys = set(a.provenance) - {"seconds"}
        assert {k: a.provenance[k] for k in keys} == {k: b.provenance[k] for k in keys}


def test_a_killed_worker(scheduler: str, engine: Callable[..., ProbeEngine], tmp_path: Path) -> None:
    """A snapshot is begun again on another worker; one that kills them all is given up."""
    path, atoms = tmp_path / "d.zarr", structures("Al", "Cu")
    result = label(atoms, path, engine(fate={"Cu4": "kill parent once"}), scheduler=scheduler, retries=3)
    assert (result.done, result.failures) == ([0, 1], [])
    fatal = engine(fate={"Ag4": "kill parent"})
    again = label([*atoms, *structures("Ag")], path, fatal, scheduler=scheduler, retries=0)
    assert again.skipped == [0, 1]
    assert [(f.number, f.kind, f.tries) for f in again.failures] == [(2, "killed", 1)]
    assert "workers in a row died" in again.failed[2]
    assert Dataset.open(path).numbers() == [0, 1]


def test_nobody_is_there(
    engine: Callable[..., ProbeEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    path = tmp_path / "d.zarr"
    with pytest.raises(NearsightError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 ") as caught:
        label(structures("Al", "Al"), path, engine(), scheduler="tcp://127.0.0.1:9")
    assert "\n" not in str(caught.value)
    assert not path.exists()
    label(structures("Al"), path, engine())
    with pytest.raises(NearsightError, match="no Dask scheduler"):
        label(structures("Al", "Al"), path, engine(), scheduler="tcp://127.0.0.1:9")
    assert Dataset.open(path).numbers() == [0]


def test_other_versions_are_refused(
    scheduler: str, engine: Callable[..., ProbeEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "software", lambda: software() | {"nearsight": "99.1"})
        with pytest.raises(InputError, match=r"has nearsight .*, not 99.1: start the workers"):
            label(structures("Al"), tmp_path / "d.zarr", engine(), scheduler=scheduler)
    versions = distributed.Client.get_versions

    def older(self: Any, **options: Any) -> Any:
        found = versions(self, **options)
        found["scheduler"]["packages"]["distributed"] = "2019.1.0"
        return found

    monkeypatch.setattr(distributed.Client, "get_versions", older)
    with pytest.raises(InputError, match=r"has distributed 2019.1.0, not .*: start it from the same"):
        label(structures("Al"), tmp_path / "d.zarr", engine(), scheduler=scheduler)
    assert not (tmp_path / "d.zarr").exists()


def test_python_may_differ_in_its_last_number() -> None:
    cluster._require_same_software(software() | {"python": f"3.{sys.version_info.minor}.99"})
    with pytest.raises(InputError, match="has python"):
        cluster._require_same_software(software() | {"python": "3.1.0"})
