"""Figures of a calibration: what is known of perfect ones, merging, intervals, and bad input."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearsight.errors import InputError
from nearsight.metrics.calibration import (
    LEVELS,
    SAMPLE,
    CalibrationSummary,
    Means,
    SnapshotSummary,
    summarise,
)

NORMAL = (0.682689, 0.954500, 0.997300)


def drawn(seed: int, n: int = 20_000, scale: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, ...]:
    """Normal errors, and the σ they were drawn with times 1/scale, in two parts."""
    rng = np.random.default_rng(seed)
    aleatoric, epistemic = np.exp(rng.normal(-3, 0.5, n)), np.exp(rng.normal(-4, 1.0, n))
    errors = rng.normal(size=n) * np.hypot(aleatoric, epistemic) * scale + shift
    return errors, aleatoric, epistemic


def summaries(numbers: range, **how: float) -> list[SnapshotSummary]:
    return [summarise(k, *drawn(k, **how)) for k in numbers]  # type: ignore[arg-type]


def test_a_perfect_calibration_has_the_figures_of_a_normal() -> None:
    found = CalibrationSummary(summaries(range(5)))
    n = 5 * 20_000
    means = found.means
    for share, nominal in zip((means.coverage_1, means.coverage_2, means.coverage_3), NORMAL, strict=True):
        assert share == pytest.approx(nominal, abs=4 * np.sqrt(nominal * (1 - nominal) / n))
    np.testing.assert_allclose(found.reliability, LEVELS, atol=4 * 0.5 / np.sqrt(n))
    assert 0 < found.calibration_error < 0.003
    assert means.rms_sigma == pytest.approx(means.rms_error, rel=0.02)
    rank, ideal = found.ranks()
    assert 0.2 < ideal < 0.9
    assert rank / ideal == pytest.approx(1.0, abs=0.02)
    assert found.deciles.rises
    # mean |e| of a normal is √(2/π) σ
    np.testing.assert_allclose(
        found.deciles.error, np.sqrt(2 / np.pi) * np.array(found.deciles.sigma), rtol=0.05
    )


def test_too_small_a_sigma_covers_too_little() -> None:
    found = CalibrationSummary(summaries(range(2), scale=2.0))
    assert found.means.coverage_1 == pytest.approx(0.3829, abs=0.01)  # half a σ of a normal
    assert found.calibration_error > 0.2
    rank, ideal = found.ranks()
    assert rank / ideal == pytest.approx(1.0, abs=0.03), "ranks do not see a common factor"


def test_a_sigma_that_knows_nothing_is_found_out() -> None:
    rng = np.random.default_rng(0)
    sigma = np.exp(rng.normal(size=20_000))
    found = CalibrationSummary([summarise(0, rng.normal(size=20_000), sigma, 0 * sigma)])
    rank, ideal = found.ranks()
    assert abs(rank) < 0.03
    assert ideal > 0.4


def test_every_figure_is_that_of_its_formula() -> None:
    errors, aleatoric, epistemic = drawn(0, n=500)
    means = summarise(0, errors, aleatoric, epistemic).means
    sigma = np.sqrt(aleatoric**2 + epistemic**2)
    assert means.mean_sigma == pytest.approx(sigma.mean())
    assert means.rms_sigma == pytest.approx(np.sqrt((sigma**2).mean()))
    assert means.coverage_2 == np.mean(np.abs(errors) <= 2 * sigma)
    assert (means.mean_aleatoric, means.mean_epistemic) == pytest.approx((aleatoric.mean(), epistemic.mean()))


def test_the_shape_of_the_arrays_is_nothing() -> None:
    parts = drawn(0, n=24)
    flat = summarise(3, *parts)
    cube = summarise(3, *(part.reshape(2, 3, 4) for part in parts))
    assert flat.means == cube.means
    np.testing.assert_array_equal(flat.sigma, cube.sigma)


@given(st.integers(0, 100), st.floats(1e-3, 1e3))
@settings(max_examples=10, deadline=None)
def test_another_unit_changes_scores_as_it_must(seed: int, unit: float) -> None:
    parts = drawn(seed, n=400)
    one = CalibrationSummary([summarise(0, *parts)])
    other = CalibrationSummary([summarise(0, *(unit * part for part in parts))])
    a, b = one.means, other.means
    assert b.crps == pytest.approx(unit * a.crps)
    assert b.mean_sigma == pytest.approx(unit * a.mean_sigma)
    assert b.nll == pytest.approx(a.nll + np.log(unit))
    assert b.coverage_1 == pytest.approx(a.coverage_1, abs=1 / 400)
    np.testing.assert_allclose(one.ranks(), other.ranks(), atol=1e-3)


@given(st.integers(0, 100), st.floats(1.0, 4.0))
@settings(max_examples=10, deadline=None)
def test_a_wider_sigma_covers_no_less(seed: int, wider: float) -> None:
    errors, aleatoric, epistemic = drawn(seed, n=300)
    narrow = summarise(0, errors, aleatoric, epistemic)
    wide = summarise(0, errors, wider * aleatoric, wider * epistemic)
    assert (wide.inside >= narrow.inside).all()
    assert wide.means.coverage_3 >= narrow.means.coverage_3
    assert (np.diff(wide.inside) >= 0).all()


@given(st.permutations(range(5)), st.integers(1, 4))
@settings(max_examples=3, deadline=None)
def test_merged_summaries_are_the_summary_of_all(order: list[int], cut: int) -> None:
    every = {k: summarise(k, *drawn(k, n=200 + 10 * k)) for k in range(5)}
    whole = CalibrationSummary(every.values())
    parts = [CalibrationSummary([every[k] for k in part]) for part in (order[:cut], order[cut:])]
    merged = parts[0].merged(parts[1])
    assert merged.figures(seed=3) == whole.figures(seed=3)
    assert merged.intervals(seed=3) == whole.intervals(seed=3)


def test_snapshots_count_equally() -> None:
    small, large = summarise(0, *drawn(0, n=100)), summarise(1, *drawn(1, n=10_000, scale=3.0))
    both = CalibrationSummary([large, small])
    mean = 0.5 * (small.means.coverage_1 + large.means.coverage_1)
    assert both.means.coverage_1 == pytest.approx(mean)
    sigma, _ = both.sample()
    assert len(sigma) == 2 * 100
    assert len(large.sigma) == SAMPLE


def test_intervals_are_over_snapshots_not_points() -> None:
    """Snapshots that err together: points would give an interval far too narrow."""
    rng = np.random.default_rng(0)
    n, shifts = 2000, rng.normal(0, 0.1, 8)
    found = CalibrationSummary(
        summarise(k, *drawn(k, n=n, shift=float(shift))) for k, shift in enumerate(shifts)
    )
    low, high = found.intervals()["coverage_1"] or (np.nan, np.nan)
    share = found.means.coverage_1
    assert low < share < high
    over_points = 2 * 1.96 * np.sqrt(share * (1 - share) / (n * len(shifts)))
    assert high - low > 5 * over_points


def test_intervals_hold_the_figures_and_are_repeatable() -> None:
    found = CalibrationSummary(summaries(range(4), n=1000))
    intervals, figures = found.intervals(seed=1), found.figures(seed=1)
    assert set(intervals) == {f.name for f in fields(Means)} | {
        "calibration_error",
        "rank_correlation",
        "ideal_rank_correlation",
        "rank_correlation_ratio",
    }
    for name in ("coverage_2", "nll", "crps", "mean_sigma", "rms_error", "rank_correlation"):
        low, high = intervals[name] or (np.nan, np.nan)
        assert low <= figures[name] <= high
        assert low < high
    assert found.intervals(seed=1) == intervals
    assert found.intervals(seed=2) != intervals


def test_one_snapshot_has_no_interval() -> None:
    found = CalibrationSummary(summaries(range(1), n=500))
    assert set(found.intervals().values()) == {None}


def test_points_without_sigma_are_counted_and_covered_only_where_exact() -> None:
    errors = np.array([0.0, 0.3, 0.1, -0.2])
    sigma = np.array([0.0, 0.0, 0.2, 0.2])
    found = summarise(0, errors, sigma, np.zeros(4))
    assert found.n_certain == 2
    assert found.means.coverage_3 == 0.75
    assert np.isfinite(found.means.nll)
    none = CalibrationSummary([summarise(0, errors, np.zeros(4), np.zeros(4))])
    assert np.isnan(none.means.nll)
    assert np.isnan(none.figures()["rank_correlation_ratio"])
    assert none.means.crps == pytest.approx(np.abs(errors).mean())


def test_bad_input_is_named() -> None:
    one = np.ones(3)
    with pytest.raises(InputError, match="one of each"):
        summarise(0, one, one, np.ones(4))
    with pytest.raises(InputError, match="at least one point"):
        summarise(0, *(np.empty(0),) * 3)
    with pytest.raises(InputError, match="finite"):
        summarise(0, one * np.nan, one, one)
    with pytest.raises(InputError, match="negative"):
        summarise(0, one, -one, one)
    with pytest.raises(InputError, match="at least one snapshot"):
        CalibrationSummary([])
    with pytest.raises(InputError, match="twice"):
        CalibrationSummary([summarise(0, one, one, one)] * 2)
