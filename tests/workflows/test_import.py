from pathlib import Path

import numpy as np
import pytest

from nearsight.errors import (
    ChargeError,
    FileFormatError,
    InputError,
    NearsightError,
    StoreError,
    StructureError,
)
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io import write_snapshot
from nearsight.snapshot import Snapshot
from nearsight.store import Dataset
from nearsight.structure import Structure
from nearsight.workflows.import_files import import_files


def _file(path: Path, seed: int = 0, electrons: float = 6.0, close: bool = False) -> Path:
    rng = np.random.default_rng(seed)
    cell = np.diag([6.0, 7.0, 8.0])
    positions = np.array([[0, 0, 0], [0.1, 0, 0] if close else [3.0, 3, 3]]) + rng.uniform(0, 0.5, 3)
    grid = UniformGrid(cell, (4, 4, 5))
    density = ScalarField(grid, rng.uniform(0.1, 1, grid.shape)).rescaled(electrons).field
    path.parent.mkdir(exist_ok=True)
    write_snapshot(path, Snapshot(Structure(cell, positions, np.array([13, 13])), density, electrons))
    return path


def test_loose_files_every_tenth_for_validation(tmp_path: Path) -> None:
    files = [_file(tmp_path / f"f{i:02d}.npz", i) for i in range(21)]
    calls: list[tuple[str, int, int]] = []
    result = import_files(files, tmp_path / "d.zarr", progress=lambda *call: calls.append(call))
    assert result.done == list(range(21))
    assert calls[0] == ("importing", 0, 21)
    assert calls[-1] == ("importing", 21, 21)
    dataset = Dataset.open(tmp_path / "d.zarr")
    assert dataset.snapshots("validation") == [9, 19]
    assert dataset.snapshots("test") == []
    assert len(dataset.snapshots("train")) == 19
    assert len(dataset.trajectories()) == 21
    assert dataset.engine is None
    assert dataset.radial == {}
    assert dataset.info(3).label == "f03"
    assert dataset.snapshot(3).provenance["file"] == "f03.npz"


def test_stated_split_and_trajectory(tmp_path: Path) -> None:
    files = [_file(tmp_path / f"f{i}.cube", i) for i in range(4)]
    import_files(files[:2], tmp_path / "d.zarr", split="test")
    import_files(files[2:3], tmp_path / "d.zarr", trajectory="run")
    import_files(files[3:], tmp_path / "d.zarr", split="validation", trajectory="other run")
    dataset = Dataset.open(tmp_path / "d.zarr")
    assert [dataset.info(n).split for n in dataset.numbers()] == ["test", "test", "train", "validation"]
    assert dataset.info(2).trajectory == "run"
    extra = _file(tmp_path / "extra.npz", 9)
    with pytest.raises(StoreError, match=r"'run' .* belongs to the train part"):
        import_files([extra], tmp_path / "d.zarr", trajectory="run", split="test")
    with pytest.raises(StoreError, match="a split is one of"):
        import_files([extra], tmp_path / "d.zarr", split="training")


def test_the_same_content_goes_in_once(tmp_path: Path) -> None:
    one = _file(tmp_path / "one.npz", 1)
    two = _file(tmp_path / "copy" / "two.npz", 2)
    import_files([one], tmp_path / "d.zarr")
    result = import_files([one, two, one], tmp_path / "d.zarr")
    assert result.done == [1]
    assert result.skipped == [str(one), str(one)]
    assert Dataset.open(tmp_path / "d.zarr").numbers() == [0, 1]


def test_files_of_one_name_in_different_folders(tmp_path: Path) -> None:
    files = [_file(tmp_path / f"run{i}" / "density.npz", i) for i in range(10)]
    import_files(files, tmp_path / "d.zarr")
    assert len(Dataset.open(tmp_path / "d.zarr").trajectories()) == 10


def test_electron_counts(tmp_path: Path) -> None:
    path = _file(tmp_path / "x.cube", electrons=6.0)
    text = path.read_text()
    path.write_text(text.replace("n_electrons = 6", "no count here"))
    result = import_files([path], tmp_path / "d.zarr")
    assert result.counted == [str(path)]
    odd = _file(tmp_path / "odd.cube", electrons=6.3)
    odd.write_text(odd.read_text().replace("n_electrons = 6.3", "no count here"))
    with pytest.raises(ChargeError, match="state the count"):
        import_files([odd], tmp_path / "e.zarr")
    assert not (tmp_path / "e.zarr").exists()
    assert import_files([odd], tmp_path / "e.zarr", n_electrons=6.3).counted == []


def test_a_bad_file_stops_or_is_noted(tmp_path: Path) -> None:
    good = [_file(tmp_path / f"f{i}.npz", i) for i in range(2)]
    bad = tmp_path / "bad.npz"
    bad.write_bytes(good[0].read_bytes()[:200])
    close = _file(tmp_path / "close.npz", 5, close=True)
    with pytest.raises(FileFormatError, match=r"bad\.npz"):
        import_files([bad, *good], tmp_path / "d.zarr")
    assert not (tmp_path / "d.zarr").exists()
    with pytest.raises(StructureError, match=r"close\.npz: atoms .* on top of each other"):
        import_files([good[0], close, good[1]], tmp_path / "d.zarr")
    assert Dataset.open(tmp_path / "d.zarr").numbers() == [0]
    result = import_files([good[0], bad, close, good[1]], tmp_path / "d.zarr", keep_going=True)
    assert (result.done, result.skipped) == ([1], [str(good[0])])
    assert list(result.failed) == [str(bad), str(close)]
    with pytest.raises(NearsightError, match="none of the 2 files"):
        import_files([bad, close], tmp_path / "e.zarr", keep_going=True)


def test_only_into_a_data_set_of_files(tmp_path: Path) -> None:
    path = _file(tmp_path / "x.npz")
    labelled = Dataset.create(tmp_path / "l.zarr", engine={"engine": "lcao"})
    with pytest.raises(StoreError, match="holds densities of the engine 'lcao'"):
        import_files([path], labelled.path)
    with pytest.raises(InputError, match="no files"):
        import_files([], tmp_path / "d.zarr")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="no nearsight store"):
        import_files([path], tmp_path / "folder")
