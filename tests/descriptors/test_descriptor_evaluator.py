import numpy as np
import pytest
from ase.build import bulk

from nearsight.descriptors import DESCRIPTORS, LocalFrame, PowerSpectrum, descriptor_from_settings, evaluate
from nearsight.descriptors.evaluator import check_species, species_index
from nearsight.descriptors.kernels import LANES, Bins, block_end, count_blocks, gather
from nearsight.errors import InputError, UnknownElementError, UnknownNameError
from nearsight.grid import UniformGrid
from nearsight.neighbours import CellList
from nearsight.structure import Structure


@pytest.fixture(name="aluminium", scope="module")
def aluminium_fixture():
    atoms = bulk("Al", a=4.05, cubic=True) * (2, 2, 2)
    atoms.rattle(0.1, seed=1)
    return Structure.from_ase(atoms)


@pytest.mark.parametrize("n_atoms", [1, 10])
@pytest.mark.parametrize("cutoff", [3.0, 9.0, 20.0])
def test_gather_finds_every_neighbour_of_a_block(random_structure, n_atoms, cutoff):
    structure = random_structure(n_atoms, (13,), seed=7)
    cells = CellList.build(structure, cutoff)
    grid = UniformGrid(structure.cell, (20, 20, 20))
    for start in (0, 333, 7990):
        points = cells.wrap(grid.points(start, start + LANES))
        count, found = gather(points, 0, len(points), Bins.of(cells), np.empty(8, dtype=np.int64))
        listed = set(found[:count].tolist())
        assert len(listed) == count
        assert (np.diff(found[:count]) > 0).all()
        for point in points:
            near = np.flatnonzero(np.linalg.norm(cells.positions - point, axis=1) < cutoff)
            assert set(near.tolist()) <= listed
            assert len(near) == len(cells.within(point)[0])


def test_blocks_end_where_points_are_far_apart():
    points = np.zeros((3 * LANES, 3))
    points[:, 2] = 0.1 * np.arange(3 * LANES)
    assert block_end(points, 0, 5.0) == LANES
    points[5:, 0] = 100.0
    assert block_end(points, 0, 5.0) == 5
    assert count_blocks(points, 5.0) == 4


@pytest.mark.parametrize("descriptor", [PowerSpectrum([13]), LocalFrame([13], 12)], ids=["power", "frame"])
def test_order_and_threads_do_not_matter(aluminium, descriptor):
    grid = UniformGrid(aluminium.cell, (16, 16, 16))
    points = grid.points()
    evaluator = descriptor.prepare(aluminium)
    expected = evaluator(points)
    scale = np.abs(expected).max()
    shuffled = np.random.default_rng(0).permutation(len(points))
    assert np.abs(evaluator(points[shuffled]) - expected[shuffled]).max() < 1e-5 * scale
    assert np.abs(evaluate(evaluator, points, threads=2) - expected).max() < 1e-5 * scale
    pieces = [evaluator(points[a : a + 1000]) for a in range(0, len(points), 1000)]
    assert np.abs(np.concatenate(pieces) - expected).max() < 1e-5 * scale


def test_the_same_call_gives_the_same_bits(aluminium):
    points = UniformGrid(aluminium.cell, (13, 14, 15)).points()
    one, two = (PowerSpectrum([13]).prepare(aluminium)(points) for _ in range(2))
    assert one.tobytes() == two.tobytes()


def test_a_thread_count_is_positive(aluminium):
    with pytest.raises(InputError, match="thread count"):
        evaluate(PowerSpectrum([13]).prepare(aluminium), np.zeros((1, 3)), threads=0)


def test_a_foreign_element_is_named(aluminium):
    with pytest.raises(UnknownElementError, match="holds Al, which a descriptor for H, O cannot describe"):
        PowerSpectrum([1, 8]).prepare(aluminium)


def test_species_are_sorted_and_indexed(random_structure):
    assert check_species([13, 1, 8, 8]) == (1, 8, 13)
    structure = random_structure(6, (8, 13), seed=0)
    index = species_index(structure, (1, 8, 13))
    np.testing.assert_array_equal(np.array([1, 8, 13])[index], structure.numbers)


@pytest.mark.parametrize(
    "descriptor",
    [PowerSpectrum([8, 13], cutoff=7, channels=(3, 2), cross="full"), LocalFrame([13], 9)],
    ids=repr,
)
def test_settings_round_trip(descriptor):
    assert descriptor_from_settings(descriptor.settings()) == descriptor
    assert descriptor.name in DESCRIPTORS


def test_settings_may_leave_out_what_has_a_default():
    assert descriptor_from_settings({"name": "local_frame", "species": [13]}) == LocalFrame([13])


@pytest.mark.parametrize(
    ("stored", "error", "message"),
    [
        ({}, InputError, "need a name"),
        ({"name": "bispectrum", "species": [13]}, UnknownNameError, "unknown descriptor 'bispectrum'"),
        ({"name": "power_spectrum"}, InputError, "species is missing"),
        ({"name": "power_spectrum", "species": [13], "cut": 9}, InputError, "unknown setting cut"),
        ({"name": "power_spectrum", "species": [13], "cutoff": "far"}, InputError, "cutoff"),
        ({"name": "local_frame", "species": ["Al"]}, InputError, "atomic numbers"),
    ],
)
def test_bad_stored_settings_are_refused(stored, error, message):
    with pytest.raises(error, match=message) as caught:
        descriptor_from_settings(stored)
    assert "\n" not in str(caught.value)
