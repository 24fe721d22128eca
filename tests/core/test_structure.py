import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from hypothesis import given

from nearsight.errors import StructureError
from nearsight.structure import Structure
from nearsight.units import ANGSTROM

CUBE = 8.0 * np.eye(3)
ORIGIN = np.zeros((1, 3))


@given(...)
def test_fractional_coordinates_give_the_positions_back(structure: Structure) -> None:
    np.testing.assert_allclose(structure.fractional @ structure.cell, structure.positions, atol=1e-12)


@given(...)
def test_heights_are_volume_over_face_area(structure: Structure) -> None:
    a, b, c = structure.cell
    areas = [np.linalg.norm(np.cross(u, v)) for u, v in ((b, c), (c, a), (a, b))]
    np.testing.assert_allclose(structure.heights * areas, structure.volume, rtol=1e-12)


@given(...)
def test_ase_and_back_is_the_identity(structure: Structure) -> None:
    again = Structure.from_ase(structure.to_ase())
    np.testing.assert_allclose(again.cell, structure.cell, rtol=1e-15, atol=1e-15)
    np.testing.assert_allclose(again.positions, structure.positions, rtol=1e-15, atol=1e-15)
    assert (again.numbers == structure.numbers).all()
    assert structure.to_ase().pbc.all()


def test_ase_is_in_angstrom() -> None:
    structure = Structure.from_ase(bulk("Al", a=4.05, cubic=True))
    assert structure.volume == pytest.approx((4.05 * ANGSTROM) ** 3, rel=1e-12)
    assert structure.formula == "Al4"
    assert structure.species == (13,)
    assert "Al4" in repr(structure)


def test_species_are_distinct_and_ascending() -> None:
    water = molecule("H2O", vacuum=3.0)
    assert Structure.from_ase(water).species == (1, 8)
    assert Structure.from_ase(water).n_atoms == 3


def test_a_structure_does_not_share_or_change_its_arrays() -> None:
    cell, positions, numbers = CUBE.copy(), ORIGIN.copy(), np.array([13])
    structure = Structure(cell, positions, numbers)
    before = structure.digest()
    cell[0, 0], positions[0, 0], numbers[0] = 9.0, 1.0, 14
    assert structure.digest() == before
    with pytest.raises(ValueError, match="read-only"):
        structure.positions[0, 0] = 1.0


def test_the_digest_sees_cell_positions_and_numbers() -> None:
    variants = [
        Structure(CUBE, ORIGIN, np.array([13])),
        Structure(CUBE * 1.0001, ORIGIN, np.array([13])),
        Structure(CUBE, ORIGIN + 1e-9, np.array([13])),
        Structure(CUBE, ORIGIN, np.array([14])),
    ]
    assert len({s.digest() for s in variants}) == len(variants)


@pytest.mark.parametrize(
    ("cell", "positions", "numbers", "message"),
    [
        (np.eye(2), ORIGIN, [13], r"shape \(3, 3\)"),
        (CUBE, np.zeros((1, 2)), [13], r"must be \(n, 3\)"),
        (CUBE, np.zeros((2, 3)), [13], r"must be \(n, 3\)"),
        (CUBE, np.zeros((0, 3)), [], "at least one atom"),
        (CUBE, np.array([[0.0, np.nan, 0.0]]), [13], "finite"),
        (np.full((3, 3), np.inf), ORIGIN, [13], "finite"),
        (np.zeros((3, 3)), ORIGIN, [13], "no volume"),
        (np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 0.0, 5.0]]), ORIGIN, [13], "no volume"),
        (CUBE, ORIGIN, [0], "unknown atomic number"),
        (CUBE, ORIGIN, [119], "unknown atomic number"),
    ],
)
def test_what_is_no_structure_is_refused(
    cell: np.ndarray, positions: np.ndarray, numbers: list[int], message: str
) -> None:
    with pytest.raises(StructureError, match=message) as caught:
        Structure(cell, positions, np.array(numbers, dtype=np.int64))
    assert "\n" not in str(caught.value)


def test_a_molecule_without_a_box_is_told_what_to_do() -> None:
    with pytest.raises(StructureError, match=r"atoms\.center\(vacuum=5\)"):
        Structure.from_ase(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]]))


@pytest.mark.parametrize("numbers", [[13.5], [np.nan], ["Al"]])
def test_atomic_numbers_are_whole_numbers(numbers: list) -> None:
    with pytest.raises(StructureError, match="whole numbers"):
        Structure(np.eye(3) * 8, np.zeros((1, 3)), np.array(numbers))
