"""Scores of a normal prediction against SciPy and against integrals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm, spearmanr

from nearsight.errors import InputError
from nearsight.metrics.bootstrap import draws, mean_interval, percentile_interval
from nearsight.metrics.proper_scores import gaussian_crps, gaussian_nll
from nearsight.metrics.ranking import (
    Ranking,
    correlation_of,
    deciles,
    ideal_rank_correlation,
    rank_correlation,
)

sizes = st.floats(1e-3, 1e3)


@given(st.floats(-50, 50), sizes)
@settings(max_examples=50, deadline=None)
def test_nll_is_scipys(error: float, sigma: float) -> None:
    found = gaussian_nll(np.array([error]), np.array([sigma]))
    assert found[0] == pytest.approx(-norm.logpdf(error, scale=sigma), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("error", [0.0, 0.3, -1.7, 4.0])
@pytest.mark.parametrize("sigma", [0.2, 1.0, 3.0])
def test_crps_is_its_integral(error: float, sigma: float) -> None:
    def square(x: float) -> float:
        return float((norm.cdf(x, scale=sigma) - (x >= error)) ** 2)

    span = 12 * sigma + abs(error)
    parts = quad(square, -span, error, limit=200), quad(square, error, span, limit=200)
    found = gaussian_crps(np.array([error]), np.array([sigma]))
    assert found[0] == pytest.approx(sum(value for value, _ in parts), rel=1e-6)


@given(st.floats(-10, 10))
def test_crps_of_a_certain_prediction_is_the_error(error: float) -> None:
    found = gaussian_crps(np.array([error, error]), np.array([0.0, 1e-9]))
    np.testing.assert_allclose(found, abs(error), atol=1e-9)


@pytest.mark.parametrize("score", [gaussian_nll, gaussian_crps])
def test_the_true_sigma_scores_best(score) -> None:
    errors = 0.4 * norm.ppf((np.arange(4000) + 0.5) / 4000)
    widths = np.linspace(0.2, 0.8, 61)
    means = [score(errors, np.full(4000, width)).mean() for width in widths]
    assert widths[int(np.argmin(means))] == pytest.approx(0.4, abs=0.011)


def test_rank_correlation_is_scipys() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    y = np.round(x + rng.normal(size=300), 1)  # with ties
    assert rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic)
    assert np.isnan(rank_correlation(np.ones(5), y[:5]))


def test_a_weight_is_a_repetition() -> None:
    rng = np.random.default_rng(0)
    x, y, times = np.round(rng.normal(size=50), 1), rng.normal(size=50), rng.integers(0, 4, 50)
    found = correlation_of(Ranking(x), Ranking(y), times.astype(float))
    assert found == pytest.approx(spearmanr(np.repeat(x, times), np.repeat(y, times)).statistic)


def test_a_wider_spread_of_sigma_can_rank_better() -> None:
    rng = np.random.default_rng(0)
    found = [ideal_rank_correlation(np.exp(s * rng.normal(size=5000)), rng) for s in (0.1, 0.5, 2.0)]
    assert 0.0 < found[0] < 0.15 < found[1] < found[2] < 1.0


def test_deciles_part_the_points_by_sigma() -> None:
    sigma = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))
    found = deciles(sigma, -sigma)
    assert found.sigma == found.error == tuple(10.0 * k + 5.5 for k in range(10))
    assert found.rises
    assert not deciles(sigma, 1 / sigma).rises
    assert len(deciles(sigma[:4], sigma[:4]).sigma) == 4


def test_the_interval_of_a_mean_has_the_width_of_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=200)
    low, high = mean_interval(values, np.random.default_rng(1), resamples=4000) or (0.0, 0.0)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(200), rel=0.08)


@given(st.integers(2, 30), st.floats(-5, 5), st.floats(0.1, 10))
@settings(max_examples=20, deadline=None)
def test_the_interval_moves_with_the_values(n: int, shift: float, factor: float) -> None:
    values = np.random.default_rng(n).normal(size=n)
    one = mean_interval(values, np.random.default_rng(0), resamples=50)
    other = mean_interval(shift + factor * values, np.random.default_rng(0), resamples=50)
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(other, shift + factor * np.array(one), atol=1e-9)


def test_resamples_are_whole_snapshots() -> None:
    which = draws(4, np.random.default_rng(0), 1000)
    assert which.shape == (1000, 4)
    assert set(np.unique(which)) == {0, 1, 2, 3}
    assert mean_interval(np.ones(1), np.random.default_rng(0)) is None
    assert percentile_interval(np.arange(101.0), 0.9) == pytest.approx((5.0, 95.0))
    with pytest.raises(InputError, match="snapshots and resamples"):
        draws(0, np.random.default_rng(0))
