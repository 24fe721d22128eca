import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from nearsight.atomic.radial import RadialDensity
from nearsight.errors import InputError, NearsightError, StoreError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io import zarr_groups
from nearsight.snapshot import Snapshot
from nearsight.store import Dataset, content_digest, store_kind
from nearsight.store.trajectories import Trajectories
from nearsight.structure import Structure

#: number, seed, trajectory
Entry = tuple[int, int, str]
ENGINE = {"engine": "fake", "smearing_kelvin": 1000.0, "basis": None}


def _snapshot(seed: int = 0, shape: tuple[int, int, int] = (4, 5, 6), n_atoms: int = 2) -> Snapshot:
    rng = np.random.default_rng(seed)
    cell = np.array([[6.0, 0, 0], [1.0, 7.0, 0], [0.5, -0.5, 5.0]])
    structure = Structure(cell, rng.uniform(0, 5, (n_atoms, 3)), np.full(n_atoms, 13))
    grid = UniformGrid(cell, shape)
    density = ScalarField(grid, rng.uniform(0.1, 1, shape)).rescaled(3.0 * n_atoms).field
    return Snapshot(
        structure,
        density,
        3.0 * n_atoms,
        energy=-0.1 - seed / 3,
        forces=rng.normal(size=(n_atoms, 3)),
        provenance={"seconds": 1.5, "frame": {"temperature_K": 300}},
    )


def _table(number: int = 13, width: float = 1.0) -> RadialDensity:
    r = np.linspace(0, 8, 60)
    return RadialDensity(
        number, r, np.maximum(np.exp(-r / width) - np.exp(-8 / width), 0), 3.0, {"functional": "pbe"}
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.create(
        tmp_path / "d.zarr", engine=ENGINE, radial={13: _table()}, attributes={"grid": [1, 2]}
    )


def _write(
    dataset: Dataset, number: int, snapshot: Snapshot, trajectory: str = "a", split: str = "train"
) -> None:
    dataset.write(number, snapshot, label=f"{trajectory}/{number}", trajectory=trajectory, split=split)


def test_everything_comes_back_bit_for_bit(dataset: Dataset) -> None:
    first, second = _snapshot(1), replace(_snapshot(2, (3, 3, 7), 3), energy=None, forces=None)
    second = replace(second, rho_saed=second.density * 1.0)
    _write(dataset, 3, first)
    _write(dataset, 0, second, "b", "test")
    read = Dataset.open(dataset.path)
    assert read.numbers() == [0, 3]
    assert (read.snapshots("train"), read.snapshots("test"), read.snapshots("validation")) == ([3], [0], [])
    for number, written in ((3, first), (0, second)):
        back = read.snapshot(number)
        np.testing.assert_array_equal(back.density.values, written.density.values)
        np.testing.assert_array_equal(read.density(number).values, written.density.values)
        assert back.structure.digest() == written.structure.digest() == read.structure(number).digest()
        assert read.grid(number).matches(written.density.grid)
        assert back.energy == written.energy
        assert back.provenance == written.provenance
    np.testing.assert_array_equal(read.snapshot(3).forces, first.forces)
    assert read.snapshot(0).forces is None
    assert read.snapshot(0).rho_saed is not None
    assert read.snapshot(3).rho_saed is None
    info = read.info(3)
    assert (info.label, info.trajectory, info.split, info.formula) == ("a/3", "a", "train", "Al2")
    assert (info.n_atoms, info.shape, info.n_electrons) == (2, (4, 5, 6), 6.0)
    assert read.engine == ENGINE
    assert read.attributes == {"grid": [1, 2]}
    assert read.trajectories() == {"a": "train", "b": "test"}


def test_plain_zarr_reads_it_too(dataset: Dataset) -> None:
    snapshot = _snapshot()
    _write(dataset, 0, snapshot)
    group = zarr.open_group(dataset.path, mode="r")
    assert sorted(group.group_keys()) == ["failures", "radial", "snapshots", "trajectories"]
    np.testing.assert_array_equal(group["snapshots/000000/density"][...], snapshot.density.values)


def test_large_arrays_are_cut_into_slabs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zarr_groups, "_CHUNK_BYTES", 400)
    dataset = Dataset.create(tmp_path / "d.zarr")
    snapshot = _snapshot()
    _write(dataset, 0, snapshot)
    chunks = [p for p in (dataset.path / "snapshots/000000/density/c").rglob("*") if p.is_file()]
    assert len(chunks) == 4
    np.testing.assert_array_equal(dataset.density(0).values, snapshot.density.values)


def test_radial_tables(dataset: Dataset) -> None:
    dataset.set_radial({8: _table(8), 13: _table()})
    radial = Dataset.open(dataset.path).radial
    assert list(radial) == [8, 13]
    assert radial[13].digest() == _table().digest()
    assert radial[8].source == {"functional": "pbe"}
    with pytest.raises(StoreError, match="another radial density of element 13"):
        dataset.set_radial({13: _table(width=2.0)})
    assert dataset.radial[13].digest() == _table().digest()


def test_digest_changes_exactly_with_the_data(tmp_path: Path) -> None:
    def digest(name: str, *entries: Entry, split: str = "train", **options: Any) -> str:
        made = Dataset.create(tmp_path / name, **({"engine": ENGINE, "radial": {13: _table()}} | options))
        for number, seed, trajectory in entries:
            _write(made, number, _snapshot(seed), trajectory, split)
        assert made.digest() == Dataset.open(made.path).digest()
        return made.digest()

    second = (1, 1, "a")
    reference = digest("reference", (0, 0, "a"), second)
    assert digest("other order", second, (0, 0, "a"), attributes={"grid": 3}) == reference
    others = {
        digest("fewer", (0, 0, "a")),
        digest("number", (0, 0, "a"), (2, 1, "a")),
        digest("trajectory", (0, 0, "b"), second),
        digest("density", (0, 0, "a"), (1, 2, "a")),
        digest("split", (0, 0, "a"), second, split="test"),
        digest("engine", (0, 0, "a"), second, engine=ENGINE | {"smearing_kelvin": 500.0}),
        digest("radial", (0, 0, "a"), second, radial={13: _table(width=2.0)}),
    }
    assert len(others) == 7
    assert reference not in others


def test_digest_sees_all_that_is_data_and_nothing_else() -> None:
    snapshot = _snapshot()
    reference = content_digest(snapshot)
    assert content_digest(replace(snapshot, provenance={"seconds": 99.0})) == reference
    others = {
        content_digest(replace(snapshot, energy=0.0)),
        content_digest(replace(snapshot, energy=None)),
        content_digest(replace(snapshot, forces=None)),
        content_digest(replace(snapshot, rho_saed=snapshot.density)),
        content_digest(replace(snapshot, n_electrons=6.0001)),
    }
    assert len(others) == 5
    assert reference not in others


def test_what_json_cannot_hold_is_refused(dataset: Dataset) -> None:
    for odd in (float("nan"), object()):
        with pytest.raises(InputError, match="provenance"):
            _write(dataset, 0, replace(_snapshot(), provenance={"residual": odd}))
    assert dataset.numbers() == []


def test_a_number_is_taken_once(dataset: Dataset) -> None:
    _write(dataset, 0, _snapshot(0))
    with pytest.raises(StoreError, match="has a snapshot 0 already"):
        _write(dataset, 0, _snapshot(1))
    np.testing.assert_array_equal(dataset.density(0).values, _snapshot(0).density.values)


def test_a_trajectory_has_one_split(dataset: Dataset) -> None:
    _write(dataset, 0, _snapshot(0), "a", "train")
    with pytest.raises(StoreError, match=r"trajectory 'a' .* belongs to the train part"):
        _write(dataset, 1, _snapshot(1), "a", "test")
    with pytest.raises(StoreError, match="a split is one of"):
        _write(dataset, 1, _snapshot(1), "b", "holdout")
    assert dataset.numbers() == [0]
    assert _entries(dataset) == ["failures", "radial", "snapshots", "trajectories", "zarr.json"]


def test_writers_that_race_for_a_trajectory(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other writer claims the trajectory after this one has looked."""
    other = Dataset.open(dataset.path, "a")
    claim = Trajectories.claim

    def late(self: Trajectories, trajectory: str, split: str) -> None:
        monkeypatch.setattr(Trajectories, "claim", claim)
        _write(other, 7, _snapshot(7), "a", "test")
        claim(self, trajectory, split)

    monkeypatch.setattr(Trajectories, "claim", late)
    with pytest.raises(StoreError, match="belongs to the test part"):
        _write(dataset, 0, _snapshot(0), "a", "train")
    assert dataset.numbers() == [7]


def test_many_writers(dataset: Dataset) -> None:
    def work(number: int) -> None:
        own = Dataset.open(dataset.path, "a")
        _write(own, number, _snapshot(number), f"t{number % 3}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(12)))
    assert dataset.numbers() == list(range(12))
    for number in range(12):
        np.testing.assert_array_equal(dataset.density(number).values, _snapshot(number).density.values)
    assert len(dataset.trajectories()) == 3


def _entries(dataset: Dataset) -> list[str]:
    return sorted(os.listdir(dataset.path))


@pytest.mark.parametrize("when", ["arrays", "rename"])
def test_killed_while_writing(dataset: Dataset, when: str) -> None:
    """A process that dies leaves no half snapshot, and the next one to open for adding cleans up."""
    _write(dataset, 0, _snapshot(0))
    before = dataset.digest()
    child = os.fork()
    if child == 0:
        target, name = {"arrays": (Trajectories, "claim"), "rename": (Path, "rename")}[when]
        setattr(target, name, lambda *_: os._exit(9))
        _write(dataset, 1, _snapshot(1), "a" if when == "rename" else "b")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    reader = Dataset.open(dataset.path)
    assert reader.numbers() == [0]
    assert reader.digest() == before
    assert any(name.startswith(".tmp") for name in _entries(dataset))
    writer = Dataset.open(dataset.path, "a")
    assert not any(name.startswith(".tmp") for name in _entries(dataset))
    _write(writer, 1, _snapshot(1), "a")
    assert writer.numbers() == [0, 1]


@pytest.mark.parametrize("groups_that_fit", [0, 1])
def test_full_disk(dataset: Dataset, monkeypatch: pytest.MonkeyPatch, groups_that_fit: int) -> None:
    _write(dataset, 0, _snapshot(0))
    before = dataset.digest()
    written: list[Path] = []

    def full(folder: Path, *arguments: Any) -> None:
        if len(written) == groups_that_fit:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(folder)
        zarr_groups.write_group(folder, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr("nearsight.store.dataset.write_group", full)
        patch.setattr("nearsight.store.trajectories.write_group", full)
        with pytest.raises(NearsightError, match="no space left on the device") as caught:
            _write(dataset, 1, _snapshot(1), "new")
        assert "\n" not in str(caught.value)
    assert dataset.numbers() == [0]
    assert dataset.digest() == before
    assert not any(name.startswith(".tmp") for name in _entries(dataset))
    _write(dataset, 1, _snapshot(1), "new")
    assert dataset.numbers() == [0, 1]


def test_failures_are_noted_and_cleared(dataset: Dataset) -> None:
    dataset.record_failure(4, "a/4", "did not converge")
    dataset.record_failure(4, "a/4", "did not converge again")
    dataset.record_failure(2, "a/2", "atoms on top of each other")
    assert [(f.number, f.label, f.message) for f in Dataset.open(dataset.path).failures()] == [
        (2, "a/2", "atoms on top of each other"),
        (4, "a/4", "did not converge again"),
    ]
    _write(dataset, 4, _snapshot(4))
    assert [f.number for f in dataset.failures()] == [2]


def test_reading_does_not_write(dataset: Dataset) -> None:
    read = Dataset.open(dataset.path)
    for action in (
        lambda: _write(read, 0, _snapshot()),
        lambda: read.record_failure(0, "", ""),
        lambda: read.set_radial({8: _table(8)}),
    ):
        with pytest.raises(StoreError, match="open for reading"):
            action()


def test_what_is_no_data_set(tmp_path: Path, dataset: Dataset) -> None:
    with pytest.raises(StoreError, match="there is no dataset at"):
        Dataset.open(tmp_path / "none.zarr")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="is no nearsight store"):
        Dataset.open(tmp_path / "folder")
    zarr.open_group(tmp_path / "foreign.zarr", mode="w", attributes={"by": "someone"})
    with pytest.raises(StoreError, match="nearsight did not write"):
        Dataset.open(tmp_path / "foreign.zarr")
    with pytest.raises(StoreError, match="exists already"):
        Dataset.create(dataset.path)
    with pytest.raises(StoreError, match="has no snapshot 5; it is empty"):
        dataset.snapshot(5)
    (tmp_path / "file.zarr").write_text("x")
    with pytest.raises(StoreError):
        Dataset.open(tmp_path / "file.zarr")
    assert store_kind(dataset.path) == "dataset"
    assert {store_kind(tmp_path / n) for n in ("none.zarr", "folder", "foreign.zarr", "file.zarr")} == {None}


def test_newer_and_damaged_stores(dataset: Dataset) -> None:
    header = dataset.path / "zarr.json"
    text = header.read_text()
    header.write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(StoreError, match="has store format 2, this nearsight reads up to 1; upgrade"):
        Dataset.open(dataset.path)
    header.write_text(text[: len(text) // 2])
    with pytest.raises(StoreError, match="damaged"):
        Dataset.open(dataset.path)
    header.write_text(text.replace('"dataset"', '"coreset"'))
    with pytest.raises(StoreError, match="is a coreset where a dataset is needed"):
        Dataset.open(dataset.path)


@pytest.mark.parametrize("damage", ["flip", "delete"])
def test_a_damaged_density_is_an_error(dataset: Dataset, damage: str) -> None:
    _write(dataset, 0, _snapshot(0))
    (chunk,) = [p for p in (dataset.path / "snapshots/000000/density/c").rglob("*") if p.is_file()]
    if damage == "flip":
        content = bytearray(chunk.read_bytes())
        content[len(content) // 2] ^= 1
        chunk.write_bytes(bytes(content))
    else:
        chunk.unlink()
    with pytest.raises(NearsightError, match=r"damaged|NaN"):
        dataset.density(0)
