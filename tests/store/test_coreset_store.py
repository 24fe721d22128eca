import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nearsight.atomic.radial import RadialDensity
from nearsight.errors import InputError, StoreError
from nearsight.grid import UniformGrid
from nearsight.points import PointSet
from nearsight.store import (
    Coreset,
    Dataset,
    PointTable,
    SnapshotInfo,
    read_coreset,
    store_kind,
    write_coreset,
)
from nearsight.structure import Structure


def _points(rng: np.random.Generator, snapshots: list[int], n: int, *, saed: bool) -> PointTable:
    points = PointSet(rng.choice(snapshots, n), rng.integers(0, 64, n), rng.uniform(0.5, 1.5, n))
    rho_saed = rng.uniform(size=n) if saed else None
    return PointTable(points, rng.normal(size=(n, 5)), rng.uniform(size=n), rho_saed)


def _coreset(*, saed: bool = True) -> Coreset:
    rng = np.random.default_rng(3)
    cells = {n: np.diag([5.0, 6.0, 7.0 + n]) for n in (0, 4)}
    structures = {
        n: Structure(cell, rng.uniform(0, 5, (2, 3)), np.array([8, 1])) for n, cell in cells.items()
    }
    infos = {
        n: SnapshotInfo(n, f"a/{n}", "a", "train", "HO", 2, (4, 4, 4), 7.0, -1.5, "s", "d")
        for n in structures
    }
    r = np.linspace(0, 4, 20)
    return Coreset(
        training=_points(rng, [0], 40, saed=saed),
        validation=_points(rng, [4], 9, saed=saed),
        structures=structures,
        grids={n: UniformGrid(cell, (4, 4, 4)) for n, cell in cells.items()},
        infos=infos,
        descriptor={"name": "power_spectrum", "species": [1, 8], "cutoff": 9.0},
        radial={1: RadialDensity(1, r, np.maximum(4 - r, 0) / 100, 1.0, {})},
        engine={"engine": "fake"},
        method={"name": "random", "settings": {}, "keep": 0.01, "n_asked": 40, "n_kept": 40, "seconds": 0.1},
        dataset_digest="0123456789abcdef",
        provenance={"seed": 3},
    )


@pytest.mark.parametrize("saed", [True, False])
def test_round_trip(tmp_path: Path, saed: bool) -> None:
    coreset = _coreset(saed=saed)
    write_coreset(tmp_path / "core.zarr", coreset)
    back = read_coreset(tmp_path / "core.zarr")
    for name in ("training", "validation"):
        ours, theirs = getattr(coreset, name), getattr(back, name)
        for column in ("snapshot", "index", "weight"):
            np.testing.assert_array_equal(getattr(theirs.points, column), getattr(ours.points, column))
        np.testing.assert_array_equal(theirs.features, ours.features)
        np.testing.assert_array_equal(theirs.density, ours.density)
        assert (theirs.rho_saed is None) == (not saed)
        if saed:
            np.testing.assert_array_equal(theirs.rho_saed, ours.rho_saed)
    assert back.features.dtype == np.float32
    assert len(back.points) == 40
    assert {n: s.digest() for n, s in back.structures.items()} == {
        n: s.digest() for n, s in coreset.structures.items()
    }
    assert all(back.grids[n].matches(grid) for n, grid in coreset.grids.items())
    assert back.infos == coreset.infos
    assert back.radial[1].digest() == coreset.radial[1].digest()
    for name in ("descriptor", "engine", "method", "dataset_digest", "provenance"):
        assert getattr(back, name) == getattr(coreset, name)


def test_replaces_a_coreset_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "core.zarr"
    write_coreset(path, _coreset())
    write_coreset(path, replace(_coreset(), method={"name": "ccs"}))
    assert read_coreset(path).method == {"name": "ccs"}
    assert os.listdir(tmp_path) == ["core.zarr"]
    data = Dataset.create(tmp_path / "data.zarr")
    with pytest.raises(StoreError, match="is no coreset"):
        write_coreset(data.path, _coreset())
    assert Dataset.open(data.path).numbers() == []
    with pytest.raises(StoreError, match="is a dataset where a coreset is needed"):
        read_coreset(data.path)
    assert (store_kind(path), store_kind(data.path)) == ("coreset", "dataset")


def test_killed_while_writing(tmp_path: Path) -> None:
    path = tmp_path / "core.zarr"
    write_coreset(path, _coreset())
    child = os.fork()
    if child == 0:
        Path.rename = lambda *_: os._exit(9)  # type: ignore[method-assign,assignment]
        write_coreset(path, replace(_coreset(), method={"name": "ccs"}))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert read_coreset(path).method["name"] == "random"
    assert len(os.listdir(tmp_path)) == 2
    write_coreset(path, _coreset())
    assert os.listdir(tmp_path) == ["core.zarr"]


def test_rows_and_snapshots_must_match() -> None:
    coreset = _coreset()
    points = coreset.training.points
    with pytest.raises(InputError, match="features"):
        PointTable(points, np.zeros((39, 5)), np.zeros(40))
    with pytest.raises(InputError, match="density"):
        PointTable(points, np.zeros((40, 5)), np.zeros(39))
    with pytest.raises(InputError, match="rho_saed"):
        PointTable(points, np.zeros((40, 5)), np.zeros(40), np.zeros(3))
    with pytest.raises(InputError, match=r"grid of every snapshot; missing: \[4\]"):
        replace(coreset, grids={0: coreset.grids[0]})


def test_a_missing_array_is_an_error(tmp_path: Path) -> None:
    write_coreset(tmp_path / "core.zarr", _coreset())
    folder = tmp_path / "core.zarr" / "training" / "density"
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="lacks the array 'density'"):
        read_coreset(tmp_path / "core.zarr")
