"""TwoNN on manifolds whose dimension is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearsight.errors import InputError
from nearsight.metrics.intrinsic_dimension import IntrinsicDimension, two_nn


def dimension(features: np.ndarray, seed: int = 0, n: int = 5000, **kwargs: float) -> IntrinsicDimension:
    return two_nn(features, np.random.default_rng(seed), n, **kwargs)


def flat(seed: int, n: int, d: int, embedded: int = 12) -> np.ndarray:
    """Uniform in a periodic cube of dimension d, so that no point is near an edge, turned in a larger space.

    A torus in 2d dimensions is flat: cos and sin of each coordinate.
    """
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * rng.random((n, d))
    torus = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    return torus @ np.linalg.qr(rng.standard_normal((embedded, embedded)))[0][: 2 * d]


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_uniform_manifolds_in_a_larger_space(d: int) -> None:
    found = dimension(flat(d, 4000, d))
    assert found.n == 4000
    assert found.value == pytest.approx(d, rel=0.08)
    assert found.standard_error == pytest.approx(found.value / np.sqrt(3600))


def test_density_does_not_matter() -> None:
    """A Gaussian of dimension three, whose density spans orders of magnitude."""
    points = np.random.default_rng(0).standard_normal((4000, 3))
    assert dimension(points).value == pytest.approx(3, rel=0.1)


def test_the_error_bar_is_of_the_right_size() -> None:
    values = [dimension(flat(100 + k, 800, 2)) for k in range(30)]
    spread = np.std([v.value for v in values], ddof=1)
    told = np.mean([v.standard_error for v in values])
    assert 0.5 < spread / told < 1.8


def test_censoring_changes_little_where_the_law_holds_and_helps_where_it_fails() -> None:
    clean = flat(3, 4000, 2)
    assert dimension(clean, discard=0.0).value == pytest.approx(dimension(clean).value, rel=0.1)
    # pairs of points that lie far apart from all other pairs: their ratio is huge and says nothing
    rng = np.random.default_rng(1)
    far = 1e6 * rng.standard_normal((60, 12))
    pairs = np.concatenate([far, far + 1e-3 * rng.standard_normal(far.shape)])
    spoiled = np.concatenate([clean, pairs])
    off = [abs(dimension(spoiled, discard=share).value - 2) for share in (0.0, 0.1)]
    assert off[1] < 0.25 * off[0]


@given(seed=st.integers(0, 100), factor=st.floats(1e-3, 1e3))
@settings(max_examples=15, deadline=None)
def test_scale_rotation_and_place_do_not_matter(seed: int, factor: float) -> None:
    points = flat(seed, 200, 2)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((12, 12)))[0]
    moved = dimension(factor * (points @ turn + 3.0))
    assert moved.value == pytest.approx(dimension(points).value, rel=1e-6)


def test_repetitions_count_once() -> None:
    points = flat(5, 1000, 2)
    repeated = np.concatenate([points, points[:700], points[:50]])
    assert dimension(repeated) == dimension(points)
    assert dimension(points).value == pytest.approx(2, rel=0.15)


def test_a_sample_is_settled_by_the_seed() -> None:
    points = flat(6, 3000, 2)
    assert dimension(points, 1, 500) == dimension(points, 1, 500)
    assert dimension(points, 1, 500) != dimension(points, 2, 500)
    assert dimension(points, 1, 500).n == 500


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (np.ones(4), "table"),
        (np.ones((5, 2)), "three different points"),
        (np.array([[0.0], [1.0], [np.nan]]), "not all finite"),
        (np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), "lattice"),
    ],
)
def test_what_has_no_dimension_is_refused(features: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        dimension(features)


def test_a_share_outside_its_range() -> None:
    with pytest.raises(InputError, match="discarded"):
        dimension(flat(0, 50, 1), discard=1.0)
