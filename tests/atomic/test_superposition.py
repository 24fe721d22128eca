"""Superposition: its plain twin, charge, the symmetries of space, blocks and threads."""

import numpy as np
import pytest
from ase.build import bulk
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from nearsight.atomic.lookup import LookupTable
from nearsight.atomic.radial import RadialDensity
from nearsight.atomic.reference import superpose_at_plain
from nearsight.atomic.superposition import Superposition, superpose, superpose_at
from nearsight.errors import GridMismatchError, InputError, UnknownElementError
from nearsight.grid import UniformGrid
from nearsight.structure import Structure


def table(number: int, n_electrons: float, width: float, cutoff: float) -> RadialDensity:
    """A Gaussian brought to zero with two derivatives at the cut-off."""
    r = np.linspace(0, cutoff, 601)
    rho = np.exp(-((r / width) ** 2)) * (1 - (r / cutoff) ** 2) ** 3
    charge = RadialDensity(number, r, rho, n_electrons, {}).integrate()
    return RadialDensity(number, r, rho * n_electrons / charge, n_electrons, {})


TABLES = {8: table(8, 6.0, 1.1, 4.0), 13: table(13, 3.0, 2.0, 6.5)}
SKEWED = np.array([[6.0, 0.3, -0.2], [2.5, 5.0, 0.6], [-0.5, 2.0, 7.0]])


@st.composite
def structures(draw: st.DrawFn) -> Structure:
    """Cells of any shape and hand, some smaller than the cut-offs, atoms anywhere."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    scale = draw(st.floats(2.5, 12.0))
    cell = scale * (np.eye(3) + draw(st.floats(0, 0.45)) * rng.uniform(-1, 1, (3, 3)))
    if draw(st.booleans()):
        cell = cell[[1, 0, 2]]
    n = draw(st.integers(1, 4))
    return Structure(cell, rng.uniform(-1.5, 2.5, (n, 3)) @ cell, rng.choice([8, 13], n))


# -- the lookup table -------------------------------------------------------------------------


@pytest.mark.parametrize("knots", ["even", "uneven"])
def test_lookup_reproduces_the_spline(knots: str) -> None:
    r = np.linspace(0, 1, 150) if knots == "even" else np.linspace(0, 1, 150) ** 2
    source = RadialDensity(6, 5 * r, np.exp(-6 * r**2) * (1 - r) ** 2 * (1 + 40 * r**2), 4.0, {})
    lookup = LookupTable.build([TABLES[8], source])
    at = np.random.default_rng(0).uniform(0, 5, 20_000)
    t = at * lookup.inverse_step[1]
    rows = lookup.coefficients[lookup.start[1] + t.astype(int)]
    found = (rows * (t % 1)[:, None] ** np.arange(4)).sum(axis=1)
    assert source.rho.max() > 0.5
    np.testing.assert_allclose(found, source(at), atol=1e-8)


def test_species_are_kept_apart_by_a_row_of_zeros() -> None:
    lookup = LookupTable.build([TABLES[8], TABLES[13]])
    np.testing.assert_array_equal(lookup.coefficients[lookup.start[1] - 1], 0)
    np.testing.assert_array_equal(lookup.coefficients[-1], 0)
    assert lookup.coefficients[lookup.start[1], 0] > 0.01


# -- against the plain twin -------------------------------------------------------------------


@given(structure=structures(), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_points_and_grid_equal_the_plain_twin(structure: Structure, seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = UniformGrid(structure.cell, tuple(rng.integers(1, 9, 3)))
    expected = superpose_at_plain(structure, grid.points(), TABLES)
    assume(expected.max() > 1e-6)  # a point near an atom: nothing else would be compared
    np.testing.assert_allclose(superpose(structure, grid, TABLES).values.ravel(), expected, atol=2e-8)
    loose = rng.uniform(-2, 3, (20, 3)) @ structure.cell
    expected = superpose_at_plain(structure, loose, TABLES)
    np.testing.assert_allclose(superpose_at(structure, loose, TABLES), expected, atol=2e-8)


def test_one_atom_in_a_large_box_is_its_table() -> None:
    structure = Structure(np.eye(3) * 30, [[3.0, 4.0, 5.0]], [13])
    r = np.linspace(0, 7.5, 400)
    direction = np.array([0.6, -0.48, 0.64])
    found = superpose_at(structure, [3.0, 4.0, 5.0] + r[:, None] * direction, TABLES)
    np.testing.assert_allclose(found, TABLES[13](r), atol=1e-9)
    assert (found[r > 6.5] == 0).all()
    at_the_edge = superpose_at(structure, np.array([[3.0 + 6.5, 4.0, 5.0], [3.0, 4.0, 5.0 - 6.5]]), TABLES)
    np.testing.assert_allclose(at_the_edge, 0, atol=1e-12)


# -- charge -----------------------------------------------------------------------------------


def test_grid_sum_converges_to_the_electron_count() -> None:
    rng = np.random.default_rng(1)
    structure = Structure(SKEWED, rng.uniform(0, 1, (3, 3)) @ SKEWED, [8, 13, 8])
    errors = [
        abs(superpose(structure, UniformGrid(SKEWED, (n, n, n)), TABLES).integrate() - 15.0)
        for n in (4, 8, 16, 32)
    ]
    assert Superposition(structure, TABLES).n_electrons == 15.0
    assert errors[0] > 1e-3
    assert errors[1] < 0.1 * errors[0]
    assert errors[3] < 1e-6


# -- symmetries -------------------------------------------------------------------------------


def random_structure(seed: int, cell: np.ndarray = SKEWED, n: int = 4) -> Structure:
    rng = np.random.default_rng(seed)
    return Structure(cell, rng.uniform(0, 1, (n, 3)) @ cell, rng.choice([8, 13], n))


def moved(structure: Structure, shift: np.ndarray) -> Structure:
    return Structure(structure.cell, structure.positions + shift, structure.numbers)


def test_translation_by_a_grid_vector_rolls_the_field() -> None:
    structure, grid = random_structure(2), UniformGrid(SKEWED, (9, 10, 12))
    shift = np.array([2 / 9, -3 / 10, 17 / 12]) @ SKEWED
    before, after = (superpose(s, grid, TABLES).values for s in (structure, moved(structure, shift)))
    assert before.std() > 1e-3
    np.testing.assert_allclose(after, np.roll(before, (2, -3, 17), axis=(0, 1, 2)), atol=1e-9)


@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_rotation_of_everything_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    structure, turn = random_structure(seed), Rotation.random(random_state=seed).as_matrix()
    turned = Structure(structure.cell @ turn.T, structure.positions @ turn.T, structure.numbers)
    points = rng.uniform(-1, 2, (30, 3)) @ SKEWED
    before, after = superpose_at(structure, points, TABLES), superpose_at(turned, points @ turn.T, TABLES)
    assume(before.max() > 1e-6)
    np.testing.assert_allclose(after, before, atol=1e-9)


def test_lattice_vectors_and_order_of_atoms_do_not_matter() -> None:
    structure, grid = random_structure(3), UniformGrid(SKEWED, (8, 9, 10))
    rng = np.random.default_rng(0)
    order = rng.permutation(structure.n_atoms)
    far = structure.positions + rng.integers(-5, 6, (structure.n_atoms, 3)) @ SKEWED
    other = Structure(SKEWED, far[order], structure.numbers[order])
    np.testing.assert_allclose(
        superpose(other, grid, TABLES).values, superpose(structure, grid, TABLES).values, atol=1e-9
    )


def test_supercell_tiles_the_field() -> None:
    structure = random_structure(4)
    repeat = np.array([2, 1, 3])
    shifts = np.array([(i, 0, k) for i in range(2) for k in range(3)]) @ SKEWED
    big = Structure(
        repeat[:, None] * SKEWED,
        (structure.positions + shifts[:, None]).reshape(-1, 3),
        np.tile(structure.numbers, len(shifts)),
    )
    small_field = superpose(structure, UniformGrid(SKEWED, (6, 7, 8)), TABLES)
    big_field = superpose(big, UniformGrid(big.cell, (12, 7, 24)), TABLES)
    assert small_field.values.std() > 1e-3
    np.testing.assert_allclose(big_field.values, np.tile(small_field.values, repeat), atol=1e-9)


def test_same_lattice_in_another_cell_gives_the_same_density() -> None:
    structure = random_structure(5)
    other_cell = np.array([[1, 0, 0], [1, 1, 0], [-2, 1, 1]]) @ SKEWED
    other = Structure(other_cell, structure.positions, structure.numbers)
    points = np.random.default_rng(0).uniform(-1, 2, (50, 3)) @ SKEWED
    np.testing.assert_allclose(
        superpose_at(other, points, TABLES), superpose_at(structure, points, TABLES), atol=1e-9
    )


def test_cubic_crystal_keeps_its_point_group() -> None:
    structure = Structure.from_ase(bulk("Al", cubic=True))
    values = superpose(structure, UniformGrid(structure.cell, (16, 16, 16)), TABLES).values
    assert values.std() > 1e-3
    for other in (values.transpose(1, 2, 0), values.transpose(1, 0, 2), np.roll(values[::-1], 1, axis=0)):
        np.testing.assert_allclose(other, values, atol=1e-9)


def test_atoms_add_up() -> None:
    structure, grid = random_structure(6), UniformGrid(SKEWED, (8, 8, 8))
    parts = [
        superpose(Structure(SKEWED, [position], [number]), grid, TABLES).values
        for position, number in zip(structure.positions, structure.numbers, strict=True)
    ]
    np.testing.assert_allclose(sum(parts), superpose(structure, grid, TABLES).values, atol=1e-12)


# -- use --------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [2, 3, 50])
def test_threads_change_no_bit(threads: int) -> None:
    structure, grid = random_structure(7, n=9), UniformGrid(SKEWED, (11, 7, 8))
    ready = Superposition(structure, TABLES)
    np.testing.assert_array_equal(ready.on_grid(grid, threads=threads).values, ready.on_grid(grid).values)
    np.testing.assert_array_equal(ready.at(grid.points(), threads=threads), ready.at(grid.points()))


def test_blocks_join_to_the_whole() -> None:
    structure, grid = random_structure(8), UniformGrid(SKEWED, (6, 7, 8))
    ready = Superposition(structure, TABLES)
    blocks = [ready.at(grid.points(start, start + 50)) for start in range(0, grid.n_points, 50)]
    np.testing.assert_allclose(np.concatenate(blocks), ready.on_grid(grid).values.ravel(), atol=1e-12)
    assert ready.at(np.empty((0, 3))).shape == (0,)


def test_missing_table_is_one_clear_error() -> None:
    structure = Structure(SKEWED, [[0.0, 0, 0], [3.0, 2, 1]], [13, 29])
    with pytest.raises(UnknownElementError, match=r"no atomic density for Cu in AlCu .*known: O, Al"):
        superpose_at(structure, np.zeros((1, 3)), TABLES)


def test_foreign_grid_and_misshapen_points_are_refused() -> None:
    structure = random_structure(9)
    with pytest.raises(GridMismatchError, match="cell"):
        superpose(structure, UniformGrid(1.01 * SKEWED, (5, 5, 5)), TABLES)
    with pytest.raises(InputError, match=r"\(m, 3\)"):
        superpose_at(structure, np.zeros(3), TABLES)
    with pytest.raises(InputError, match="thread"):
        Superposition(structure, TABLES).at(np.zeros((1, 3)), threads=0)
