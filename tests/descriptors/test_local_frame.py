from itertools import product

import numpy as np
import pytest
from ase.build import bulk
from scipy.spatial.transform import Rotation

from nearsight.descriptors import LocalFrame, reference
from nearsight.errors import InputError
from nearsight.grid import UniformGrid
from nearsight.structure import Structure


def operations(structure):
    """Every (W, t) of the space group in fractional coordinates: x → W x + t."""
    fractional = structure.fractional % 1
    metric = structure.cell @ structure.cell.T
    candidates = np.array(list(product((-1, 0, 1), repeat=9))).reshape(-1, 3, 3)
    turned = np.einsum("nji,jk,nkl->nil", candidates, metric, candidates)
    found = []
    for W in candidates[np.abs(turned - metric).max(axis=(1, 2)) < 1e-6 * metric.max()]:
        images = fractional @ W.T
        for target in np.flatnonzero(structure.numbers == structure.numbers[0]):
            shift = fractional[target] - images[0]
            apart = (images + shift)[:, None] - fractional[None]
            same = np.abs(apart - np.round(apart)).max(axis=2) < 1e-6
            if (same & (structure.numbers[:, None] == structure.numbers)).any(axis=1).all():
                found.append((W, shift))
    return found


def carried(shape, W, shift):
    """The flat index of the grid point that each grid point is carried to."""
    ijk = np.stack(np.unravel_index(np.arange(np.prod(shape)), shape), axis=1)
    there = ((ijk / shape) @ W.T + shift) * shape
    assert np.abs(there - np.round(there)).max() < 1e-6, "the grid does not suit the space group"
    return np.ravel_multi_index(tuple((np.round(there).astype(int) % shape).T), shape)


CRYSTALS = {
    # the 12³ grid of the fcc cell holds atoms, bond midpoints, octahedral and tetrahedral holes
    "fcc": (bulk("Al", a=4.05, cubic=True), (12, 12, 12), 192),
    "fcc 2x2x2": (bulk("Al", a=4.05, cubic=True) * (2, 2, 2), (16, 16, 16), 1536),
    "fcc primitive": (bulk("Al", a=4.05), (12, 12, 12), 48),
    "bcc": (bulk("Fe", "bcc", a=2.87, cubic=True), (12, 12, 12), 96),
    "diamond": (bulk("Si", a=5.43, cubic=True), (8, 8, 8), 192),
    "rock salt": (bulk("MgO", "rocksalt", a=4.21, cubic=True), (12, 12, 12), 192),
    "zinc blende": (bulk("GaAs", "zincblende", a=5.65, cubic=True), (8, 8, 8), 96),
    "hcp": (bulk("Mg", "hcp", a=3.21, c=5.21), (12, 12, 8), 24),
    "tetragonal": (bulk("In", "bct", a=3.25, c=4.95), (8, 8, 8), 16),
}


@pytest.mark.parametrize("n_neighbours", [5, 12, 16])
@pytest.mark.parametrize("crystal", CRYSTALS)
def test_a_perfect_crystal_keeps_its_space_group(crystal, n_neighbours):
    """Equivalent points have equal features, special positions included."""
    atoms, shape, order = CRYSTALS[crystal]
    structure = Structure.from_ase(atoms)
    points = UniformGrid(structure.cell, shape).points()
    features = LocalFrame(structure.species, n_neighbours).prepare(structure)(points)
    assert features[:, :3].std() > 0.3
    group = operations(structure)
    assert len(group) == order
    for W, shift in group[:: max(1, order // 192)]:
        assert np.abs(features[carried(shape, W, shift)] - features).max() < 1e-5


def test_a_predicted_density_of_fcc_keeps_its_space_group():
    """Through any network: here a random one."""
    atoms, shape, _ = CRYSTALS["fcc"]
    structure = Structure.from_ase(atoms)
    features = LocalFrame([13], 24).prepare(structure)(UniformGrid(structure.cell, shape).points())
    rng = np.random.default_rng(0)
    hidden = np.tanh(features @ rng.normal(size=(120, 64)) / 10)
    density = hidden @ rng.normal(size=64)
    assert density.std() > 0.1
    for W, shift in operations(structure):
        np.testing.assert_allclose(density[carried(shape, W, shift)], density, atol=1e-5 * density.std())


def test_symmetry_survives_the_rounding_of_a_file():
    """Positions with six decimals: equivalent points still have nearly equal features."""
    atoms, shape, _ = CRYSTALS["fcc"]
    exact = Structure.from_ase(atoms)
    noise = np.random.default_rng(0).uniform(-1e-6, 1e-6, exact.positions.shape)
    rounded = Structure(exact.cell, exact.positions + noise, exact.numbers)
    points = UniformGrid(exact.cell, shape).points()
    one, two = (LocalFrame([13]).prepare(s)(points) for s in (exact, rounded))
    assert np.abs(one - two).max() < 1e-2


@pytest.mark.parametrize("n_neighbours", [1, 2, 3, 7, 16, 24])
@pytest.mark.parametrize("n_atoms", [1, 9])
def test_kernel_agrees_with_the_plain_twin(random_structure, n_neighbours, n_atoms):
    structure = random_structure(n_atoms, (8, 13), seed=n_atoms)
    points = np.concatenate([np.random.default_rng(0).uniform(-20, 20, (40, 3)), structure.positions[:2]])
    descriptor = LocalFrame([8, 13], n_neighbours)
    expected = reference.local_frame(descriptor, structure, points)
    assert np.abs(expected).max() > 1
    found = descriptor.prepare(structure)(points)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("crystal", ["fcc", "rock salt", "hcp"])
def test_kernel_agrees_with_the_plain_twin_at_symmetric_points(crystal):
    atoms, shape, _ = CRYSTALS[crystal]
    structure = Structure.from_ase(atoms)
    points = UniformGrid(structure.cell, shape).points()
    points = points[np.random.default_rng(0).permutation(len(points))[:60]]
    descriptor = LocalFrame(structure.species, 8)
    expected = reference.local_frame(descriptor, structure, points)
    np.testing.assert_allclose(descriptor.prepare(structure)(points), expected, atol=1e-5)


def test_neighbours_come_nearest_first_with_their_numbers(random_structure):
    structure = random_structure(8, (8, 13), seed=5)
    points = np.random.default_rng(0).random((50, 3)) @ structure.cell
    features = LocalFrame([8, 13], 6).prepare(structure)(points).reshape(50, 6, 5)
    distance = np.linalg.norm(features[:, :, :3], axis=2)
    assert (np.diff(distance, axis=1) > -1e-4).all()
    direct = np.linalg.norm(
        structure.positions[None, None]
        - points[:, None, None]
        + (np.array(list(product((-2, -1, 0, 1, 2), repeat=3))) @ structure.cell)[None, :, None],
        axis=3,
    )
    nearest = direct.reshape(50, -1).argsort(axis=1)[:, :6]
    np.testing.assert_allclose(distance, np.sort(direct.reshape(50, -1), axis=1)[:, :6], atol=1e-5)
    np.testing.assert_allclose(features[:, :, 3], distance, atol=1e-5)
    np.testing.assert_array_equal(features[:, :, 4], structure.numbers[nearest % 8])


def test_mirror_images_look_alike(isolated):
    """A density is a true scalar: a chiral arrangement and its mirror image have one description."""
    chiral = np.array(
        [[1.0, 0.2, 0.1], [-0.4, 2.0, 0.5], [0.3, -0.7, 3.0], [2.5, 2.0, -1.5], [-3.0, 1.0, 2.2]]
    )
    middle = np.full((1, 3), 40.0)
    one, two = (
        LocalFrame([13], 4).prepare(isolated(v))(middle) for v in (chiral, chiral * np.array([1, 1, -1]))
    )
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_far_from_all_atoms(isolated):
    """The search grows until it has found enough atoms, images included."""
    structure = isolated(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.4]]), 1, box=25.0)
    points = np.random.default_rng(1).random((40, 3)) * 25.0
    points[:2] = structure.positions
    descriptor = LocalFrame([1], 5)
    expected = reference.local_frame(descriptor, structure, points)
    np.testing.assert_allclose(descriptor.prepare(structure)(points), expected, atol=2e-5)


# -- the discontinuities that docs/descriptors.md names ------------------------------------------


def jump(structure, n_neighbours, point, towards, h=1e-3):
    """Largest change of a feature over a step 2h (bohr) around a point."""
    ends = np.array([point - h * towards, point + h * towards])
    return np.abs(np.diff(LocalFrame([13], n_neighbours).prepare(structure)(ends), axis=0)).max()


def test_jumps_where_the_last_neighbour_is_exchanged(isolated):
    """Third and fourth atoms at equal distances, in different directions; the frame itself holds still."""
    near = np.array([[2.0, 0.3, 0.1], [-0.5, 2.4, 0.6], [0.4, 0.2, 4.0], [4.0, 0.2, 0.4], [-3.0, -4.0, 2.0]])
    middle, towards = np.full(3, 40.0), np.array([1.0, 0.0, -1.0]) / np.sqrt(2)
    assert jump(isolated(near), 3, middle, towards) > 1
    assert jump(isolated(near), 3, middle + 0.3 * towards, towards) < 0.1


def test_jumps_where_a_third_moment_changes_sign(random_structure):
    """Along a line some steps change nothing but the sign of one coordinate of all atoms."""
    structure = random_structure(8, (13,), seed=2)
    line = np.linspace(0, 1, 8001)[:, None] * structure.cell.sum(axis=0)
    seen = LocalFrame([13], 8).prepare(structure)(line).reshape(-1, 8, 5)[:, :, :3]
    moved = np.abs(np.diff(seen, axis=0)).max(axis=1)
    mirrored = np.abs(seen[1:] + seen[:-1]).max(axis=1)
    flipped = (mirrored < 0.05) & (moved > 1)
    others_hold = np.where(flipped, 0.0, moved).max(axis=1) < 0.05
    assert (flipped.sum(axis=1) == 1)[others_hold].sum() > 0


def test_jumps_where_eigenvalues_cross(isolated):
    """Above a rectangle of atoms the axis towards it goes from last to first as the point rises."""
    ring = np.array([[3.0, 0.0, 0.0], [-3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, -2.0, 0.0], [0.0, 0.0, -12.0]])
    heights = np.linspace(0.2, 3.6, 1701)
    points = np.full((len(heights), 3), 40.0)
    points[:, 2] += heights
    features = LocalFrame([13], 4).prepare(isolated(ring))(points).reshape(-1, 4, 5)[:, :, :3]
    depth = np.abs(np.abs(features) - heights[:, None, None]).max(axis=1)
    # at the crossings themselves the axes point to atoms
    clear = depth.min(axis=1) < 1e-4
    assert 0.98 < clear.mean() < 1
    axis = depth[clear].argmin(axis=1)
    assert list(dict.fromkeys(axis)) == [2, 1, 0]
    steps = np.abs(np.diff(features[clear], axis=0)).max(axis=(1, 2))
    assert (steps[np.diff(axis) != 0] > 0.5).all()


def test_continuous_between_the_jumps(random_structure):
    """All but a few steps along a line are short."""
    structure = random_structure(8, (13,), seed=2)
    line = np.linspace(0, 1, 8001)[:, None] * structure.cell.sum(axis=0)
    features = LocalFrame([13], 8).prepare(structure)(line)
    step = np.linalg.norm(line[1] - line[0])
    moved = np.abs(np.diff(features, axis=0)).max(axis=1) / step
    assert (moved > 100).sum() > 5
    assert np.mean(moved > 100) < 0.05


def test_a_tie_at_the_rim_does_not_turn_the_frame(isolated):
    """The weights vanish at the last atom's distance, so that its arrival leaves the axes alone."""
    inner = np.array([[2.0, 0.3, 0.1], [-0.5, 2.4, 0.6], [0.4, 0.2, 3.0]])
    middle = np.full((1, 3), 40.0)
    seen = []
    for shift in (-1e-3, 1e-3):
        outer = np.array([[0.0, 5.0 + shift, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, -8.0]])
        seen.append(LocalFrame([13], 4).prepare(isolated(np.concatenate([inner, outer])))(middle)[0])
    np.testing.assert_allclose(seen[0][:15], seen[1][:15], atol=1e-2)
    assert np.abs(seen[0][15:] - seen[1][15:]).max() > 1


def test_rotation_at_symmetric_points():
    """The frame turns with the crystal where only the choice rules define it."""
    structure = Structure.from_ase(CRYSTALS["fcc"][0])
    edge = structure.cell[0, 0]
    special = edge * np.array(
        [
            [0, 0, 0],
            [0.5, 0.5, 0.5],
            [0.25, 0.25, 0.25],
            [0.25, 0.25, 0],
            [0.1, 0, 0],
            [0.2, 0.2, 0.2],
            [0.1, 0.2, 0.2],
        ]
    )
    R = Rotation.random(random_state=1).as_matrix()
    turned = Structure(structure.cell @ R, structure.positions @ R, structure.numbers)
    one = LocalFrame([13]).prepare(structure)(special)
    two = LocalFrame([13]).prepare(turned)(special @ R)
    np.testing.assert_allclose(one, two, atol=1e-5)


@pytest.mark.parametrize("bad", [0, 201, 2.0, True, "16", None])
def test_bad_settings_are_refused_in_one_line(bad):
    with pytest.raises(InputError, match="n_neighbours"):
        LocalFrame([13], bad)
