"""GPAW's files, written here with ASE's `ulm` in GPAW's layout."""

from pathlib import Path

import numpy as np
import pytest
from ase.io.ulm import open as open_ulm

from nearsight.errors import ChargeError, FileFormatError
from nearsight.io import read_snapshot
from nearsight.snapshot import Snapshot
from nearsight.units import ANGSTROM, BOHR_IN_ANGSTROM, EV


def _gpw(
    path: Path,
    snapshot: Snapshot,
    *,
    mode: object = "pw",
    pbc: tuple[bool, ...] = (True,) * 3,
    spins: int = 1,
) -> Path:
    structure = snapshot.structure
    values = snapshot.density.values * ANGSTROM**3
    if mode != "pw":
        values = values[tuple(slice(0 if along else 1, None) for along in pbc)]
    shares = np.array([1.0]) if spins == 1 else np.array([0.7, 0.3])
    occupations = np.zeros((spins, 2, 6))
    occupations[:, :, :5] = 0.9  # 9 electrons of both spins, two equal k-points
    with open_ulm(path, "w", tag="gpaw") as file:
        file.write(version=7, ha=27.2, bohr=0.529)
        file.child("atoms").write(
            cell=(structure.cell * BOHR_IN_ANGSTROM).tolist(),
            pbc=list(pbc),
            positions=structure.positions * BOHR_IN_ANGSTROM,
            numbers=structure.numbers,
        )
        file.child("results").write(forces=np.ones((structure.n_atoms, 3)), free_energy=-3.0)
        file.child("parameters").write(mode={"name": mode} if mode == "pw" else mode)
        file.child("density").write(density=shares[:, None, None, None] * values)
        waves = file.child("wave_functions")
        waves.write(occupations=occupations)
        waves.child("kpts").write(weights=np.array([0.5, 0.5]))
    return path


def test_pseudo_density_is_read_and_flagged(tmp_path: Path, blobs: Snapshot) -> None:
    for spins in (1, 2):
        found = read_snapshot(_gpw(tmp_path / "x.gpw", blobs, spins=spins))
        np.testing.assert_allclose(found.density.values, blobs.density.values, rtol=1e-12)
        np.testing.assert_allclose(found.structure.positions, blobs.structure.positions, atol=1e-12)
        assert found.provenance["pseudo_density"] is True
        assert found.provenance["electron_count_from"] == "pseudo-density"
        assert found.provenance["valence_electrons"] == pytest.approx(9.0)
        assert "a pseudo-density (PAW): it integrates to 9 where there are 9" in found.provenance["notes"][0]
        assert found.forces is not None
        np.testing.assert_allclose(found.forces, EV / ANGSTROM)
        assert found.energy is None


def test_a_count_that_is_not_the_integral(tmp_path: Path, blobs: Snapshot) -> None:
    smaller = Snapshot(blobs.structure, 0.9123 * blobs.density, 9 * 0.9123)
    path = _gpw(tmp_path / "x.gpw", smaller)
    assert read_snapshot(path).n_electrons == pytest.approx(8.2107)
    assert read_snapshot(path, 8.2107).n_electrons == 8.2107
    with pytest.raises(ChargeError, match=r"pseudo-density, which integrates to 8\.2107 and not to 9"):
        read_snapshot(path, 9.0)


@pytest.mark.parametrize("mode", ["fd", "lcao"])
def test_faces_of_zeros_are_put_back(tmp_path: Path, blobs: Snapshot, mode: str) -> None:
    values = blobs.density.values.copy()
    values[0] = values[:, :, 0] = 0
    object.__setattr__(blobs.density, "values", values)
    found = read_snapshot(_gpw(tmp_path / "x.gpw", blobs, mode=mode, pbc=(False, True, False)))
    assert found.density.grid.shape == blobs.density.grid.shape
    np.testing.assert_allclose(found.density.values, values, rtol=1e-12)


def test_damage(tmp_path: Path, blobs: Snapshot) -> None:
    path = _gpw(tmp_path / "x.gpw", blobs)
    content = path.read_bytes()
    for cut in (0, 10, 60, 2000, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(FileFormatError, match=r"x\.gpw"):
            read_snapshot(path)
    with open_ulm(path, "w", tag="gpaw") as file:
        file.write(version=7)
    with pytest.raises(FileFormatError, match=r"no \.gpw file with a density"):
        read_snapshot(path)
    with pytest.raises(FileFormatError, match="there is no file"):
        read_snapshot(tmp_path / "none.gpw")
