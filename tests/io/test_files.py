"""What all formats share: names, atomic writes, Zarr densities, structures."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from nearsight.errors import FileFormatError, InputError, NearsightError, StructureError, UnknownNameError
from nearsight.io import (
    FORMATS,
    Frame,
    read_frames,
    read_snapshot,
    write_density,
    write_frames,
    write_snapshot,
)
from nearsight.io.atomic import atomic_file, atomic_folder, remove_leftovers
from nearsight.io.zarr_header import store_kind
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure


def test_formats_are_registered() -> None:
    assert {"cube", "npz", "zarr"} <= set(FORMATS)


def test_names_settle_the_format(tmp_path: Path, snapshot: Snapshot) -> None:
    with pytest.raises(FileFormatError, match=r"no density format has such a name; known: .*\*\.cube"):
        read_snapshot(tmp_path / "x.txt")
    with pytest.raises(UnknownNameError):
        read_snapshot(tmp_path / "x.txt", file_format="txt")
    write_snapshot(tmp_path / "x.txt", snapshot, file_format="npz")
    assert read_snapshot(tmp_path / "x.txt", file_format="npz").n_electrons == 8.0


@pytest.mark.parametrize("name", ["x.cube", "x.npz", "x.cube.gz", "x.zarr"])
def test_missing_empty_and_folder(tmp_path: Path, name: str, snapshot: Snapshot) -> None:
    with pytest.raises(FileFormatError, match="there is no"):
        read_snapshot(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(FileFormatError):
        read_snapshot(tmp_path / name)
    with pytest.raises(FileFormatError):
        write_snapshot(tmp_path / name, snapshot)
    with pytest.raises(InputError, match="cannot write"):
        write_snapshot(tmp_path / "no" / name, snapshot)


def test_zarr_density_round_trip(tmp_path: Path, snapshot: Snapshot) -> None:
    path = tmp_path / "rho.zarr"
    for _ in range(2):  # the second replaces the first
        write_snapshot(path, snapshot)
    assert store_kind(path) == "density"
    back = read_snapshot(path)
    assert back.energy == snapshot.energy
    np.testing.assert_array_equal(back.density.values, snapshot.density.values)
    np.testing.assert_array_equal(back.structure.positions, snapshot.structure.positions)
    assert os.listdir(tmp_path) == ["rho.zarr"]


def test_a_missing_chunk_is_noticed(tmp_path: Path, snapshot: Snapshot) -> None:
    write_snapshot(tmp_path / "rho.zarr", snapshot)
    for chunk in (tmp_path / "rho.zarr" / "density" / "c").rglob("0"):
        if chunk.is_file():
            chunk.unlink()
    with pytest.raises(FileFormatError, match="336 of 336 values"):
        read_snapshot(tmp_path / "rho.zarr")


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.cube"
    write_snapshot(path, snapshot)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(NearsightError, match="no space left on the device while writing"):
        write_density(path, snapshot.structure, snapshot.density)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.cube"]


def test_leftovers_of_dead_processes_only(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:  # dies between writing and renaming
        with atomic_file(tmp_path / "x.txt") as temporary:
            temporary.write_text("half")
            os._exit(1)
    os.waitpid(child, 0)
    with atomic_folder(tmp_path / "y") as alive:
        assert len(list(tmp_path.iterdir())) == 2
        remove_leftovers(tmp_path)
        assert list(tmp_path.iterdir()) == [alive]
    assert [p.name for p in tmp_path.iterdir()] == ["y"]


def test_frames_round_trip(tmp_path: Path) -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    atoms.rattle(0.1, seed=1)
    structure = Structure.from_ase(atoms)
    frames = [
        Frame(structure, "hot-1/0000", "hot-1", "train", {"temperature_K": 300.0, "frame": 0}),
        Frame(structure, "cold/0003", "cold", "test", {"recipe": "r 1"}),
    ]
    for name in ("x.extxyz", "x.extxyz.gz"):
        write_frames(tmp_path / name, frames)
        back = read_frames(tmp_path / name)
        assert [(f.label, f.trajectory, f.split, f.info) for f in back] == [
            (f.label, f.trajectory, f.split, f.info) for f in frames
        ]
        np.testing.assert_allclose(back[1].structure.positions, structure.positions, atol=1e-7)


def test_plain_structures_are_one_training_trajectory(tmp_path: Path) -> None:
    bulk("Cu").write(tmp_path / "POSCAR.vasp")
    (frame,) = read_frames(tmp_path / "POSCAR.vasp")
    assert (frame.trajectory, frame.split, frame.label) == ("POSCAR", "train", "POSCAR/0000")


def test_bad_structure_files(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="there is no file"):
        read_frames(tmp_path / "x.extxyz")
    (tmp_path / "x.extxyz").write_text("2\nnothing here\nAl 0 0 0\n")
    with pytest.raises(FileFormatError, match="cannot be read as structures"):
        read_frames(tmp_path / "x.extxyz")
    (tmp_path / "e.extxyz").write_text("")
    with pytest.raises(FileFormatError):
        read_frames(tmp_path / "e.extxyz")
    Atoms("Al").write(tmp_path / "m.extxyz")
    with pytest.raises(StructureError, match=r"m\.extxyz, structure 0: the cell has no volume"):
        read_frames(tmp_path / "m.extxyz")
