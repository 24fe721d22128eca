"""Selection by the field itself: density-weighted sampling and strata of density and gradient."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearsight.coreset import Candidates, DensityStrata, DensityWeighted


def field(n: int = 20_000, seed: int = 0) -> Candidates:
    rng = np.random.default_rng(seed)
    density = rng.lognormal(mean=-3, sigma=1.5, size=n)
    return Candidates(n, density=density, gradient=density * rng.lognormal(size=n))


# -- density-weighted ---------------------------------------------------------------------------


def test_density_sampling_follows_the_formula() -> None:
    """Kept counts in bands of 1/ρ against N-weighted chances exp(−(1/ρ)²/2σ²)."""
    rng = np.random.default_rng(1)
    inverse = rng.uniform(0, 3, 30_000)
    candidates = Candidates(30_000, density=1 / inverse)
    counts = np.zeros(6)
    for _ in range(40):
        kept = DensityWeighted(uniform=0.0, sigma=1.0).select(candidates, 300, rng).indices
        counts += np.histogram(inverse[kept], bins=6, range=(0, 3))[0]
    chance = np.exp(-(inverse**2) / 2)
    expected = 12_000 * np.histogram(inverse, bins=6, range=(0, 3), weights=chance / chance.sum())[0]
    assert (np.abs(counts - expected) < 4 * np.sqrt(expected)).all()
    assert expected[0] > 10 * expected[-1]


def test_a_wide_sigma_is_uniform_and_a_narrow_one_keeps_the_densest() -> None:
    candidates, rng = field(), np.random.default_rng(2)
    assert candidates.density is not None
    wide = DensityWeighted(uniform=0.0, sigma=1e9).select(candidates, 2000, rng).indices
    assert np.log(candidates.density[wide]).mean() == pytest.approx(-3, abs=0.15)
    narrow = DensityWeighted(uniform=0.0, sigma=1e-6).select(candidates, 1, rng).indices
    assert candidates.density[narrow] == candidates.density.max()


def test_vacuum_has_the_uniform_chance_only() -> None:
    rng = np.random.default_rng(3)
    density = np.where(np.arange(10_000) % 2 == 0, 0.1, -1e-15)
    candidates = Candidates(10_000, density=density)
    none = DensityWeighted(uniform=0.0).select(candidates, 500, rng).indices
    assert (none % 2 == 0).all()
    some = DensityWeighted(uniform=0.6).select(candidates, 1000, rng).indices
    assert (some % 2 == 1).mean() == pytest.approx(0.3, abs=0.05)


def test_the_default_width_scales_with_the_unit_of_density() -> None:
    candidates = field()
    scaled = Candidates(candidates.n_points, density=np.asarray(candidates.density) * 1e3)
    one, two = (
        DensityWeighted().select(c, 500, np.random.default_rng(0)).indices for c in (candidates, scaled)
    )
    assert np.array_equal(one, two)


# -- strata -------------------------------------------------------------------------------------


@given(
    st.integers(1, 12),
    st.sampled_from(["equal-width", "equal-count"]),
    st.floats(0, 1),
    st.integers(1, 3000),
)
@settings(max_examples=40, deadline=None)
def test_weights_give_each_stratum_its_population(
    bins: int, binning: Any, evenness: float, n_keep: int
) -> None:
    candidates = field(3000)
    method = DensityStrata(bins=bins, binning=binning, evenness=evenness)
    selection = method.select(candidates, n_keep, np.random.default_rng(0))
    stratum = method.strata(candidates, n_keep)
    assert selection.weights is not None
    weight = np.bincount(stratum[selection.indices], weights=selection.weights, minlength=stratum.max() + 1)
    assert np.allclose(weight / n_keep, np.bincount(stratum) / 3000, rtol=1e-5)


def test_evenness_zero_is_proportional_and_one_is_even() -> None:
    candidates = field()
    for evenness in (0.0, 1.0):
        method = DensityStrata(bins=4, evenness=evenness)
        selection = method.select(candidates, 400, np.random.default_rng(0))
        stratum = method.strata(candidates, 400)
        sizes = np.bincount(stratum)
        taken = np.bincount(stratum[selection.indices], minlength=len(sizes))
        if evenness == 0:
            assert (np.abs(taken - np.maximum(400 * sizes / 20_000, 1)) <= 3).all()
        else:
            large = sizes > taken
            assert np.ptp(taken[large]) <= 1
            assert (taken[~large] == sizes[~large]).all()


def test_evenness_bounds_the_weights() -> None:
    for evenness in (0.3, 0.6):
        selection = DensityStrata(bins=8, evenness=evenness).select(field(), 4000, np.random.default_rng(0))
        assert selection.weights is not None
        assert 1.1 < selection.weights.max() < 1.05 / (1 - evenness)


def test_strata_estimate_means_better_than_random() -> None:
    candidates, rng = field(), np.random.default_rng(4)
    quantity = np.asarray(candidates.density)
    errors: list[list[float]] = [[], []]
    for _ in range(60):
        selection = DensityStrata().select(candidates, 400, rng)
        assert selection.weights is not None
        errors[0].append(np.mean(selection.weights * quantity[selection.indices]) - quantity.mean())
        errors[1].append(quantity[rng.choice(20_000, 400, replace=False)].mean() - quantity.mean())
    assert np.std(errors[0]) < 0.4 * np.std(errors[1])
    assert abs(np.mean(errors[0])) < 4 * np.std(errors[0]) / np.sqrt(60)


def test_few_points_make_few_strata() -> None:
    candidates = field()
    for n_keep, at_most in ((3, 1), (16, 4), (100, 25)):
        assert DensityStrata(bins=16).strata(candidates, n_keep).max() < at_most
