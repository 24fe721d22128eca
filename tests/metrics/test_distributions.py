import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from nearsight.errors import InputError
from nearsight.metrics.distributions import ks_distances, outside


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), m=st.integers(1, 40), n=st.integers(1, 40), rounded=st.booleans())
def test_ks_agrees_with_scipy(seed, m, n, rounded):
    """Ties included."""
    rng = np.random.default_rng(seed)
    one, two = rng.normal(size=(m, 3)), rng.normal(0.5, 2.0, size=(n, 3))
    if rounded:
        one, two = one.round(), two.round()
    expected = [ks_2samp(a, b).statistic for a, b in zip(one.T, two.T, strict=True)]
    np.testing.assert_allclose(ks_distances(one, two), expected, atol=1e-12)


def test_ks_limits():
    x = np.random.default_rng(0).normal(size=(50, 2))
    np.testing.assert_array_equal(ks_distances(x, x), 0.0)
    np.testing.assert_array_equal(ks_distances(x, x + 100.0), 1.0)


def _samples(rng, n_folds=8, each=250, d=3, shift=0.0):
    fold = np.repeat(np.arange(n_folds), each)
    small, large = rng.normal(size=(len(fold), d)), rng.normal(size=(len(fold), d))
    return small, fold, large + shift, rng.permutation(fold)


def test_like_samples_are_outside_by_chance():
    shares = [outside(*_samples(np.random.default_rng(seed))).share for seed in range(8)]
    # 16,000 points of which 1 % are outside: 160 ± 13 of them, and as much again from the quantiles
    assert 0.006 < np.mean(shares) < 0.014


def test_far_samples_are_outside():
    found = outside(*_samples(np.random.default_rng(0), shift=20.0))
    assert found.share == 1.0
    assert found.large.mean() > 10 * found.small.mean()


def test_distances_leave_the_own_fold_out():
    """Each point has a copy in its own fold, which must not count."""
    rng = np.random.default_rng(1)
    half = rng.normal(size=(60, 2))
    small, fold = np.concatenate([half, half]), np.tile(np.repeat(np.arange(3), 20), 2)
    found = outside(small, fold, half, fold[:60])
    assert found.small.min() > 0
    np.testing.assert_allclose(found.small[:60], found.large)
    direct = np.linalg.norm(small[:, None] - small, axis=2)
    direct[fold[:, None] == fold] = np.inf
    np.testing.assert_allclose(found.small, direct.min(axis=1), rtol=1e-12)
    assert (found.small > found.threshold).mean() == pytest.approx(0.01, abs=0.01)


def test_a_quantile_is_the_chance():
    found = outside(*_samples(np.random.default_rng(2)), quantile=0.9)
    assert found.chance == pytest.approx(0.1)
    assert found.share == pytest.approx(0.1, abs=0.03)


def test_what_cannot_be_compared_is_refused():
    x = np.zeros((4, 2))
    with pytest.raises(InputError, match="compared"):
        ks_distances(x, np.zeros((4, 3)))
    with pytest.raises(InputError, match="compared"):
        ks_distances(x, x[:0])
    with pytest.raises(InputError, match="at least two"):
        outside(x, np.zeros(4), x, np.zeros(4))
    with pytest.raises(InputError, match="must be one of"):
        outside(x, np.arange(4), x, np.full(4, 7))
