"""SPARC's densities: which positions belong to them, and the input files beside them."""

from pathlib import Path

import numpy as np
import pytest

from nearsight.errors import FileFormatError, NearsightError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io import read_snapshot
from nearsight.io.agreement import LOWEST_SHARE, explained_share
from nearsight.io.sparc_input import read_sparc_structure
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure


def _row(numbers: np.ndarray, width: int) -> str:
    return " ".join(f"{x:{width}.6f}" for x in numbers)


def _dens(
    path: Path,
    snapshot: Snapshot,
    positions: np.ndarray | None = None,
    values: np.ndarray | None = None,
    conditions: str = "P P P",
) -> Path:
    """A file in the layout of SPARC's ``printDens_cube``: six decimals, lengths in the comment."""
    structure = snapshot.structure
    values = snapshot.density.values if values is None else values
    positions = structure.positions if positions is None else positions
    lengths = np.linalg.norm(structure.cell, axis=1)
    intervals = [n - (kind == "D") for n, kind in zip(values.shape, conditions.split(), strict=True)]
    steps = structure.cell / np.array(intervals)[:, None]
    lines = [
        "Electron density in Cube format printed by SPARC-X (Print time: now)",
        f"Cell length: {_row(lengths, 0)}, boundary condition: {conditions}.",
        f"{structure.n_atoms:5d} {0:11.6f}  {0:11.6f}  {0:11.6f}",
        *(f"{n:5d} {_row(step, 11)}" for n, step in zip(values.shape, steps, strict=True)),
        *(f"{z:5d} {1:11.6f} {_row(p, 11)}" for z, p in zip(structure.numbers, positions, strict=True)),
    ]
    body = "\n".join(f"  {x:.6E}" for x in values.ravel())
    path.write_text("\n".join(lines) + "\n" + body + "\n")
    return path


def _inputs(folder: Path, structure: Structure, *, fractional: bool, scaled: bool) -> None:
    lengths = np.linalg.norm(structure.cell, axis=1)
    vectors = structure.cell / 2 if scaled else 3 * structure.cell  # LATVEC gives directions alone
    factors = np.full(3, 2.0) if scaled else lengths
    rows = "\n".join(" ".join(map(repr, map(float, v))) for v in vectors)
    key = "LATVEC_SCALE" if scaled else "CELL"
    sizes = " ".join(map(repr, map(float, factors)))
    (folder / "x.inpt").write_text(f"# CELL: 1 1 1\n{key}: {sizes}\nLATVEC:\n{rows}\nBC: P P P\n")
    text = ""
    for z, name in ((3, "Li"), (8, "O1")):
        places = (structure.fractional if fractional else structure.positions)[structure.numbers == z]
        rows = "\n".join(" ".join(map(repr, map(float, p))) + "  # an atom" for p in places)
        text += f"ATOM_TYPE: {name}\nN_TYPE_ATOM: {len(places)}\nPSEUDO_POT: x.psp8\n"
        text += f"COORD{'_FRAC' if fractional else ''}:\n{rows}\nRELAX:\n1 1 1\n"
    (folder / "x.ion").write_text(text)


@pytest.fixture
def grouped(blobs: Snapshot) -> Snapshot:
    """`blobs` with its atoms in SPARC's order: by element."""
    order = [0, 1, 3, 2]
    structure = Structure(
        blobs.structure.cell, blobs.structure.positions[order], blobs.structure.numbers[order]
    )
    return Snapshot(structure, blobs.density, 9.0)


def test_share_tells_right_positions_from_wrong_ones(blobs: Snapshot) -> None:
    structure, values = blobs.structure, blobs.density.values
    right = explained_share(structure, values)
    assert right > 0.999
    shifted = Structure(structure.cell, structure.positions + 0.7, structure.numbers)
    assert explained_share(shifted, values) < LOWEST_SHARE
    images = Structure(structure.cell, structure.positions + structure.cell[1], structure.numbers)
    assert explained_share(images, values) == pytest.approx(right)
    exchanged = Structure(structure.cell, structure.positions, structure.numbers[::-1])
    assert explained_share(exchanged, values) < right - 0.05
    assert explained_share(structure, np.ones((4, 5, 6))) == 1.0


def test_lengths_of_the_comment_count(tmp_path: Path, grouped: Snapshot) -> None:
    found = read_snapshot(_dens(tmp_path / "x.dens", grouped))
    assert (found.n_electrons, found.provenance["electron_count_from"]) == (9.0, "integral")
    np.testing.assert_allclose(found.structure.cell, grouped.structure.cell, atol=2e-5)
    np.testing.assert_allclose(
        np.linalg.norm(found.structure.cell, axis=1),
        np.linalg.norm(grouped.structure.cell, axis=1),
        atol=6e-7,
    )
    np.testing.assert_allclose(found.density.values, grouped.density.values, rtol=1e-6)
    assert "notes" not in found.provenance


@pytest.mark.parametrize("fractional", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_input_files_give_all_digits(
    tmp_path: Path, grouped: Snapshot, fractional: bool, scaled: bool
) -> None:
    _inputs(tmp_path, grouped.structure, fractional=fractional, scaled=scaled)
    structure = read_sparc_structure(tmp_path / "x.ion", tmp_path / "x.inpt")
    np.testing.assert_allclose(structure.cell, grouped.structure.cell, atol=1e-12)
    np.testing.assert_allclose(structure.positions, grouped.structure.positions, atol=1e-12)
    found = read_snapshot(_dens(tmp_path / "x.dens", grouped))
    np.testing.assert_array_equal(found.structure.positions, structure.positions)
    assert "notes" not in found.provenance


def test_positions_along_the_vectors_are_put_right(tmp_path: Path, grouped: Snapshot) -> None:
    """What SPARC printed for cells that are not orthogonal before its pull request 154."""
    lengths = np.linalg.norm(grouped.structure.cell, axis=1)
    path = _dens(tmp_path / "x.dens", grouped, positions=grouped.structure.fractional * lengths)
    found = read_snapshot(path)
    np.testing.assert_allclose(found.structure.positions, grouped.structure.positions, atol=1e-5)
    assert "the header misplaces atoms by up to" in found.provenance["notes"][0]
    assert "along the cell vectors" in found.provenance["notes"][0]


def test_positions_come_from_the_input_where_the_header_is_wrong(tmp_path: Path, grouped: Snapshot) -> None:
    wrong = np.random.default_rng(1).uniform(0, 8, (4, 3))
    path = _dens(tmp_path / "x.dens", grouped, positions=wrong)
    with pytest.raises(FileFormatError, match=r"x\.dens: the density does not belong .* put the \.ion and"):
        read_snapshot(path)
    _inputs(tmp_path, grouped.structure, fractional=True, scaled=False)
    found = read_snapshot(path)
    np.testing.assert_allclose(found.structure.positions, grouped.structure.positions, atol=1e-12)
    assert "positions are from x.ion" in found.provenance["notes"][0]


def test_the_input_of_an_earlier_geometry_is_not_believed(tmp_path: Path, grouped: Snapshot) -> None:
    before = Structure(grouped.structure.cell, grouped.structure.positions + 0.4, grouped.structure.numbers)
    _inputs(tmp_path, before, fractional=False, scaled=False)
    found = read_snapshot(_dens(tmp_path / "x.dens", grouped))
    np.testing.assert_allclose(found.structure.positions, grouped.structure.positions, atol=1e-6)
    other = Structure(1.1 * grouped.structure.cell, before.positions, before.numbers)
    _inputs(tmp_path, other, fractional=False, scaled=True)
    found = read_snapshot(tmp_path / "x.dens")
    np.testing.assert_allclose(found.structure.positions, grouped.structure.positions, atol=1e-6)
    assert "x.ion describes another cell" in found.provenance["notes"][0]


def test_a_box_with_both_faces_on_the_grid(tmp_path: Path) -> None:
    cell = np.diag([12.0, 13.0, 14.0])
    structure = Structure(cell, np.array([[6.0, 6.2, 6.9]]), np.array([2]))
    grid = UniformGrid(cell, (24, 26, 28))
    apart = grid.points() - structure.positions[0]
    values = np.exp(-np.einsum("ij,ij->i", apart, apart) / 2).reshape(grid.shape)
    density = ScalarField(grid, values).rescaled(2.0).field
    box = np.pad(density.values, [(0, 1)] * 3)
    path = _dens(tmp_path / "x.dens", Snapshot(structure, density, 2.0), values=box, conditions="D D D")
    found = read_snapshot(path)
    assert found.density.grid.shape == grid.shape
    np.testing.assert_allclose(found.structure.cell, cell, atol=1e-6)
    np.testing.assert_allclose(found.density.values, density.values, rtol=1e-6, atol=1e-12)


def test_what_is_wrong_in_one_line(tmp_path: Path, grouped: Snapshot) -> None:
    text = _dens(tmp_path / "x.dens", grouped).read_text()
    for change, message in (
        (("P P P", "C P P"), "boundary condition 'C P P'"),
        (("Cell length: 9.000000", "Cell length: 9.500000"), "are not those of its grid"),
        (("Cell length: 9.000000", "Cell length: nine"), "cell lengths cannot be read"),
    ):
        (tmp_path / "x.dens").write_text(text.replace(*change))
        with pytest.raises(FileFormatError, match=message):
            read_snapshot(tmp_path / "x.dens")
    (tmp_path / "x.dens").write_text(text)
    _inputs(tmp_path, grouped.structure, fractional=True, scaled=False)
    for name, content, message in (
        ("x.inpt", "BC: P P P\n", r"x\.inpt: no CELL"),
        ("x.ion", "ATOM_TYPE: Li\nN_TYPE_ATOM: 2\nCOORD:\n1 2 3\n", r"x\.ion: its atoms cannot be read"),
        ("x.ion", "ATOM_TYPE: Qq\nN_TYPE_ATOM: 1\nCOORD:\n1 2 3\n", r"x\.ion: its atoms cannot be read"),
        ("x.ion", "PRINT: 1\n", r"x\.ion holds no atoms"),
        ("x.ion", "", r"x\.ion is empty"),
    ):
        _inputs(tmp_path, grouped.structure, fractional=True, scaled=False)
        (tmp_path / name).write_text(content)
        with pytest.raises(NearsightError, match=message):
            read_snapshot(tmp_path / "x.dens")
