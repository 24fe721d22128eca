import gzip
from pathlib import Path

import numpy as np
import pytest
from ase.io.cube import read_cube_data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearsight.errors import ChargeError, FileFormatError, NearsightError, StructureError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io import read_snapshot, write_density, write_snapshot
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure
from nearsight.units import ANGSTROM, BOHR_IN_ANGSTROM


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shear=st.tuples(*[st.floats(-2, 2)] * 3),
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    electrons=st.integers(1, 200),
    seed=st.integers(0, 99),
)
def test_round_trip_in_skewed_cells(
    tmp_path: Path, shear: tuple[float, ...], shape: tuple[int, int, int], electrons: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    cell = np.array([[6.0, 0, 0], [shear[0], 7.0, 0], [shear[1], shear[2], 5.0]])
    structure = Structure(cell, rng.uniform(-3, 9, (4, 3)), rng.integers(1, 90, 4))
    grid = UniformGrid(cell, shape)
    density = ScalarField(grid, rng.uniform(0.01, 1, shape)).rescaled(electrons).field
    write_density(tmp_path / "x.cube", structure, density, n_electrons=electrons)
    back = read_snapshot(tmp_path / "x.cube")
    assert back.n_electrons == electrons
    assert back.density.grid.matches(grid)
    np.testing.assert_allclose(back.density.values, density.values, rtol=6e-6)
    np.testing.assert_allclose(back.structure.positions, structure.positions, atol=1e-10)
    np.testing.assert_array_equal(back.structure.numbers, structure.numbers)


def test_ase_reads_the_same(tmp_path: Path, snapshot: Snapshot) -> None:
    path = tmp_path / "x.cube"
    write_snapshot(path, snapshot)
    values, atoms = read_cube_data(str(path))
    np.testing.assert_allclose(values, snapshot.density.values, rtol=6e-6)
    np.testing.assert_allclose(atoms.positions * ANGSTROM, snapshot.structure.positions, atol=1e-6)
    np.testing.assert_allclose(atoms.cell.array * ANGSTROM, snapshot.structure.cell, atol=1e-6)


def test_gzip_and_other_spelling_of_the_name(tmp_path: Path, snapshot: Snapshot) -> None:
    write_snapshot(tmp_path / "x.cube", snapshot)
    write_snapshot(tmp_path / "y.CUB.gz", snapshot)
    assert gzip.decompress((tmp_path / "y.CUB.gz").read_bytes()) == (tmp_path / "x.cube").read_bytes()
    np.testing.assert_array_equal(
        read_snapshot(tmp_path / "y.CUB.gz").density.values, read_snapshot(tmp_path / "x.cube").density.values
    )


def test_tiny_values_stay_apart(tmp_path: Path) -> None:
    structure = Structure(np.eye(3) * 4, np.zeros((1, 3)), np.array([1]))
    values = np.full((2, 2, 7), -1.23456e-101)
    values[0, 0, 0] = 7.0 / 16
    write_density(tmp_path / "x.cube", structure, ScalarField(UniformGrid(structure.cell, (2, 2, 7)), values))
    back = read_snapshot(tmp_path / "x.cube", n_electrons=1.0)
    np.testing.assert_allclose(back.density.values, values, rtol=1e-5)


def _hand_written(unit: float, sign: int, origin: float, more: str = "") -> str:
    """A 2 × 1 × 3 grid in a cell of 4 × 5 × 6 bohr that holds 2 electrons; lengths times `unit`."""
    value = 2.0 / 120.0
    lines = [
        "by hand",
        more,
        f" 1 {origin * unit} 0 0",
        f" {2 * sign} {2.0 * unit} 0 0",
        f" {1 * sign} 0 {5.0 * unit} 0",
        f" {3 * sign} 0 0 {2.0 * unit}",
        f" 2 0.0 {(1.0 + origin) * unit} {2.0 * unit} {3.0 * unit}",
        f"{value} {value} {value}",
        f"{value} {value} {value}",
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("unit", "sign"), [(1.0, 1), (BOHR_IN_ANGSTROM, -1)])
@pytest.mark.parametrize("origin", [0.0, -1.5])
def test_bohr_or_angstrom_by_the_sign_of_the_counts(
    tmp_path: Path, unit: float, sign: int, origin: float
) -> None:
    path = tmp_path / "hand.cube"
    path.write_text(_hand_written(unit, sign, origin))
    found = read_snapshot(path)
    assert found.n_electrons == 2.0
    assert found.provenance["electron_count_from"] == "integral"
    np.testing.assert_allclose(found.structure.cell, np.diag([4.0, 5.0, 6.0]), atol=1e-9)
    np.testing.assert_allclose(found.structure.positions, [[1.0, 2.0, 3.0]], atol=1e-9)
    assert found.density.grid.shape == (2, 1, 3)


def test_orbital_header_with_one_data_set(tmp_path: Path) -> None:
    text = _hand_written(1.0, 1, 0.0).replace(" 1 0.0 0 0", " -1 0.0 0 0")
    lines = text.splitlines()
    (tmp_path / "x.cube").write_text("\n".join([*lines[:7], " 1 42", *lines[7:]]))
    assert read_snapshot(tmp_path / "x.cube").n_electrons == 2.0
    (tmp_path / "y.cube").write_text("\n".join([*lines[:7], " 2 42 43", *lines[7:]]))
    with pytest.raises(FileFormatError, match="2 values a point"):
        read_snapshot(tmp_path / "y.cube")


def test_truncated_says_expected_and_found(tmp_path: Path, snapshot: Snapshot) -> None:
    path = tmp_path / "x.cube"
    write_snapshot(path, snapshot)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-3]))
    with pytest.raises(FileFormatError, match=r"x\.cube is truncated: 336 values expected .* 326 found"):
        read_snapshot(path)
    path.write_text("\n".join([*lines, " 1.0"]))
    with pytest.raises(FileFormatError, match="more than the 336 values"):
        read_snapshot(path)
    path.write_text("\n".join(lines[:4]))
    with pytest.raises(FileFormatError, match="truncated in its header"):
        read_snapshot(path)


def test_damaged_archive(tmp_path: Path, snapshot: Snapshot) -> None:
    path = tmp_path / "x.cube.gz"
    write_snapshot(path, snapshot)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FileFormatError, match="truncated or damaged gzip"):
        read_snapshot(path)
    path.write_bytes(b"no archive")
    with pytest.raises(FileFormatError, match="truncated or damaged gzip"):
        read_snapshot(path)


def test_nan_is_counted_and_placed(tmp_path: Path) -> None:
    text = _hand_written(1.0, 1, 0.0)
    value = str(2.0 / 120.0)
    head, _, tail = text.rpartition(f"{value} {value} {value}")
    (tmp_path / "x.cube").write_text(f"{head}{value} nan ****{tail}")
    with pytest.raises(FileFormatError, match=r"x\.cube: 2 of 6 values of 'density' .* \(1, 0, 1\)"):
        read_snapshot(tmp_path / "x.cube")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((" 2 2.0 0 0", " two 2.0 0 0"), "header cannot be read"),
        ((" 2 2.0 0 0", " -2 2.0 0 0"), "all positive"),
        ((" 2 2.0 0 0", " 2 2.0 0"), "header cannot be read"),
        ((" 1 0.0 0 0", " 1 0.0 0 0 3"), "3 values a point"),
        ((" 1 0.0 0 0", " 9 0.0 0 0"), "x.cube"),
        (("0.016666666666666666 0.016666666666666666 0", "0.01666 abc 0"), "'abc', which is no number"),
        ((" 2 0.0 1.0 2.0 3.0", " 0 0.0 1.0 2.0 3.0"), "x.cube: unknown atomic number"),
        ((" 3 0 0 2.0", " 3 0 0 0.0"), "x.cube: the cell has no volume"),
    ],
)
def test_what_is_wrong_in_one_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    text = _hand_written(1.0, 1, 0.0)
    assert change[0] in text
    (tmp_path / "x.cube").write_text(text.replace(*change, 1))
    with pytest.raises(NearsightError, match=message) as caught:
        read_snapshot(tmp_path / "x.cube")
    assert "\n" not in str(caught.value)


def test_binary_rubbish(tmp_path: Path) -> None:
    (tmp_path / "x.cube").write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(FileFormatError):
        read_snapshot(tmp_path / "x.cube")


def test_zero_volume_is_a_structure_error(tmp_path: Path) -> None:
    (tmp_path / "x.cube").write_text(_hand_written(1.0, 1, 0.0).replace(" 3 0 0 2.0", " 3 0 0 0.0"))
    with pytest.raises(StructureError):
        read_snapshot(tmp_path / "x.cube")


def test_charge_without_a_count_must_be_whole(tmp_path: Path) -> None:
    text = _hand_written(1.0, 1, 0.0).replace("0.01666", "0.01766")
    path = tmp_path / "x.cube"
    path.write_text(text)
    with pytest.raises(ChargeError, match=r"integrates to 2.12, no whole number; state the count .*e/bohr³"):
        read_snapshot(path)
    assert read_snapshot(path, n_electrons=2.12).provenance["electron_count_from"] == "caller"


def test_charge_against_the_stated_count(tmp_path: Path) -> None:
    path = tmp_path / "x.cube"
    path.write_text(_hand_written(1.0, 1, 0.0, more="n_electrons = 2"))
    assert read_snapshot(path).provenance["electron_count_from"] == "file"
    path.write_text(_hand_written(1.0, 1, 0.0, more="n_electrons = 3"))
    with pytest.raises(ChargeError, match="integrates to 2 electrons where 3 are stated"):
        read_snapshot(path)
    assert read_snapshot(path, n_electrons=2).n_electrons == 2


@pytest.mark.parametrize(
    ("factor", "hint"),
    [(BOHR_IN_ANGSTROM**-3, "look like e/Å³"), (120.0, "as VASP writes"), (20.0, "electrons per grid point")],
)
@pytest.mark.parametrize("count", [None, 2.0])
def test_units_are_guessed(tmp_path: Path, factor: float, hint: str, count: float | None) -> None:
    value = 2.0 / 120.0
    text = _hand_written(1.0, 1, 0.0).replace(str(value), str(value * factor * (1 if count else 1.0)))
    (tmp_path / "x.cube").write_text(text)
    if count is None and abs(2 * factor - round(2 * factor)) < 0.01:
        assert read_snapshot(tmp_path / "x.cube").n_electrons == round(2 * factor)
        return
    with pytest.raises(ChargeError, match=hint):
        read_snapshot(tmp_path / "x.cube", n_electrons=count)
