"""XSF: general grids, hand-written files, ASE's reader and pp.x's layout."""

from pathlib import Path

import numpy as np
import pytest
from ase.io.xsf import read_xsf

from nearsight.errors import ChargeError, FileFormatError, GridMismatchError, NearsightError
from nearsight.io import read_snapshot, write_snapshot
from nearsight.snapshot import Snapshot
from nearsight.units import ANGSTROM, BOHR_IN_ANGSTROM

CELL = np.array([[4.0, 0.0, 0.0], [1.0, 5.0, 0.0], [0.5, 0.25, 6.0]])


def _periodic() -> np.ndarray:
    """Two electrons on a 2 × 3 × 4 grid of `CELL` (Å), every value another one."""
    values = np.random.default_rng(3).uniform(0.5, 1.0, (2, 3, 4))
    return values * 2.0 / (values.mean() * abs(np.linalg.det(CELL)) * ANGSTROM**3)


def _file(
    folder: Path,
    values: np.ndarray | None = None,
    span: np.ndarray = CELL,
    structure: str | None = None,
    head: str = "",
    tail: str = "",
) -> Path:
    """A file as pp.x writes it: symbols, title lines, six columns that run on across the axes."""
    values = np.pad(_periodic(), [(0, 1)] * 3, mode="wrap") if values is None else values
    rows = "\n".join(" ".join(f"{x:.9f}" for x in v) for v in CELL)
    structure = (
        structure or f" CRYSTAL\n PRIMVEC\n{rows}\n PRIMCOORD\n  2 1\nSi  0.1 0.2 0.3\nO   2.0 2.5 3.0\n"
    )
    words = [f"{x:.7E}" for x in values.ravel(order="F")]
    body = "\n".join("  ".join(words[i : i + 6]) for i in range(0, len(words), 6))
    grid = "BEGIN_BLOCK_DATAGRID_3D\n3D_PWSCF\nDATAGRID_3D_UNKNOWN\n" + " ".join(map(str, values.shape))
    vectors = "\n".join(" ".join(f"{x:.6f}" for x in v) for v in span)
    end = "END_DATAGRID_3D\nEND_BLOCK_DATAGRID_3D\n"
    path = folder / "x.xsf"
    path.write_text(f"{head}{structure}{grid}\n0.0 0.0 0.0\n{vectors}\n{body}\n{end}{tail}")
    return path


def test_repeated_planes_are_left_out(tmp_path: Path) -> None:
    found = read_snapshot(_file(tmp_path))
    assert found.density.grid.shape == (2, 3, 4)
    np.testing.assert_allclose(found.density.values, _periodic(), rtol=1e-7)
    assert (found.n_electrons, found.provenance["electron_count_from"]) == (2.0, "integral")
    np.testing.assert_allclose(found.structure.cell, CELL * ANGSTROM)
    assert found.structure.numbers.tolist() == [14, 8]
    np.testing.assert_allclose(found.structure.positions[1] * BOHR_IN_ANGSTROM, [2.0, 2.5, 3.0])


def test_a_grid_whose_vectors_say_that_nothing_is_repeated(tmp_path: Path) -> None:
    counts = np.array([[2], [3], [4]])
    found = read_snapshot(_file(tmp_path, _periodic(), CELL * (counts - 1) / counts))
    np.testing.assert_allclose(found.density.values, _periodic(), rtol=1e-7)


def test_a_molecule_in_its_box(tmp_path: Path) -> None:
    found = read_snapshot(_file(tmp_path, structure="# a comment\nATOMS\n14 0.1 0.2 0.3\n8 2.0 2.5 3.0\n"))
    np.testing.assert_allclose(found.structure.cell, CELL * ANGSTROM, atol=1e-5)
    assert found.structure.numbers.tolist() == [14, 8]


def test_other_sections_and_blocks_do_not_matter(tmp_path: Path) -> None:
    rows = "\n".join(" ".join(map(str, v)) for v in CELL)
    structure = (
        f"CRYSTAL\nPRIMVEC\n{rows}\nCONVVEC\n1 0 0\n0 1 0\n0 0 1\nPRIMCOORD\n1 1\n14 0 0 0 0.1 0.1 0.1\n"
    )
    found = read_snapshot(_file(tmp_path, structure=structure, head="# n_electrons = 2.0, by hand\n\n"))
    assert found.provenance["electron_count_from"] == "file"
    assert found.structure.numbers.tolist() == [14]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"values": _periodic()}, FileFormatError, "last plane along axis 1 must repeat the first"),
        ({"span": CELL * 1.5}, GridMismatchError, "the data grid spans"),
        ({"span": CELL[[1, 0, 2]]}, GridMismatchError, "the data grid spans"),
        ({"head": "ANIMSTEPS 3\n"}, FileFormatError, "several structures"),
        (
            {"tail": "BEGIN_BLOCK_DATAGRID_3D\nx\nBEGIN_DATAGRID_3D_y\n"},
            FileFormatError,
            "several data grids",
        ),
        ({"structure": "CRYSTAL\n"}, FileFormatError, "header cannot be read"),
        ({"structure": "ATOMS\nQq 0 0 0\n"}, FileFormatError, "header cannot be read"),
        ({"values": 1e-3 * np.ones((3, 4, 5))}, ChargeError, "no whole number"),
        ({"values": np.full((3, 4, 5), np.nan)}, FileFormatError, "NaN"),
    ],
)
def test_what_is_wrong_in_one_line(tmp_path: Path, changes: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        read_snapshot(_file(tmp_path, **changes))
    assert "x.xsf" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_counts_and_ends_must_agree(tmp_path: Path) -> None:
    text = _file(tmp_path).read_text()
    for change, message in (
        (("3 4 5", "3 4 6"), "'END_DATAGRID_3D', which is no number"),
        (("3 4 5", "3 4 4"), "END_DATAGRID_3D must follow"),
        (("3 4 5", "3 4 0"), "cannot be"),
        (("PRIMCOORD\n  2 1", "PRIMCOORD\n  3 1"), "3 atoms stated, 2 found"),
    ):
        assert change[0] in text
        (tmp_path / "x.xsf").write_text(text.replace(*change))
        with pytest.raises(NearsightError, match=message):
            read_snapshot(tmp_path / "x.xsf")


def test_ase_reads_the_same(tmp_path: Path, blobs: Snapshot) -> None:
    write_snapshot(tmp_path / "x.xsf", blobs)
    with (tmp_path / "x.xsf").open() as stream:
        values, origin, span, atoms = read_xsf(stream, read_data=True)
    assert values.shape == (21, 19, 25)
    np.testing.assert_allclose(values[:-1, :-1, :-1], blobs.density.values, rtol=1e-7)
    np.testing.assert_array_equal(values[-1], values[0])
    np.testing.assert_allclose(span * ANGSTROM, blobs.structure.cell, atol=1e-10)
    np.testing.assert_allclose(atoms.positions * ANGSTROM, blobs.structure.positions, atol=1e-10)
    np.testing.assert_array_equal(origin, 0)
