from itertools import product

import numpy as np
import pytest
from ase.build import bulk, molecule
from hypothesis import assume, given
from hypothesis import strategies as st

from nearsight.errors import InputError, StructureError
from nearsight.neighbours import CellList, closest_pair, require_separated_atoms
from nearsight.structure import Structure

#: fractional coordinates of a point, inside the cell or not
POINTS = st.tuples(*[st.floats(-2.5, 2.5)] * 3)
#: shorter than a bin, and longer than the cell
CUTOFFS = st.floats(0.5, 12.0)


def brute_force(structure: Structure, point: np.ndarray, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and atoms within the cut-off, by trying every image that could be."""
    reach = np.ceil(cutoff / structure.heights).astype(int) + 4
    shifts = np.array(list(product(*(range(-n, n + 1) for n in reach))))
    vectors = (structure.positions[:, None] + shifts @ structure.cell - point).reshape(-1, 3)
    atoms = np.repeat(np.arange(structure.n_atoms), len(shifts))
    distance = np.linalg.norm(vectors, axis=1)
    assume((np.abs(distance - cutoff) > 1e-9).all())  # in or out by rounding
    near = distance < cutoff
    return vectors[near], atoms[near]


def in_order(vectors: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """Rows (atom, vector) in an order that rounding does not change."""
    rows = np.column_stack([atoms, vectors])
    return rows[np.lexsort(rows.round(6).T)]


def with_bins(cells: CellList, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same through the bins, as the kernels walk them: those that the sphere's box touches."""
    centre = (cells.wrap(point[None]) @ cells.inverse)[0]
    # the bins begin at −margin, and the sphere reaches one margin to either side
    low = np.clip((centre / cells.bin_width).astype(int), 0, cells.n_bins - 1)
    high = np.clip(((centre + 2 * cells.margin) / cells.bin_width).astype(int), 0, cells.n_bins - 1)
    images = [
        np.arange(cells.bin_start[b], cells.bin_start[b + 1])
        for ijk in product(*(range(lo, hi + 1) for lo, hi in zip(low, high, strict=True)))
        for b in [np.ravel_multi_index(ijk, tuple(cells.n_bins))]
    ]
    found = np.concatenate(images)
    vectors = cells.positions[found] - cells.wrap(point[None])[0]
    near = np.linalg.norm(vectors, axis=1) < cells.cutoff
    return vectors[near], cells.atom[found][near]


# -- the list -------------------------------------------------------------------------------


@given(structure=..., fractional=POINTS, cutoff=CUTOFFS)
def test_the_list_finds_what_brute_force_finds(
    structure: Structure, fractional: tuple[float, float, float], cutoff: float
) -> None:
    point = np.array(fractional) @ structure.cell
    expected = in_order(*brute_force(structure, point, cutoff))
    cells = CellList.build(structure, cutoff)
    vectors, atoms = cells.within(point)
    np.testing.assert_allclose(in_order(vectors, atoms), expected, atol=1e-9)
    assert (np.diff(np.linalg.norm(vectors, axis=1)) >= 0).all()
    np.testing.assert_allclose(in_order(*with_bins(cells, point)), expected, atol=1e-9)


@given(structure=..., cutoff=CUTOFFS, bin_size=st.none() | st.floats(0.4, 5.0))
def test_every_image_lies_in_its_bin(structure: Structure, cutoff: float, bin_size: float | None) -> None:
    cells = CellList.build(structure, cutoff, bin_size)
    assert cells.bin_start[0] == 0
    assert cells.bin_start[-1] == len(cells.positions) == len(cells.atom)
    counts = np.diff(cells.bin_start)
    assert (counts >= 0).all()
    assert len(counts) == cells.n_bins.prod()
    bins = np.stack(np.unravel_index(np.repeat(np.arange(len(counts)), counts), tuple(cells.n_bins)), axis=1)
    inside = (cells.positions @ cells.inverse + cells.margin) / cells.bin_width - bins
    assert (inside > -1e-6).all()
    assert (inside < 1 + 1e-6).all()


@given(structure=..., cutoff=CUTOFFS)
def test_images_are_their_atoms_moved_by_lattice_vectors(structure: Structure, cutoff: float) -> None:
    cells = CellList.build(structure, cutoff)
    assert set(cells.atom.tolist()) == set(range(structure.n_atoms))
    shifts = (cells.positions - structure.positions[cells.atom]) @ cells.inverse
    np.testing.assert_allclose(shifts, shifts.round(), atol=1e-9)


@given(structure=..., fractional=POINTS)
def test_wrapping_moves_by_lattice_vectors_into_the_cell(
    structure: Structure, fractional: tuple[float, float, float]
) -> None:
    cells = CellList.build(structure, 2.0)
    point = np.array(fractional) @ structure.cell
    wrapped = cells.wrap(point[None])[0]
    inside = wrapped @ cells.inverse
    assert (inside > -1e-12).all()
    assert (inside < 1 + 1e-12).all()
    shift = (point - wrapped) @ cells.inverse
    np.testing.assert_allclose(shift, shift.round(), atol=1e-9)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1e-17, -1e-16, 1 - 1e-16, 2.0])
def test_an_atom_on_a_face_of_the_cell_is_counted_once(fraction: float) -> None:
    cell = np.array([[5.0, 0.0, 0.0], [1.0, 6.0, 0.0], [0.5, -1.0, 7.0]])
    structure = Structure(cell, np.array([[fraction, 0.5, fraction]]) @ cell, np.array([13]))
    cells = CellList.build(structure, 4.0)
    for offset in ([0.0, 0.0, 0.0], [0.3, -0.2, 0.1], [-0.3, 0.2, -0.1], [5.0, 0.0, 0.0]):
        vectors, atoms = cells.within(structure.positions[0] + np.array(offset))
        expected = 0.0 if offset[0] == 5.0 else np.linalg.norm(offset)
        assert atoms.tolist() == [0]
        assert np.linalg.norm(vectors[0]) == pytest.approx(expected, abs=1e-12)


def test_neighbours_in_fcc_come_in_their_shells() -> None:
    """12 at a/√2, 6 at a, 24 at a√1.5, from a primitive cell smaller than the cut-off."""
    structure = Structure.from_ase(bulk("Al", a=4.05))
    a = float(np.sqrt(2) * np.linalg.norm(structure.cell[0]))
    vectors, atoms = CellList.build(structure, 1.3 * a).within(structure.positions[0])
    distance, count = np.unique((np.linalg.norm(vectors, axis=1) / a).round(6), return_counts=True)
    np.testing.assert_allclose(distance, [0, np.sqrt(0.5), 1, np.sqrt(1.5)], atol=1e-6)
    assert count.tolist() == [1, 12, 6, 24]
    assert (atoms == 0).all()


@pytest.mark.parametrize("cutoff", [0.0, -1.0, np.nan, np.inf])
def test_what_is_no_cutoff_is_refused(cutoff: float) -> None:
    with pytest.raises(InputError, match="positive number of bohr"):
        CellList.build(Structure(8 * np.eye(3), np.zeros((1, 3)), np.array([13])), cutoff)


# -- closest atoms --------------------------------------------------------------------------


@given(structure=..., within=st.floats(0.5, 9.0))
def test_the_closest_pair_is_that_of_brute_force(structure: Structure, within: float) -> None:
    distances = []
    for i, position in enumerate(structure.positions):
        vectors, atoms = brute_force(structure, position, within)
        away = np.linalg.norm(vectors, axis=1)
        distances += [(d, i, int(j)) for d, j in zip(away, atoms, strict=True) if j != i or d > 1e-6]
    found = closest_pair(structure, within)
    if not distances:
        assert found is None
    else:
        assert found is not None
        assert found[0] == pytest.approx(min(distances)[0], abs=1e-9)
        assert any(abs(d - found[0]) < 1e-9 and (i, j) == found[1:] for d, i, j in distances)


def pair_in_a_box(separation: float, number: int = 1) -> Structure:
    positions = np.array([[7.9, 4.0, 4.0], [7.9 + separation, 4.0, 4.0]])
    return Structure(8.0 * np.eye(3), positions, np.array([number, number]))


@pytest.mark.parametrize("separation", [0.0, 0.3, 0.79])
def test_atoms_on_top_of_each_other_are_named(separation: float) -> None:
    """Across the cell's face, and at the very same place."""
    with pytest.raises(StructureError, match=rf"atoms 0 and 1 of H2 are {separation:.3f} bohr apart"):
        require_separated_atoms(pair_in_a_box(separation))


def test_several_atoms_at_one_place_are_named_as_different_atoms() -> None:
    structure = Structure(8 * np.eye(3), np.full((4, 3), 1.5), np.full(4, 13))
    pair = closest_pair(structure)
    assert pair is not None
    assert pair[0] == pytest.approx(0, abs=1e-12)
    assert pair[1] != pair[2]


def test_an_atom_may_lie_on_its_own_image() -> None:
    cell = np.array([[0.5, 0.0, 0.0], [0.1, 6.0, 0.0], [0.0, 0.4, 7.0]])
    structure = Structure(cell, np.array([[0.2, 3.0, 9.0]]), np.array([1]))
    assert closest_pair(structure) == (pytest.approx(0.5), 0, 0)
    with pytest.raises(StructureError, match=r"atoms 0 and 0 of H are 0\.500 bohr apart"):
        require_separated_atoms(structure)


def test_a_structure_in_angstrom_taken_for_bohr_is_noticed() -> None:
    water = molecule("H2O", vacuum=3.0)
    right = Structure.from_ase(water)
    require_separated_atoms(right)
    wrong = Structure(right.cell / 2.2, right.positions / 2.5, right.numbers)
    with pytest.raises(StructureError, match=r"units \(Å\)"):
        require_separated_atoms(wrong)


def test_ordinary_matter_is_let_through() -> None:
    for atoms in (
        bulk("Al", a=4.05),
        bulk("C", a=3.57),
        molecule("H2", vacuum=4.0),
        molecule("H2O", vacuum=4.0),
    ):
        require_separated_atoms(Structure.from_ase(atoms))
    assert closest_pair(pair_in_a_box(3.0)) is None
    pair = closest_pair(Structure.from_ase(molecule("H2", vacuum=4.0)))
    assert pair is not None
    assert pair[0] == pytest.approx(1.40, abs=0.02)
