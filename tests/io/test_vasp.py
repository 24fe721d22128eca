"""CHGCAR and its kin: hand-written files, augmentation occupancies, spin, and ASE's reader."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.vasp import VaspChargeDensity

from nearsight.errors import ChargeError, FileFormatError, NearsightError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io import read_snapshot, write_snapshot
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure
from nearsight.units import ANGSTROM, BOHR_IN_ANGSTROM

SHAPE = (2, 3, 5)
#: twice the cell volume times density of 4 electrons: value = index of the point in the file
VALUES = np.arange(1.0, 31.0) * 4 / 15.5
BLOCK = "\n".join(" ".join(f"{x:.11E}" for x in VALUES[i : i + 5]) for i in range(0, 30, 5)) + "\n"
CELL = np.array([[4.0, 0.0, 0.0], [1.0, 5.0, 0.0], [0.5, 0.25, 6.0]])
DIRECT = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.25], [0.1, 0.2, 0.3]])
AUGMENTATION = (
    "augmentation occupancies   1   3\n  0.1111111E+00  0.2222222E-01 -0.3333333E+00\n"
    "augmentation occupancies   2   6\n"
    "  0.1000000E+01  0.2000000E+00  0.3000000E+00  0.4000000E+00  0.5000000E+00\n  0.6000000E+00\n"
    "augmentation occupancies   3   1\n  0.7000000E+00\n"
)


def _header(
    scale: str = "1.0",
    cell: np.ndarray = CELL,
    symbols: str = "Si O",
    counts: str = "1 2",
    mode: str = "Direct",
    positions: np.ndarray = DIRECT,
) -> str:
    rows = [" ".join(map(repr, map(float, v))) for v in cell]
    lines = ["comment", scale, *rows, symbols, counts, mode]
    return "\n".join(
        [line for line in lines if line] + [" ".join(map(repr, map(float, p))) for p in positions]
    )


def _file(folder: Path, header: str | None = None, rest: str = "", name: str = "CHGCAR") -> Path:
    path = folder / name
    path.write_text(f"{header or _header()}\n\n   2   3   5\n{BLOCK}{rest}")
    return path


def test_values_are_density_times_volume_first_axis_fastest(tmp_path: Path) -> None:
    found = read_snapshot(_file(tmp_path))
    volume = abs(np.linalg.det(CELL)) * ANGSTROM**3
    assert found.density.grid.shape == SHAPE
    for i, j, k in np.ndindex(SHAPE):
        assert found.density.values[i, j, k] == pytest.approx(VALUES[i + 2 * j + 6 * k] / volume, rel=1e-10)
    assert (found.n_electrons, found.provenance["electron_count_from"]) == (4.0, "integral")
    assert found.structure.numbers.tolist() == [14, 8, 8]
    np.testing.assert_allclose(found.structure.cell, CELL * ANGSTROM)
    np.testing.assert_allclose(found.structure.fractional, DIRECT, atol=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": "0.5", "cell": 2 * CELL},
        {"scale": f"-{float(np.linalg.det(CELL))!r}", "cell": 7 * CELL},
        {"scale": "2.0 4.0 0.5", "cell": CELL / np.array([2.0, 4.0, 0.5])},
        {"mode": "Selective dynamics\nDirect"},
        {"mode": "cartesian", "positions": DIRECT @ CELL},
        {"mode": "K", "positions": DIRECT @ CELL / 2, "scale": "2", "cell": CELL / 2},
        {
            "mode": "Cartesian",
            "positions": DIRECT @ CELL / np.array([2.0, 4.0, 0.5]),
            "scale": "2.0 4.0 0.5",
            "cell": CELL / np.array([2.0, 4.0, 0.5]),
        },
        {"symbols": "Si_pv/5bf5ab10 O_s", "counts": "1 2"},
        {"symbols": "Si O O", "counts": "1 1 1"},
    ],
    ids=["scale", "volume", "three", "selective", "cartesian", "scaled", "scaled-3", "potcar", "repeated"],
)
def test_spellings_of_one_structure(tmp_path: Path, changes: dict) -> None:
    header = _header(**changes)
    if "Selective" in header:
        header = re.sub(r"(?m)^(0\.\S+ 0\.\S+ 0\.\S+)$", r"\1 T F T", header)
        assert "T F T" in header
    plain = read_snapshot(_file(tmp_path, name="plain.vasp"))
    found = read_snapshot(_file(tmp_path, header))
    np.testing.assert_allclose(found.structure.cell, plain.structure.cell, atol=1e-10)
    np.testing.assert_allclose(found.structure.positions, plain.structure.positions, atol=1e-10)
    np.testing.assert_array_equal(found.structure.numbers, plain.structure.numbers)
    np.testing.assert_allclose(found.density.values, plain.density.values, rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbols": ""}, "VASP 4, which names no elements: insert a line .* above the line '1 2'"),
        ({"symbols": "Si Qq"}, "'Qq'"),
        ({"counts": "1"}, "counts"),
        ({"counts": "1 99"}, "header cannot be read"),
        ({"scale": "0.0"}, "scaling"),
        ({"scale": "-8", "cell": 0 * CELL}, "scaling"),
        ({"scale": "big"}, "scaling"),
        ({"cell": np.diag([1.0, 1.0, 0.0])}, "no volume"),
        ({"positions": np.full((3, 3), np.nan)}, "3 finite numbers are needed, not 'nan"),
    ],
)
def test_headers_that_make_no_sense(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(NearsightError, match=message) as caught:
        read_snapshot(_file(tmp_path, _header(**changes)))
    assert "CHGCAR" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_structure_alone_is_no_density(tmp_path: Path) -> None:
    (tmp_path / "POSCAR.vasp").write_text(_header() + "\n")
    with pytest.raises(FileFormatError, match="a structure and no density"):
        read_snapshot(tmp_path / "POSCAR.vasp")


def test_augmentation_is_kept_and_written_back(tmp_path: Path) -> None:
    found = read_snapshot(_file(tmp_path, rest=AUGMENTATION))
    kept = found.provenance["augmentation"]["occupancies"]
    assert [len(text.split()) for text in kept] == [3, 6, 1]
    assert write_snapshot(tmp_path / "CHGCAR.new", found) == ()
    text = (tmp_path / "CHGCAR.new").read_text()
    assert text.endswith(AUGMENTATION)
    again = read_snapshot(tmp_path / "CHGCAR.new")
    assert again.provenance["augmentation"]["occupancies"] == kept
    moved = Structure(found.structure.cell, found.structure.positions + 0.1, found.structure.numbers)
    write_snapshot(tmp_path / "moved.vasp", Snapshot(moved, found.density, 4.0, provenance=found.provenance))
    assert "augmentation" not in (tmp_path / "moved.vasp").read_text()
    finer = found.density.resampled((4, 6, 10))
    write_snapshot(
        tmp_path / "finer.vasp", Snapshot(found.structure, finer, 4.0, provenance=found.provenance)
    )
    assert "augmentation" not in (tmp_path / "finer.vasp").read_text()


def test_atoms_are_grouped_with_their_occupancies(tmp_path: Path) -> None:
    found = read_snapshot(_file(tmp_path, _header(symbols="O Si O", counts="1 1 1"), AUGMENTATION))
    (note,) = write_snapshot(tmp_path / "CHGCAR", found)
    assert "the POTCAR is of O Si" in note
    again = read_snapshot(tmp_path / "CHGCAR")
    assert again.structure.numbers.tolist() == [8, 8, 14]
    np.testing.assert_allclose(again.structure.fractional, DIRECT[[0, 2, 1]], atol=1e-14)
    kept, new = (s.provenance["augmentation"]["occupancies"] for s in (found, again))
    assert new == [kept[0], kept[2], kept[1]]
    assert "   2   1\n" in (tmp_path / "CHGCAR").read_text()


def test_spin_polarised(tmp_path: Path) -> None:
    moments = " 0.100E+01 0.500E+00 -0.500E+00\n"
    second = f"  2 3 5\n{BLOCK}"
    plain = read_snapshot(_file(tmp_path))
    for rest in (
        second,
        AUGMENTATION + moments + second + AUGMENTATION,
        AUGMENTATION + 3 * (moments + second + AUGMENTATION),
        AUGMENTATION.replace("occupancies", "occupancies (imaginary part)") + second,
    ):
        found = read_snapshot(_file(tmp_path, rest=rest))
        np.testing.assert_array_equal(found.density.values, plain.density.values)
        assert found.provenance["magnetic_moment"][0] == pytest.approx(4.0)
        assert "spin-polarised" in found.provenance["notes"][0]
    write_snapshot(tmp_path / "CHGCAR.total", found)
    assert len((tmp_path / "CHGCAR.total").read_text().split("2    3    5")) == 2


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (AUGMENTATION[:-40], "truncated"),
        (AUGMENTATION[: AUGMENTATION.index("augmentation occupancies   3")], "truncated in its augm"),
        ("augmentation occ", "truncated in its augm"),
        ("aug", "'aug' behind the 2 x 3 x 5 values is neither"),
        ("1.0 2.0\n", "'1.0' behind the 2 x 3 x 5 values"),
        (f" 2 3 5\n{BLOCK[:-30]}", "30 values of the magnetisation expected"),
        (f" 2 3 5\n{BLOCK} 2 3 5\n{BLOCK}", "holds 3 densities"),
        (f" 2 3 5\n{BLOCK.replace('2.58064516129E-01', 'NaN')}", "'magnetisation' are NaN"),
        (f"\n{_header()}\n\n 2 3 5\n{BLOCK}", "if it holds several structures, split it"),
    ],
)
def test_what_follows_the_density_is_checked(tmp_path: Path, rest: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        read_snapshot(_file(tmp_path, rest=rest))


def test_electron_counts(tmp_path: Path) -> None:
    path = _file(tmp_path)
    assert read_snapshot(path, 4.0).provenance["electron_count_from"] == "caller"
    with pytest.raises(ChargeError, match="integrates to 4 electrons where 5 are stated"):
        read_snapshot(path, 5.0)
    path.write_text(path.read_text().replace("2.58064516129E-01", "1.58064516129E+01"))
    with pytest.raises(ChargeError, match="no whole number; state the count"):
        read_snapshot(path)


def test_kinds_are_told_apart_by_their_names(tmp_path: Path) -> None:
    for name, word in (("AECCAR0", "core"), ("AECCAR1", "superposed"), ("AECCAR2", "all-electron")):
        assert word in read_snapshot(_file(tmp_path, name=name)).provenance["notes"][0]
    assert "notes" not in read_snapshot(_file(tmp_path, name="CHG")).provenance


def test_fortran_general_format_of_chg(tmp_path: Path) -> None:
    """CHG has ten columns of G11.5, whose exponents come and go."""
    words = [f"{x:.5g}    " if 0.1 <= x < 1 else f"{x:.4E}" for x in VALUES]
    path = tmp_path / "CHG"
    path.write_text(f"{_header()}\n\n 2 3 5\n " + " ".join(words) + "\n")
    np.testing.assert_allclose(
        read_snapshot(path, 4.0).density.values, read_snapshot(_file(tmp_path)).density.values, rtol=1e-3
    )


def test_ase_reads_and_writes_the_same(tmp_path: Path, blobs: Snapshot) -> None:
    (note,) = write_snapshot(tmp_path / "CHGCAR", blobs)
    assert "grouped" in note
    theirs = VaspChargeDensity(str(tmp_path / "CHGCAR"))
    np.testing.assert_allclose(
        theirs.chg[0] * BOHR_IN_ANGSTROM**3, blobs.density.values, rtol=1e-10, atol=1e-13
    )
    assert theirs.atoms[0].get_chemical_symbols() == ["Li", "Li", "Li", "O"]
    order = [0, 1, 3, 2]
    expected = blobs.structure.positions[order]
    np.testing.assert_allclose(theirs.atoms[0].positions * ANGSTROM, expected, atol=1e-6)
    theirs.write(str(tmp_path / "ase-CHGCAR"), format="chgcar")
    back = read_snapshot(tmp_path / "ase-CHGCAR")
    np.testing.assert_allclose(back.density.values, blobs.density.values, rtol=1e-5, atol=1e-9)


def test_left_handed_cells_are_turned_for_vasp(tmp_path: Path, blobs: Snapshot) -> None:
    cell = blobs.structure.cell[[1, 0, 2]]
    structure = Structure(cell, blobs.structure.positions, blobs.structure.numbers)
    values = blobs.density.values.swapaxes(0, 1)
    left = Snapshot(structure, ScalarField(UniformGrid(cell, values.shape), values), 9.0)
    assert np.linalg.det(cell) < 0
    notes = write_snapshot(tmp_path / "CHGCAR", left)
    assert "left-handed" in notes[0]
    found = read_snapshot(tmp_path / "CHGCAR")
    np.testing.assert_allclose(found.structure.cell, blobs.structure.cell, atol=1e-12)
    np.testing.assert_allclose(found.density.values, blobs.density.values, rtol=1e-11, atol=1e-15)
    header = (tmp_path / "CHGCAR").read_text().splitlines()
    swapped = [*header[:2], header[3], header[2], *header[4:]]
    (tmp_path / "left.vasp").write_text("\n".join(swapped) + "\n")
    assert np.linalg.det(read_snapshot(tmp_path / "left.vasp").structure.cell) < 0


def test_five_columns_of_twelve_digits(tmp_path: Path, snapshot: Snapshot) -> None:
    write_snapshot(tmp_path / "CHGCAR", snapshot)
    lines = (tmp_path / "CHGCAR").read_text().splitlines()
    start = lines.index("    6    7    8") + 1
    assert re.fullmatch(r"( [0-9]\.[0-9]{11}E[+-][0-9]{2}){5}", lines[start])
    assert len(lines) == start + -(-6 * 7 * 8 // 5)


def test_pymatgen_reads_the_same(tmp_path: Path, blobs: Snapshot) -> None:
    outputs = pytest.importorskip("pymatgen.io.vasp.outputs", reason="pymatgen is not installed")
    write_snapshot(tmp_path / "CHGCAR", blobs)
    theirs = outputs.Chgcar.from_file(str(tmp_path / "CHGCAR"))
    volume = blobs.structure.volume
    np.testing.assert_allclose(theirs.data["total"], blobs.density.values * volume, rtol=1e-10, atol=1e-11)
    assert [site.specie.symbol for site in theirs.structure] == ["Li", "Li", "Li", "O"]
    theirs.write_file(str(tmp_path / "theirs.vasp"))
    back = read_snapshot(tmp_path / "theirs.vasp")
    np.testing.assert_allclose(back.density.values, blobs.density.values, rtol=1e-6, atol=1e-10)


def test_occupancies_go_with_another_density_of_the_same_structure(tmp_path: Path) -> None:
    reference = read_snapshot(_file(tmp_path, rest=AUGMENTATION))
    other = ScalarField(reference.density.grid, reference.density.values[::-1].copy())
    write_snapshot(tmp_path / "CHGCAR.new", replace(reference, density=other))
    assert (tmp_path / "CHGCAR.new").read_text().endswith(AUGMENTATION)
    found = read_snapshot(tmp_path / "CHGCAR.new")
    np.testing.assert_allclose(found.density.values, other.values, rtol=1e-10)
