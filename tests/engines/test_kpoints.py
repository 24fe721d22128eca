"""Wave vectors and crystal symmetry."""

import numpy as np
import pytest
from ase.build import bulk, graphene
from hypothesis import given
from hypothesis import strategies as st

from nearsight.engines.kpoints import KPoints, KSampling, k_points_text
from nearsight.engines.symmetry import Symmetry
from nearsight.errors import InputError
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

FCC = Structure.from_ase(bulk("Al", "fcc", a=4.05))
DIAMOND = Structure.from_ase(bulk("Si", "diamond", a=5.43))
HCP = Structure.from_ase(bulk("Mg", "hcp", a=3.21, c=5.21))
SHAPE = (12, 12, 12)
SKEWED = Structure(
    np.array([[5.4, 0.0, 0.0], [2.7, 4.8, 0.0], [0.3, 0.2, 8.9]]),
    np.array([[0.1, 0.0, 0.2], [2.9, 1.8, 4.3]]),
    np.array([13, 14]),
)


def plane_waves(structure, points, steps):
    """Σ_k w_k cos(k·T) for lattice vectors T: 1 for the zero vector, 0 for the others of a full mesh."""
    phases = np.cos(2 * np.pi * points.fractional @ steps.T)
    return points.weights @ phases


@pytest.mark.parametrize("mesh", [(2, 2, 2), (3, 3, 3), (4, 3, 2)])
def test_time_reversal_keeps_the_sums_over_the_mesh(mesh):
    points = KSampling(mesh=mesh).points(SKEWED, UniformGrid(SKEWED.cell, SHAPE))
    assert points.symmetry is None
    assert len(points) < np.prod(mesh) or mesh == (2, 2, 2)
    assert points.weights.sum() == pytest.approx(1)
    steps = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, -1, 1], list(mesh)])
    expected = [1, 0, 0, 0, 0, 1]
    np.testing.assert_allclose(plane_waves(SKEWED, points, steps), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("structure", "mesh", "n_irreducible"),
    [(FCC, (4, 4, 4), 8), (DIAMOND, (4, 4, 4), 8), (HCP, (4, 4, 2), 8), (FCC, (2, 2, 2), 3)],
)
def test_irreducible_points_of_known_crystals(structure, mesh, n_irreducible):
    points = KSampling(mesh=mesh).points(structure, UniformGrid(structure.cell, SHAPE))
    assert len(points) == n_irreducible
    assert points.symmetry is not None


def test_a_grid_without_the_symmetry_leaves_none_that_it_cannot_follow():
    """A cubic cell on an 8×8×6 grid loses the threefold axes."""
    cubic = Structure.from_ase(bulk("Al", "fcc", a=4.05, cubic=True))
    whole = Symmetry.of(cubic, UniformGrid(cubic.cell, (8, 8, 8)))
    part = Symmetry.of(cubic, UniformGrid(cubic.cell, (8, 8, 6)))
    assert whole is not None
    assert part is not None
    assert (len(whole.rotations), len(part.rotations)) == (48, 16)
    assert Symmetry.of(SKEWED, UniformGrid(SKEWED.cell, SHAPE)) is None


def test_a_mesh_without_the_symmetry_keeps_a_subgroup():
    cubic = Structure.from_ase(bulk("Al", "fcc", a=4.05, cubic=True))
    points = KSampling(mesh=(3, 3, 2)).points(cubic, UniformGrid(cubic.cell, (8, 8, 8)))
    assert points.symmetry is not None
    assert len(points.symmetry.rotations) == 16


def test_a_supercell_has_one_operation_for_each_rotation():
    supercell = Structure.from_ase(bulk("Al", "fcc", a=4.05, cubic=True).repeat(2))
    symmetry = Symmetry.of(supercell, UniformGrid(supercell.cell, (16, 16, 16)))
    assert symmetry is not None
    assert len(symmetry.rotations) == 48


@pytest.mark.parametrize("structure", [DIAMOND, HCP], ids=["diamond", "hcp"])
def test_symmetrised_density_is_symmetric_and_keeps_its_integral(structure):
    """Half the screw axes of these crystals need their translations."""
    symmetry = Symmetry.of(structure, UniformGrid(structure.cell, SHAPE))
    assert symmetry is not None
    assert np.abs(symmetry.translations).max() > 0.1
    values = np.random.default_rng(0).normal(size=SHAPE)
    once = symmetry.symmetrise(values)
    np.testing.assert_allclose(symmetry.symmetrise(once), once, atol=1e-12)
    assert once.sum() == pytest.approx(values.sum())
    assert once.std() < 0.5 * values.std()
    assert once.std() > 0.01


def test_atoms_own_density_is_already_symmetric():
    """Gaussians on the atoms do not change."""
    grid = UniformGrid(DIAMOND.cell, (16, 16, 16))
    points = np.indices(grid.shape).reshape(3, -1).T / np.array(grid.shape)
    values = np.zeros(len(points))
    for atom in DIAMOND.fractional:
        apart = points - atom
        apart = (apart - np.rint(apart))[:, None] + np.indices((3, 3, 3)).reshape(3, -1).T - 1
        values += np.exp(-0.8 * ((apart @ DIAMOND.cell) ** 2).sum(-1)).sum(1)
    symmetry = Symmetry.of(DIAMOND, grid)
    assert symmetry is not None
    values = values.reshape(grid.shape)
    np.testing.assert_allclose(symmetry.symmetrise(values), values, atol=1e-8)


def test_forces_of_a_symmetric_displacement_survive():
    """Diamond strained along [111] by its inner displacement: the force is along [111], opposite on both."""
    direction = np.ones(3) / np.sqrt(3)
    moved = Structure(DIAMOND.cell, DIAMOND.positions + np.outer([0.05, -0.05], direction), DIAMOND.numbers)
    symmetry = Symmetry.of(moved, UniformGrid(moved.cell, SHAPE))
    assert symmetry is not None
    assert len(symmetry.rotations) == 12
    forces = np.outer([1.0, -1.0], direction)
    np.testing.assert_allclose(symmetry.symmetrise_forces(forces), forces, atol=1e-8)
    noise = np.random.default_rng(1).normal(size=(2, 3))
    found = symmetry.symmetrise_forces(forces + noise)
    np.testing.assert_allclose(np.cross(found, direction), 0, atol=1e-8)
    np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-8)


def test_symmetrised_tensor_is_isotropic_in_a_cubic_crystal():
    tensor = np.random.default_rng(2).normal(size=(3, 3))
    symmetry = Symmetry.of(DIAMOND, UniformGrid(DIAMOND.cell, SHAPE))
    assert symmetry is not None
    expected = np.trace(tensor) / 3 * np.eye(3)
    np.testing.assert_allclose(symmetry.symmetrise_tensor(tensor), expected, atol=1e-8)


def test_points_with_real_functions():
    points = KPoints(np.array([[0, 0, 0], [0.5, 0, 0.5], [0.25, 0, 0]]), np.ones(3) / 3)
    np.testing.assert_array_equal(points.is_real, [True, True, False])
    assert KPoints.gamma().is_gamma
    assert not points.is_gamma


@given(st.floats(0.05, 1.5))
def test_a_spacing_gives_points_no_further_apart(spacing):
    sheet = Structure.from_ase(graphene(vacuum=8.0))
    mesh = KSampling(mesh=None, spacing=spacing).mesh_for(sheet.cell)
    lengths = np.linalg.norm(2 * np.pi * np.linalg.inv(sheet.cell), axis=0)
    assert (lengths / mesh <= spacing * (1 + 1e-6)).all()


@pytest.mark.parametrize(
    ("value", "fingerprint"),
    [
        ("gamma", "gamma"),
        (None, "gamma"),
        ([1, 1, 1], "gamma"),
        ([2, 3, 1], [2, 3, 1]),
        ({"spacing": 0.25}, {"spacing": 0.25}),
    ],
)
def test_settings_go_round(value, fingerprint):
    sampling = KSampling.from_setting(value)
    assert sampling.fingerprint() == fingerprint
    assert KSampling.from_setting(sampling.fingerprint()) == sampling


@pytest.mark.parametrize("value", ["dense", [2, 2], [2, 0, 2], [1.5, 1, 1], {"mesh": 3}, -0.1, 0.25, 3, True])
def test_settings_that_make_no_sense(value):
    with pytest.raises(InputError, match="k_points"):
        KSampling.from_setting(value)


def test_settings_in_words():
    found = [k_points_text(value) for value in (None, "gamma", [2, 3, 1], {"spacing": 0.27})]
    assert found == ["gamma", "gamma", "2×3×1", "every 0.27/bohr"]
