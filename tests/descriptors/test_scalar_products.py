import numpy as np
import pytest
from ase.build import bulk, molecule
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nearsight.descriptors import ScalarProducts, descriptor_from_settings
from nearsight.descriptors.conformance import check_descriptor
from nearsight.descriptors.kernels_products import FADE, window
from nearsight.descriptors.reference_products import scalar_products as twin
from nearsight.errors import InputError
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

CRYSTALS = {
    "fcc": (bulk("Al", a=4.05, cubic=True), (12, 12, 12)),
    "diamond": (bulk("Si", a=5.43, cubic=True), (8, 8, 8)),
    "rock salt": (bulk("MgO", "rocksalt", a=4.21, cubic=True), (12, 12, 12)),
    "hcp": (bulk("Mg", "hcp", a=3.21, c=5.21), (12, 12, 8)),
}


@pytest.mark.parametrize(
    "descriptor",
    [
        ScalarProducts([13]),
        ScalarProducts([1, 8], 24, 0),
        ScalarProducts([1, 8], 6, 6, 12, cutoff=6.0),
        ScalarProducts([24, 26, 27, 28], 5, 3, 2, cutoff=9.0, softening=0.5),
    ],
    ids=repr,
)
def test_conforms(descriptor):
    check_descriptor(descriptor)


@pytest.mark.parametrize("counts", [(1, 1, 1), (3, 0, 1), (8, 3, 4), (16, 16, 2)])
@pytest.mark.parametrize(("n_atoms", "cutoff", "softening"), [(1, 12.0, 0.0), (9, 12.0, 0.7), (9, 5.0, 0.0)])
def test_kernel_agrees_with_the_plain_twin(random_structure, counts, n_atoms, cutoff, softening):
    structure = random_structure(n_atoms, (8, 13), seed=n_atoms)
    points = np.concatenate([np.random.default_rng(0).uniform(-20, 20, (25, 3)), structure.positions[:2]])
    descriptor = ScalarProducts([8, 13], *counts, cutoff=cutoff, softening=softening)
    expected = twin(descriptor, structure, points)
    assert np.abs(expected).max() > 1
    found = descriptor.prepare(structure)(points)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_kernel_agrees_with_the_plain_twin_at_symmetric_points(crystal):
    """Cut shells of atoms, and of neighbours of atoms, everywhere."""
    atoms, shape = CRYSTALS[crystal]
    structure = Structure.from_ase(atoms)
    points = UniformGrid(structure.cell, shape).points()
    points = points[np.random.default_rng(0).permutation(len(points))[:40]]
    descriptor = ScalarProducts(structure.species, 7, 5, 4)
    expected = twin(descriptor, structure, points)
    np.testing.assert_allclose(descriptor.prepare(structure)(points), expected, atol=2e-4)


@pytest.mark.parametrize("counts", [(5, 2, 5), (16, 7, 4)])
@pytest.mark.parametrize("crystal", CRYSTALS)
def test_a_perfect_crystal_keeps_its_point_group(crystal, counts):
    """Points equivalent by an axis or mirror through an atom have equal features, special ones included."""
    atoms, shape = CRYSTALS[crystal]
    structure = Structure.from_ase(atoms)
    points = UniformGrid(structure.cell, shape).points()
    # the basal mirror of hcp, else the threefold axis of a cube's diagonal
    operation = np.diag([1.0, 1.0, -1.0]) if crystal == "hcp" else np.eye(3)[[1, 2, 0]]
    centre = structure.positions[0]
    features = ScalarProducts(structure.species, *counts).prepare(structure)
    one, two = features(points), features((points - centre) @ operation.T + centre)
    assert one.std(axis=0).max() > 0.1
    np.testing.assert_allclose(one, two, atol=1e-4)


def test_distances_are_the_nearest_ones(random_structure):
    structure = random_structure(8, (8, 13), seed=5)
    points = np.random.default_rng(0).random((40, 3)) @ structure.cell
    features = ScalarProducts([8, 13], 6, 2, 2).prepare(structure)(points)
    shifts = np.array(np.meshgrid(*[(-2, -1, 0, 1, 2)] * 3)).reshape(3, -1).T @ structure.cell
    for number, columns in ((8, slice(0, 6)), (13, slice(6, 12))):
        images = (structure.positions[structure.numbers == number] + shifts[:, None]).reshape(-1, 3)
        direct = np.sort(np.linalg.norm(images - points[:, None], axis=2), axis=1)[:, :6]
        np.testing.assert_allclose(features[:, columns], np.minimum(direct, 12.0), atol=1e-5)


def test_cosines_of_a_dimer(isolated):
    """Two atoms: from any point the one cosine is that of the angle under which they are seen."""
    structure = isolated(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]]))
    middle = np.full(3, 40.0)
    points = middle + np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [3.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    features = ScalarProducts([13], 2, 2, 1).prepare(structure)(points)
    root = np.sqrt(2)
    np.testing.assert_allclose(features[:, :2], [[root, root], [1, 1], [3, np.sqrt(13)], [1, 3]], atol=1e-6)
    expected = [0.0, -1.0, 3 / np.sqrt(13), 1.0]
    np.testing.assert_allclose(features[:, 2:], np.repeat(expected, 2).reshape(4, 2), atol=1e-6)


def test_partners_are_near_the_atom_and_not_near_the_point(isolated):
    """k = 1: the partner of the nearest atom is that atom's neighbour, though another is nearer the point."""
    structure = isolated(np.array([[2.0, 0.0, 0.0], [4.0, 0.0, 0.0], [-3.0, 0.0, 0.0]]))
    features = ScalarProducts([13], 3, 1, 1).prepare(structure)(np.full((1, 3), 40.0))
    np.testing.assert_allclose(features[0], [2, 3, 4, 1.0], atol=1e-6)


def test_an_absent_species_reads_as_one_at_the_cut_off(isolated):
    water = Structure.from_ase(molecule("H2O", vacuum=6.0, pbc=True))
    points = water.positions.mean(axis=0) + np.random.default_rng(0).normal(size=(20, 3))
    small, large = ScalarProducts([1, 8], 2, 2, 2), ScalarProducts([1, 8, 13], 2, 2, 2)
    features = large.prepare(water)(points)
    np.testing.assert_array_equal(features[:, 4:6], large.cutoff)
    names = large.feature_names
    with_al = np.array(["Al" in name for name in names])
    np.testing.assert_array_equal(features[:, with_al & (np.arange(len(names)) >= 6)], 0.0)
    np.testing.assert_allclose(features[:, ~with_al], small.prepare(water)(points), atol=1e-6)


def test_nothing_jumps_where_the_last_atom_of_a_species_leaves():
    """Al goes away from the point, to the cut-off and beyond, and ends as an absent species does."""
    descriptor = ScalarProducts([1, 13], 2, 2, 2, cutoff=6.0)
    point, cell = np.full((1, 3), 40.0), np.eye(3) * 80.0
    hydrogen = [[41.0, 40.0, 40.0], [38.0, 40.5, 40.0]]

    def described(positions, numbers):
        return descriptor.prepare(Structure(cell, np.array(positions), numbers))(point)[0]

    features = np.array(
        [described([*hydrogen, [40.0, 40.0 + d, 40.0]], [1, 1, 13]) for d in np.linspace(2.0, 7.0, 101)]
    )
    alone = described(hydrogen, [1, 1])
    np.testing.assert_allclose(features[-1], alone, atol=1e-6)
    assert np.abs(features[0] - alone).max() > 1
    assert np.abs(np.diff(features, axis=0)).max() < 0.1


@pytest.mark.parametrize("softening", [0.3, 1.0])
def test_softened_cosines_are_smooth_on_top_of_an_atom(random_structure, softening):
    structure = random_structure(6, (13,), seed=2)
    descriptor = ScalarProducts([13], 3, 1, 3, softening=softening)
    line = structure.positions[0] + np.linspace(-1e-2, 1e-2, 41)[:, None] * np.array([0.6, 0.0, 0.8])
    cosine = descriptor.prepare(structure)(line)[:, 3:]
    assert np.abs(np.diff(cosine, axis=0)).max() < 1e-3 / softening
    bare = ScalarProducts([13], 3, 1, 3).prepare(structure)(line)[:, 3:]
    assert np.abs(np.diff(bare, axis=0)).max() > 0.1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 12))
def test_distances_are_continuous(seed, n):
    """A point moved by h moves no distance by more than h: sorting keeps that."""
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(6, 10, 3))
    positions = rng.random((3, 3)) @ cell
    apart = positions[:, None] - positions
    apart -= np.round(apart @ np.linalg.inv(cell)) @ cell
    assume(np.linalg.norm(apart, axis=2)[np.triu_indices(3, 1)].min() > 1.0)
    structure = Structure(cell, positions, [13, 13, 1])
    evaluator = ScalarProducts([1, 13], n, 0, cutoff=7.0).prepare(structure)
    points, step = rng.random((20, 3)) @ cell, rng.normal(scale=0.05, size=(20, 3))
    moved = np.abs(evaluator(points + step) - evaluator(points)).max(axis=1)
    assert (moved <= np.linalg.norm(step, axis=1) + 1e-5).all()


@settings(max_examples=30, deadline=None)
@given(x=st.floats(0, 12), cutoff=st.floats(3, 12))
def test_the_window_falls_from_one_to_zero(x, cutoff):
    w = window(x, cutoff)
    assert 0 <= w <= 1
    assert w == (1 if x <= cutoff - FADE else w)
    assert w == (0 if x >= cutoff else w)
    assert w >= window(x + 0.1, cutoff) - 1e-12


def test_feature_names_and_groups():
    descriptor = ScalarProducts([8, 13], 4, 2, 3)
    assert descriptor.n_features == 2 * 4 + 4 * 2 * 3
    assert len(set(descriptor.feature_names)) == descriptor.n_features
    groups = descriptor.feature_groups
    assert [len(columns) for columns in groups.values()] == [8, 24]
    assert all("cosine" in descriptor.feature_names[i] for i in groups["cosines"])
    assert list(ScalarProducts([8], 4, 0).feature_groups) == ["distances"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_neighbours": 0}, "n_neighbours is a whole number from 1"),
        ({"n_neighbours": 4, "n_angular": 5}, "cannot exceed"),
        ({"n_angular": -1}, "n_angular is a whole number from 0"),
        ({"n_partners": True}, "n_partners"),
        ({"cutoff": 0.0}, "cutoff is at least 1 bohr"),
        ({"softening": -0.1}, "softening is at least 0 bohr"),
    ],
)
def test_settings_without_sense_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        descriptor_from_settings({"name": "scalar_products", "species": [13], **wrong})
