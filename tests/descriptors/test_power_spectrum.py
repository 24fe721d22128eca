import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.special import eval_legendre

from nearsight.descriptors import PowerSpectrum, reference
from nearsight.errors import InputError
from nearsight.structure import Structure

MIDDLE = np.array([[40.0, 40.0, 40.0]])


def radial(descriptor, vectors):
    """f_n and |v| of atoms at the given vectors."""
    r = np.linalg.norm(np.atleast_2d(vectors), axis=1)
    return reference.radial_functions(descriptor, r), r / np.hypot(r, descriptor.softening)


@pytest.mark.parametrize(
    "descriptor",
    [
        PowerSpectrum([13]),
        PowerSpectrum([8, 13]),
        PowerSpectrum([1, 8, 13], cutoff=6.0, channels=(5, 3, 4, 1), cross="full"),
        PowerSpectrum([8, 13], cutoff=5.0, channels=(1,), cross="none"),
        PowerSpectrum([13], cutoff=14.0, channels=(2,) * 13, softening=0.3, stretch=8.0),
    ],
    ids=repr,
)
@pytest.mark.parametrize("n_atoms", [1, 9])
def test_kernel_agrees_with_the_plain_twin(random_structure, descriptor, n_atoms):
    structure = random_structure(n_atoms, descriptor.species, seed=n_atoms)
    points = np.concatenate([np.random.default_rng(0).uniform(-20, 20, (21, 3)), structure.positions[:2]])
    expected = reference.power_spectrum(descriptor, structure, points)
    found = descriptor.prepare(structure)(points)
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(r=st.floats(0.0, 8.9), seed=st.integers(0, 1000))
def test_one_neighbour_obeys_the_addition_theorem(isolated, r, seed):
    """With one atom, p_nn'l = f_n f_n' |v|^2l whatever its direction, and c_n00 = f_n."""
    descriptor = PowerSpectrum([13], channels=(3, 3, 2, 4, 2))
    direction = Rotation.random(random_state=seed).as_matrix()[0]
    found = descriptor.prepare(isolated(r * direction))(MIDDLE)[0]
    f, v = radial(descriptor, r * direction)
    expected = list(f[:3, 0])
    for ell, k in ((1, 3), (2, 2), (3, 4), (4, 2)):
        expected += [f[n, 0] * f[m, 0] * v[0] ** (2 * ell) for n in range(k) for m in range(n, k)]
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_two_neighbours_add_a_legendre_polynomial_of_their_angle(isolated):
    descriptor = PowerSpectrum([13], channels=(1, 1, 1, 1, 1, 1))
    for angle in (0.0, 0.4, 1.3, np.pi / 2, 2.8, np.pi):
        pair = np.array([[0.0, 0.0, 4.0], [5.0 * np.sin(angle), 0.0, 5.0 * np.cos(angle)]])
        found = descriptor.prepare(isolated(pair))(MIDDLE)[0]
        f, v = radial(descriptor, pair)
        for ell in range(1, 6):
            own = ((f[0] * v**ell) ** 2).sum()
            both = 2 * np.prod(f[0] * v**ell) * eval_legendre(ell, np.cos(angle))
            assert found[ell] == pytest.approx(own + both, abs=1e-5)


def test_linear_terms_add_up_over_atoms(random_structure):
    descriptor = PowerSpectrum([8, 13], channels=(6, 2))
    structure = random_structure(6, (8, 13), seed=4)
    points = np.random.default_rng(1).random((30, 3)) @ structure.cell
    single = [
        Structure(structure.cell, structure.positions[i : i + 1], structure.numbers[i : i + 1])
        for i in range(6)
    ]
    whole = descriptor.prepare(structure)(points)[:, :12]
    parts = sum(descriptor.prepare(atom)(points)[:, :12] for atom in single)
    assert np.abs(whole).max() > 1
    np.testing.assert_allclose(whole, parts, atol=1e-5)


@pytest.mark.parametrize("place", ["cutoff", "nucleus", "between"])
def test_smooth_in_the_position(isolated, place):
    """No jump of the second derivative: at the cut-off, through a nucleus, and elsewhere.

    Finite differences need double precision, so the twin's features are taken; the kernel's equal them.
    """
    descriptor = PowerSpectrum([13], channels=(4, 4, 4))
    structure = isolated(np.array([[0.0, 0.0, 0.0], [3.0, 1.0, -2.0]]))
    centre = {"cutoff": [0.0, 0.0, -9.0], "nucleus": [0.0, 0.0, 0.0], "between": [1.0, 0.2, -0.7]}[place]
    towards = np.array([0.48, 0.6, 0.64])
    seconds = []
    for h in (1e-2, 5e-3):
        line = MIDDLE + centre + h * np.arange(-3, 4)[:, None] * towards
        f = reference.power_spectrum(descriptor, structure, line)
        second = (f[2:] - 2 * f[1:-1] + f[:-2]) / h**2
        seconds.append(np.abs(np.diff(second, axis=0)).max())
    # the jump of a continuous second derivative vanishes with the step
    assert seconds[1] < 0.6 * seconds[0] + 1e-6
    assert seconds[0] < 0.5


def test_nothing_beyond_the_cutoff_counts(isolated):
    descriptor = PowerSpectrum([13], cutoff=6.0)
    assert np.abs(descriptor.prepare(isolated([0.0, 0.0, 5.5]))(MIDDLE)).max() > 1e-4
    assert np.abs(descriptor.prepare(isolated([0.0, 0.0, 6.01]))(MIDDLE)).max() == 0


def test_no_jumps_along_a_line(random_structure):
    """Where the local frame jumps, the power spectrum moves with the point."""
    structure = random_structure(8, (13,), seed=2)
    line = np.linspace(0, 1, 4001)[:, None] * structure.cell.sum(axis=0)
    features = PowerSpectrum([13]).prepare(structure)(line)
    step = np.abs(np.diff(features, axis=0)).max()
    travelled = np.abs(features.max(axis=0) - features.min(axis=0)).max()
    assert travelled > 1
    assert step < 0.01 * travelled


def test_tells_species_apart(isolated):
    """An atom's element decides which of two otherwise equal sets of features it feeds."""
    descriptor = PowerSpectrum([8, 13], channels=(6, 6, 6, 6))
    both = [descriptor.prepare(isolated([1.0, 2.0, 2.0], z))(MIDDLE)[0] for z in (8, 13)]
    one = PowerSpectrum([13], channels=(6, 6, 6, 6)).prepare(isolated([1.0, 2.0, 2.0], 13))(MIDDLE)[0]
    assert np.abs(one).max() > 0.1
    np.testing.assert_array_equal(both[0][:6], one[:6])
    np.testing.assert_array_equal(both[0][6:12], 0)
    np.testing.assert_array_equal(both[1][6:12], one[:6])
    np.testing.assert_array_equal(both[1][-63:], one[6:])


@pytest.mark.parametrize(
    ("species", "cross", "expected"),
    [
        ([13], "full", 6 + 3 * 21),
        ([8, 13], "none", 12 + 3 * 42),
        ([8, 13], "diagonal", 12 + 3 * (42 + 6)),
        ([8, 13], "full", 12 + 3 * (42 + 36)),
        ([24, 26, 27, 28], "diagonal", 24 + 3 * (84 + 36)),
        ([24, 26, 27, 28], "full", 24 + 3 * (84 + 216)),
    ],
)
def test_feature_count(species, cross, expected):
    descriptor = PowerSpectrum(species, channels=(6, 6, 6, 6), cross=cross)
    assert descriptor.n_features == expected


def test_redundant_features_are_left_out(random_structure):
    """No two features of a generic structure are the same."""
    descriptor = PowerSpectrum([8, 13], cross="full")
    structure = random_structure(8, (8, 13), seed=3)
    features = descriptor.prepare(structure)(np.random.default_rng(0).random((400, 3)) @ structure.cell)
    correlation = np.corrcoef(features.T) - np.eye(descriptor.n_features)
    assert np.abs(correlation).max() < 1 - 1e-6


@pytest.mark.parametrize(
    "bad",
    [
        {"species": []},
        {"species": [0]},
        {"species": [13.5]},
        {"species": 13},
        {"cutoff": 0.0},
        {"cutoff": float("nan")},
        {"cutoff": "9"},
        {"softening": -1.0},
        {"stretch": True},
        {"channels": ()},
        {"channels": (6, 0)},
        {"channels": 6},
        {"channels": (1,) * 14},
        {"cross": "both"},
    ],
)
def test_bad_settings_are_refused_in_one_line(bad):
    with pytest.raises(InputError) as caught:
        PowerSpectrum(**{"species": [13], **bad})
    assert "\n" not in str(caught.value)
