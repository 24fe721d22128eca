"""Factors that are known are found again; where the data says nothing, the prior; then the tails."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearsight.errors import InputError
from nearsight.metrics.recalibration import (
    BULK_LIMIT,
    PRIOR,
    TAIL,
    fit_factors,
    weighted_quantiles,
    widening,
)

N = 6000
#: as many points each as a snapshot is taken to hold independent values
SNAPSHOTS = np.repeat(np.arange(N // 100), 100)
FEW = np.repeat([4, 7], N // 2)


def variances(seed: int = 0, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.exp(rng.normal(-2, 1.0, n)), np.exp(rng.normal(-2, 1.5, n))


def errors_of(variance: np.ndarray, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=len(variance)) * np.sqrt(variance)


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (3.0, 2.0), (0.2, 0.3)])
def test_known_factors_are_found(a: float, b: float) -> None:
    aleatoric, epistemic = variances()
    found = fit_factors(errors_of(a * aleatoric + b * epistemic), aleatoric, epistemic, SNAPSHOTS)
    wider = found.widening**2
    assert found.aleatoric / wider == pytest.approx(a, rel=0.15)
    assert found.epistemic / wider == pytest.approx(b, rel=0.15)
    assert found.noise == 0.0
    assert 1.0 <= found.widening <= 1.1


def test_a_constant_takes_the_place_of_no_aleatoric_variance() -> None:
    _, epistemic = variances()
    found = fit_factors(errors_of(1.5 * epistemic + 0.3), 0 * epistemic, epistemic, SNAPSHOTS)
    wider = found.widening**2
    assert found.noise / wider == pytest.approx(0.3, rel=0.15)
    assert found.epistemic / wider == pytest.approx(1.5, rel=0.15)


def test_one_variance_alone_has_one_factor() -> None:
    aleatoric, _ = variances()
    found = fit_factors(errors_of(0.7 * aleatoric), aleatoric, 0 * aleatoric, FEW)
    assert found.aleatoric == pytest.approx(0.7, rel=0.06)
    assert found.epistemic == found.aleatoric
    none = fit_factors(errors_of(np.full(N, 0.04)), 0 * aleatoric, 0 * aleatoric, FEW)
    assert none.noise == pytest.approx(0.04, rel=0.06)


def test_where_the_data_says_nothing_of_b_it_is_a_few_times_a() -> None:
    aleatoric, epistemic = variances()
    found = fit_factors(errors_of(5.0 * aleatoric), aleatoric, 1e-9 * epistemic, FEW)
    assert found.aleatoric == pytest.approx(5.0, rel=0.1)
    # the upper end of the prior's own interval
    assert found.epistemic / found.aleatoric == pytest.approx(np.exp(1.645 * PRIOR), rel=0.05)


def test_caution_fades_with_the_number_of_snapshots() -> None:
    aleatoric, epistemic = variances()
    errors = errors_of(aleatoric + epistemic)
    few = fit_factors(errors, aleatoric, epistemic, FEW)
    many = fit_factors(errors, aleatoric, epistemic, SNAPSHOTS)
    assert few.epistemic / few.aleatoric > 1.2 * many.epistemic / many.aleatoric
    assert few.epistemic / few.aleatoric < 4.0


@given(st.floats(1e-3, 1e3), st.floats(0.3, 3.0))
@settings(max_examples=10, deadline=None)
def test_units_and_factors_of_the_errors(unit: float, factor: float) -> None:
    aleatoric, epistemic = variances(n=600)
    snapshots = np.repeat([0, 1], 300)
    errors = errors_of(aleatoric + epistemic)
    one = fit_factors(errors, aleatoric, epistemic, snapshots)
    same = fit_factors(unit * errors, unit**2 * aleatoric, unit**2 * epistemic, snapshots)
    assert (same.aleatoric, same.epistemic) == pytest.approx((one.aleatoric, one.epistemic), rel=1e-3)
    larger = fit_factors(factor * errors, aleatoric, epistemic, snapshots)
    assert larger.aleatoric == pytest.approx(factor**2 * one.aleatoric, rel=1e-3)
    assert larger.epistemic == pytest.approx(factor**2 * one.epistemic, rel=1e-3)
    constant = fit_factors(unit * errors, 0 * aleatoric, unit**2 * epistemic, snapshots)
    plain = fit_factors(errors, 0 * aleatoric, epistemic, snapshots)
    assert constant.noise == pytest.approx(unit**2 * plain.noise, rel=1e-3)


def test_snapshots_count_equally() -> None:
    aleatoric, epistemic = variances(n=900)
    errors = errors_of(aleatoric * np.repeat([1.0, 4.0], [300, 600]))
    few = fit_factors(errors[:600], aleatoric[:600], epistemic[:600], np.repeat([0, 1], 300))
    rows = np.concatenate([np.tile(np.arange(300), 5), np.arange(300, 600)])
    many = fit_factors(errors[rows], aleatoric[rows], epistemic[rows], np.repeat([0, 1], [1500, 300]))
    assert many.aleatoric == pytest.approx(few.aleatoric, rel=1e-3)
    assert many.epistemic == pytest.approx(few.epistemic, rel=1e-3)


@given(st.integers(0, 50), st.floats(2.5, 30.0))
@settings(max_examples=20, deadline=None)
def test_the_last_factor_keeps_its_word(seed: int, freedom: float) -> None:
    rng = np.random.default_rng(seed)
    parts = [rng.uniform(0.8, 1.25) * np.abs(rng.standard_t(freedom, size=1000)) for _ in range(3)]
    z = np.concatenate(parts)
    wider = widening(z, np.repeat(range(3), 1000)) * (1 + 1e-9)
    bulk, tail = np.mean(z <= wider), min(np.mean(part <= 3 * wider) for part in parts)
    tail += 0.004  # of a thousand points
    assert bulk >= 0.6826
    assert tail >= TAIL or bulk == pytest.approx(BULK_LIMIT, abs=1e-3)
    assert bulk <= BULK_LIMIT + 1e-3


def test_normal_errors_need_no_widening() -> None:
    z = np.abs(np.random.default_rng(0).normal(size=100_000))
    assert widening(z, np.repeat([1, 2], 50_000)) == pytest.approx(1.0, abs=0.01)


def test_quantiles_by_weight() -> None:
    values = np.array([3.0, 1.0, 2.0])
    assert weighted_quantiles(values, np.ones(3), (0.3, 0.5, 1.0)).tolist() == [1.0, 2.0, 3.0]
    assert weighted_quantiles(values, np.array([0.0, 1.0, 3.0]), (0.25, 0.26, 1.0)).tolist() == [
        1.0,
        2.0,
        2.0,
    ]


def test_bad_input_is_named() -> None:
    one, numbers = np.ones(4), np.zeros(4, int)
    with pytest.raises(InputError, match="equally long"):
        fit_factors(one, one, one[:3], numbers)
    with pytest.raises(InputError, match="at least one point"):
        fit_factors(one[:0], one[:0], one[:0], numbers[:0])
    with pytest.raises(InputError, match="finite"):
        fit_factors(one * np.inf, one, one, numbers)
    with pytest.raises(InputError, match="negative"):
        fit_factors(one, one, -one, numbers)
    with pytest.raises(InputError, match="no error at all"):
        fit_factors(0 * one, one, one, numbers)
