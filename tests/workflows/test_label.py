"""Labelling with an engine that knows its answer: Gaussian atoms."""

import errno
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from ase.build import bulk
from ase.spacegroup import crystal

from nearsight.atomic.radial import RadialDensity
from nearsight.engines.protocol import Engine, GroundState, NonSelfConsistent
from nearsight.errors import (
    ConvergenceError,
    FileFormatError,
    InputError,
    NearsightError,
    StoreError,
    UnknownElementError,
)
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io import Frame, write_frames
from nearsight.store import Dataset
from nearsight.structure import Structure
from nearsight.workflows.label import label

# workers cannot import this file; let them have its classes by value
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@dataclass(frozen=True)
class GaussianEngine:
    """Atoms of three electrons each, Gaussians of a given width; no physics, exact charge."""

    width: float = 2.0
    unconverged: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    name: str = "gaussian"

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "GaussianEngine":
        return cls(**settings)

    @classmethod
    def from_fingerprint(cls, fingerprint: Mapping[str, Any]) -> "GaussianEngine":
        return cls(width=fingerprint["width"])

    def fingerprint(self) -> dict[str, Any]:
        return {"engine": self.name, "functional": "none", "width": self.width}

    def n_electrons(self, structure: Structure) -> float:
        return 3.0 * structure.n_atoms

    def default_grid(self, structure: Structure) -> UniformGrid:
        return UniformGrid.with_spacing(structure.cell, 0.9)

    def atomic_density(self, number: int) -> RadialDensity:
        if number > 50:
            raise UnknownElementError(f"no pseudopotential for element {number}")
        r = np.linspace(0, 10, 400)
        rho = 3 * (np.pi * self.width**2) ** -1.5 * np.exp(-((r / self.width) ** 2))
        return RadialDensity(number, r, np.where(r < 10, rho, 0.0), 3.0, self.fingerprint())

    def ground_state(
        self, structure: Structure, grid: UniformGrid | None = None, *, forces: bool = True
    ) -> GroundState:
        if structure.formula in self.unconverged:
            raise ConvergenceError("not converged after 50 iterations; try more mixing")
        if structure.formula in self.broken:
            raise np.linalg.LinAlgError("singular\nmatrix")
        if structure.species[-1] > 50:
            raise UnknownElementError(f"no pseudopotential for element {structure.species[-1]}")
        grid = grid or self.default_grid(structure)
        g = np.moveaxis(grid.g_vectors(), 0, -1)
        spectrum = np.exp(-1j * g @ structure.positions.T).sum(-1) * np.exp(
            -grid.g_squared * self.width**2 / 4
        )
        density = ScalarField(grid, grid.ifft(3 * spectrum / grid.dv))
        return GroundState(
            density=density,
            free_energy=-float((density.values**2).sum() * grid.dv),
            terms={"all": 0.0},
            eigenvalues=np.zeros(1),
            occupations=np.zeros(1),
            fermi_level=0.1,
            n_electrons=3.0 * structure.n_atoms,
            forces=np.zeros_like(structure.positions) if forces else None,
            n_iterations=1,
            residual=0.0,
            seconds=0.0,
        )

    def harris(
        self, structure: Structure, density: ScalarField, *, output_density: bool = False
    ) -> NonSelfConsistent:
        return NonSelfConsistent(0.0, None, np.zeros(1), np.zeros(1), 0.0)


def _frames(*symbols: str) -> list[Frame]:
    frames = []
    for i, symbol in enumerate(symbols):
        atoms = bulk(symbol, "fcc", a=4.05 + 0.01 * i, cubic=True)
        atoms.rattle(0.05, seed=i)
        split = ("train", "train", "validation", "test")[i % 4]
        frames.append(Frame(Structure.from_ase(atoms), f"f{i}", f"{split}-run", split, {"frame": i}))
    return frames


@pytest.fixture
def structures(tmp_path: Path) -> Path:
    write_frames(tmp_path / "s.extxyz", _frames("Al", "Al", "Al", "Cu"))
    return tmp_path / "s.extxyz"


def test_the_fake_is_an_engine() -> None:
    assert isinstance(GaussianEngine(), Engine)


def test_everything_is_labelled(structures: Path, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    result = label(
        structures, tmp_path / "d.zarr", GaussianEngine(), progress=lambda *call: calls.append(call)
    )
    assert (result.done, result.skipped, result.failed) == ([0, 1, 2, 3], [], {})
    assert calls == [("labelling", i, 4) for i in range(5)]
    dataset = Dataset.open(tmp_path / "d.zarr")
    assert dataset.engine == GaussianEngine().fingerprint()
    assert list(dataset.radial) == [13, 29]
    assert dataset.radial[13].digest() == GaussianEngine().atomic_density(13).digest()
    assert [dataset.snapshots(s) for s in ("train", "validation", "test")] == [[0, 1], [2], [3]]
    snapshot = dataset.snapshot(3)
    expected = GaussianEngine().ground_state(snapshot.structure)
    np.testing.assert_array_equal(snapshot.density.values, expected.density.values)
    assert np.ptp(snapshot.density.values) > 0.01
    assert snapshot.energy == expected.free_energy
    assert snapshot.forces is not None
    assert snapshot.provenance["frame"] == {"frame": 3}
    assert snapshot.provenance["engine"] == GaussianEngine().fingerprint()
    assert {"software", "machine", "seconds", "terms"} <= set(snapshot.provenance)


@pytest.mark.parametrize(
    ("choice", "shape"), [({"shape": (5, 6, 7)}, (5, 6, 7)), ({"spacing": 1.6}, (5, 5, 5)), ({}, (9, 9, 9))]
)
def test_grids(tmp_path: Path, choice: dict[str, Any], shape: tuple[int, int, int]) -> None:
    label(_frames("Al"), tmp_path / "d.zarr", GaussianEngine(), **choice)
    assert Dataset.open(tmp_path / "d.zarr").info(0).shape == shape


def test_ase_atoms_will_do(tmp_path: Path) -> None:
    copper = crystal("Cu", [(0, 0, 0)], spacegroup=225, cellpar=[3.6, 3.6, 3.6, 90, 90, 90])
    assert "spacegroup" in copper.info  # an object that no file format holds
    label([bulk("Al", cubic=True), copper], tmp_path / "d.zarr", GaussianEngine())
    dataset = Dataset.open(tmp_path / "d.zarr")
    assert dataset.snapshots("train") == [0, 1]
    assert [dataset.info(n).formula for n in (0, 1)] == ["Al4", "Cu4"]


def test_carries_on_after_an_interruption(structures: Path, tmp_path: Path) -> None:
    path = tmp_path / "d.zarr"

    def stop(stage: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label(structures, path, GaussianEngine(), progress=stop)
    assert Dataset.open(path).numbers() == [0, 1]
    result = label(structures, path, GaussianEngine())
    assert (result.done, result.skipped) == ([2, 3], [0, 1])
    whole = label(structures, tmp_path / "whole.zarr", GaussianEngine())
    assert whole.done == [0, 1, 2, 3]
    assert Dataset.open(path).digest() == Dataset.open(tmp_path / "whole.zarr").digest()
    assert label(structures, path, GaussianEngine()).skipped == [0, 1, 2, 3]


def test_killed_in_the_middle(structures: Path, tmp_path: Path) -> None:
    """The process dies while it writes snapshot 1."""
    path = tmp_path / "d.zarr"
    child = os.fork()
    if child == 0:
        write = Dataset.write

        def dying(self: Dataset, number: int, *arguments: Any, **names: Any) -> None:
            if number == 1:
                Path.rename = lambda *_: os._exit(9)  # type: ignore[method-assign,assignment]
            write(self, number, *arguments, **names)

        Dataset.write = dying  # type: ignore[method-assign]
        label(structures, path, GaussianEngine())
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert Dataset.open(path).numbers() == [0]
    result = label(structures, path, GaussianEngine())
    assert (result.done, result.skipped) == ([1, 2, 3], [0])
    assert not [name for name in os.listdir(path) if name.startswith(".tmp")]


def test_failures_are_recorded_and_tried_again(tmp_path: Path) -> None:
    path, frames = tmp_path / "d.zarr", _frames("Al", "Cu", "Ag", "Au")
    on_top = Structure(np.eye(3) * 9, np.array([[0, 0, 0], [0, 0, 0.1]]), np.array([13, 13]))
    frames.append(Frame(on_top, "f4", "test-run", "test"))
    result = label(frames, path, GaussianEngine(unconverged=("Cu4",), broken=("Ag4",)))
    assert result.done == [0]
    assert list(result.failed) == [1, 2, 3, 4]
    assert result.failed[1] == "not converged after 50 iterations; try more mixing"
    assert result.failed[2] == "LinAlgError: singular matrix"
    assert "no pseudopotential" in result.failed[3]
    assert "on top of each other" in result.failed[4]
    dataset = Dataset.open(path)
    assert {f.number: f.message for f in dataset.failures()} == result.failed
    assert dataset.numbers() == [0]
    assert list(dataset.radial) == [13, 29, 47]
    again = label(frames, path, GaussianEngine())
    assert (again.done, again.skipped, list(again.failed)) == ([1, 2], [0], [3, 4])
    assert [f.number for f in Dataset.open(path).failures()] == [3, 4]


def test_a_full_disk_ends_the_run(structures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "d.zarr"
    label(structures, path, GaussianEngine(unconverged=("Al4",)))
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if "000001" in self.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        with pytest.raises(NearsightError, match="no space left"):
            label(structures, path, GaussianEngine())
    assert Dataset.open(path).numbers() == [0, 3]
    assert label(structures, path, GaussianEngine()).done == [1, 2]


def test_another_engine_grid_or_structure_is_refused(structures: Path, tmp_path: Path) -> None:
    path = tmp_path / "d.zarr"
    label(structures, path, GaussianEngine(), shape=(6, 6, 6))
    before = Dataset.open(path).digest()
    with pytest.raises(StoreError, match=r"other engine settings \(width differ\)"):
        label(structures, path, GaussianEngine(width=1.5), shape=(6, 6, 6))
    with pytest.raises(StoreError, match="made with the grid"):
        label(structures, path, GaussianEngine())
    other = tmp_path / "other.extxyz"
    write_frames(other, _frames("Al", "Al", "Cu", "Cu"))
    with pytest.raises(StoreError, match=r"snapshot 2 of .* is another structure than number 2"):
        label(other, path, GaussianEngine(), shape=(6, 6, 6))
    moved = [replace(f, split="test", trajectory="x") for f in _frames("Al", "Al", "Al", "Cu")]
    write_frames(tmp_path / "moved.extxyz", moved)
    with pytest.raises(StoreError, match=r"snapshot 0 of .* is in the train part .* not test"):
        label(tmp_path / "moved.extxyz", path, GaussianEngine(), shape=(6, 6, 6))
    imported = Dataset.create(tmp_path / "i.zarr")
    with pytest.raises(StoreError, match="holds imported files"):
        label(structures, imported.path, GaussianEngine())
    assert Dataset.open(path).digest() == before


def test_more_structures_may_follow(tmp_path: Path) -> None:
    path = tmp_path / "d.zarr"
    label(_frames("Al", "Al"), path, GaussianEngine())
    result = label(_frames("Al", "Al", "Al"), path, GaussianEngine())
    assert (result.done, result.skipped) == ([2], [0, 1])


def test_input_that_cannot_be_labelled(tmp_path: Path) -> None:
    mixed = [replace(f, trajectory="one") for f in _frames("Al", "Al", "Al")]
    with pytest.raises(StoreError, match="'one' is in the train and the validation part"):
        label(mixed, tmp_path / "d.zarr", GaussianEngine())
    with pytest.raises(StoreError, match="a split is one of"):
        label([replace(mixed[0], split="holdout")], tmp_path / "d.zarr", GaussianEngine())
    with pytest.raises(InputError, match="no structures"):
        label([], tmp_path / "d.zarr", GaussianEngine())
    with pytest.raises(InputError, match="not both"):
        label(mixed[:1], tmp_path / "d.zarr", GaussianEngine(), spacing=1.0, shape=(2, 2, 2))
    with pytest.raises(FileFormatError, match="there is no file"):
        label(tmp_path / "none.extxyz", tmp_path / "d.zarr", GaussianEngine())
    assert not (tmp_path / "d.zarr").exists()
    with pytest.raises(InputError, match="--jobs must be at least 1"):
        label(mixed[:1], tmp_path / "d.zarr", GaussianEngine(), jobs=0)


def test_processes_give_the_same(structures: Path, tmp_path: Path) -> None:
    calls: list[int] = []
    engine = GaussianEngine(unconverged=("Cu4",))
    result = label(
        structures, tmp_path / "p.zarr", engine, jobs=2, progress=lambda _, done, __: calls.append(done)
    )
    label(structures, tmp_path / "s.zarr", engine)
    assert (result.done, list(result.failed)) == ([0, 1, 2], [3])
    assert calls == [0, 1, 2, 3, 4]
    assert Dataset.open(tmp_path / "p.zarr").digest() == Dataset.open(tmp_path / "s.zarr").digest()
