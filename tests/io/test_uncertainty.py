"""A density with its two standard deviations: in one file where there is room, else in three."""

from pathlib import Path

import numpy as np
import pytest
from ase.calculators.vasp import VaspChargeDensity
from ase.io.cube import read_cube_data
from ase.io.xsf import read_xsf

from nearsight.errors import ChargeError, FileFormatError, GridMismatchError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io import read_snapshot, read_uncertainty, write_density, write_uncertain_density
from nearsight.io.uncertainty import sibling
from nearsight.structure import Structure
from nearsight.units import BOHR_IN_ANGSTROM

CELL = np.array([[9.0, 0, 0], [1.5, 8.0, 0], [0.5, -1, 8.5]])
STRUCTURE = Structure(CELL, np.random.default_rng(0).random((3, 3)) @ CELL, np.array([13, 13, 8]))
GRID = UniformGrid(CELL, (6, 5, 4))


def field(seed: int, scale: float = 0.01) -> ScalarField:
    return ScalarField(GRID, scale * np.random.default_rng(seed).random(GRID.shape))


DENSITY = field(1, 1.0).rescaled(12.0).field
ALEATORIC, EPISTEMIC = field(2, 0.011), field(3, 0.002)


@pytest.mark.parametrize("name", ["rho.npz", "rho.npz.gz", "rho.zarr"])
def test_one_file_where_there_is_room(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for _ in range(2):  # over itself, too
        written = write_uncertain_density(path, STRUCTURE, DENSITY, ALEATORIC, EPISTEMIC)
    assert written.files == (path,)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert np.array_equal(read_snapshot(path).density.values, DENSITY.values)
    found = read_uncertainty(path)
    assert found is not None
    assert np.array_equal(found["aleatoric"].values, ALEATORIC.values)
    assert np.array_equal(found["epistemic"].values, EPISTEMIC.values)
    found["aleatoric"].require_same_grid(DENSITY)
    write_density(path, STRUCTURE, DENSITY)
    assert read_uncertainty(path) is None


@pytest.mark.parametrize(
    ("name", "aleatoric"),
    [
        ("rho.cube", "rho.aleatoric.cube"),
        ("my.rho.cub.gz", "my.rho.aleatoric.cub.gz"),
        ("rho.xsf", "rho.aleatoric.xsf"),
        ("al.vasp", "al.aleatoric.vasp"),
        ("CHGCAR", "CHGCAR.aleatoric.vasp"),
        ("CHGCAR_7.gz", "CHGCAR_7.aleatoric.vasp.gz"),
        ("CHGCAR.cube", "CHGCAR.aleatoric.cube"),
    ],
)
def test_names_beside_it(tmp_path: Path, name: str, aleatoric: str) -> None:
    assert sibling(tmp_path / name, "aleatoric") == tmp_path / aleatoric
    written = write_uncertain_density(tmp_path / name, STRUCTURE, DENSITY, ALEATORIC, EPISTEMIC)
    epistemic = aleatoric.replace("aleatoric", "epistemic")
    assert [p.name for p in written.files] == [name, aleatoric, epistemic]
    assert {p.name for p in tmp_path.iterdir()} == {name, aleatoric, epistemic}
    density = read_snapshot(tmp_path / name)
    np.testing.assert_allclose(density.density.values, DENSITY.values, rtol=1e-5)
    assert density.n_electrons == 12.0


def test_other_programs_read_the_values(tmp_path: Path) -> None:
    """ASE's readers: e/bohr³ in cube and xsf, in a CHGCAR density times volume."""
    expected = EPISTEMIC.values
    for name in ("rho.cube", "rho.xsf", "CHGCAR"):
        write_uncertain_density(tmp_path / name, STRUCTURE, DENSITY, ALEATORIC, EPISTEMIC)
    values, atoms = read_cube_data(str(tmp_path / "rho.epistemic.cube"))
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    np.testing.assert_allclose(atoms.positions, STRUCTURE.positions * BOHR_IN_ANGSTROM, atol=1e-5)
    with (tmp_path / "rho.epistemic.xsf").open() as file:
        values = read_xsf(file, read_data=True)[0]
    np.testing.assert_allclose(values[:-1, :-1, :-1], expected, rtol=1e-5)
    chgcar = VaspChargeDensity(str(tmp_path / "CHGCAR.epistemic.vasp"))
    np.testing.assert_allclose(chgcar.chg[0] * BOHR_IN_ANGSTROM**3, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["rho.cube", "rho.xsf", "CHGCAR"])
def test_a_deviation_is_not_taken_for_a_density(tmp_path: Path, name: str) -> None:
    files = write_uncertain_density(tmp_path / name, STRUCTURE, DENSITY, ALEATORIC, EPISTEMIC).files
    assert "aleatoric standard deviation" in files[1].read_text()[:300]
    assert "n_electrons" not in files[1].read_text()[:300]
    with pytest.raises(ChargeError, match="no whole number"):
        read_snapshot(files[1])


def test_all_or_nothing(tmp_path: Path) -> None:
    write_density(tmp_path / "rho.cube", STRUCTURE, DENSITY)
    before = (tmp_path / "rho.cube").read_bytes()
    (tmp_path / "rho.epistemic.cube").mkdir()
    other = field(9, 1.0).rescaled(12.0).field
    with pytest.raises(FileFormatError, match="is a folder"):
        write_uncertain_density(tmp_path / "rho.cube", STRUCTURE, other, ALEATORIC, EPISTEMIC)
    assert (tmp_path / "rho.cube").read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"rho.cube", "rho.epistemic.cube"}


def test_a_failure_half_way_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_uncertain_density(tmp_path / "rho.cube", STRUCTURE, DENSITY, ALEATORIC, EPISTEMIC)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    calls: list[Path] = []

    def full(path: Path, content: bytes) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        path.write_bytes(content)

    monkeypatch.setattr("nearsight.io.cube.write_bytes", full)
    with pytest.raises(Exception, match="no space left"):
        write_uncertain_density(tmp_path / "rho.cube", STRUCTURE, DENSITY, EPISTEMIC, ALEATORIC)
    assert len(calls) == 3
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_fields_must_fit_and_formats_must_have_room(tmp_path: Path) -> None:
    coarse = ScalarField(UniformGrid(CELL, (3, 5, 4)), np.zeros((3, 5, 4)))
    with pytest.raises(GridMismatchError):
        write_uncertain_density(tmp_path / "rho.npz", STRUCTURE, DENSITY, coarse, EPISTEMIC)
    write_density(tmp_path / "rho.cube", STRUCTURE, DENSITY)
    with pytest.raises(FileFormatError, match=r"only \.npz and \.zarr"):
        read_uncertainty(tmp_path / "rho.cube")
    np.savez(
        tmp_path / "odd.npz",
        **{**dict(np.load(_written(tmp_path))), "aleatoric": np.full(GRID.shape, np.nan)},
    )
    with pytest.raises(FileFormatError, match=r"odd\.npz.*NaN"):
        read_uncertainty(tmp_path / "odd.npz")


def _written(folder: Path) -> Path:
    write_uncertain_density(folder / "good.npz", STRUCTURE, DENSITY, ALEATORIC, EPISTEMIC)
    return folder / "good.npz"
