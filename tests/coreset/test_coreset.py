"""Selection methods: the shared suite, and each one's own rules against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearsight.coreset import (
    METHODS,
    CoverageCentric,
    Importance,
    TopScore,
    Uniform,
    default_beta,
    inclusion_probabilities,
)
from nearsight.coreset.ccs import plain_budget, rolled_over_budget
from nearsight.coreset.conformance import check_method
from nearsight.coreset.importance import systematic_sample
from nearsight.errors import InputError


@pytest.mark.parametrize("name", list(METHODS))
def test_registered_methods_conform(name: str) -> None:
    method = METHODS[name]()
    assert method.name == name
    check_method(method)


@pytest.mark.parametrize(
    ("method", "exact"),
    [
        (CoverageCentric(beta=0.3, n_strata=7), True),
        (CoverageCentric(beta=0.0, budget="plain"), False),
        (Importance(uniform=0.05), True),
        (Importance(uniform=1.0), True),
    ],
)
def test_other_settings_conform(method: CoverageCentric | Importance, exact: bool) -> None:
    check_method(method, exact_count=exact)


def test_registry_names() -> None:
    assert set(METHODS) >= {"random", "grand", "ccs", "importance"}


def test_top_score_is_permutation_equivariant() -> None:
    rng = np.random.default_rng(0)
    scores, order = rng.random(500), rng.permutation(500)
    kept = TopScore().select(scores, 40, rng).indices
    kept_permuted = order[TopScore().select(scores[order], 40, rng).indices]
    assert np.array_equal(np.sort(kept_permuted), kept)
    assert scores[kept].min() > np.delete(scores, kept).max()


def test_uniform_is_uniform() -> None:
    rng = np.random.default_rng(1)
    counts = np.zeros(20)
    for _ in range(4000):
        counts[Uniform().select(None, 5, rng, n_points=20).indices] += 1
    expected, deviation = 4000 * 5 / 20, np.sqrt(4000 * 0.25 * 0.75)
    assert np.abs(counts - expected).max() < 4 * deviation


# -- coverage-centric ---------------------------------------------------------------------------


def brute_force_strata_counts(scores: np.ndarray, n_keep: int, beta: float, n_strata: int) -> list[int]:
    """The original code's rule, point by point: how many points each stratum gives."""
    kept = sorted(scores)[: len(scores) - int(beta * len(scores))]
    low, high = kept[0], kept[-1]
    sizes = [0] * n_strata
    for score in kept:
        sizes[min(int((score - low) / (high - low) * n_strata), n_strata - 1)] += 1
    counts, left = [0] * n_strata, n_keep
    for done, k in enumerate(sorted(range(n_strata), key=lambda k: sizes[k])):
        counts[k] = min(sizes[k], left // (n_strata - done))
        left -= counts[k]
    return counts


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.3])
def test_ccs_equals_brute_force(beta: float) -> None:
    rng = np.random.default_rng(2)
    scores = rng.lognormal(size=3000)
    method = CoverageCentric(beta=beta, n_strata=20)
    kept = scores[method.select(scores, 1200, rng).indices]
    pool = np.sort(scores)[: 3000 - int(beta * 3000)]
    assert kept.max() <= pool[-1]
    strata = np.minimum(((kept - pool[0]) / (pool[-1] - pool[0]) * 20).astype(int), 19)
    expected = brute_force_strata_counts(scores, 1200, beta, 20)
    assert np.bincount(strata, minlength=20).tolist() == expected
    assert len(set(expected)) > 1


def test_ccs_spreads_where_random_does_not() -> None:
    rng = np.random.default_rng(3)
    scores = rng.lognormal(sigma=1.5, size=20000)
    ccs = scores[CoverageCentric(beta=0.0).select(scores, 200, rng).indices]
    uniform = scores[Uniform().select(scores, 200, rng).indices]
    assert ccs.mean() > 3 * uniform.mean()


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.data())
@settings(max_examples=60, deadline=None)
def test_budget_rules(sizes_list: list[int], data: st.DataObject) -> None:
    sizes = np.array(sizes_list)
    n_keep = data.draw(st.integers(0, int(sizes.sum())))
    rolled, plain = rolled_over_budget(sizes, n_keep), plain_budget(sizes, n_keep)
    assert rolled.sum() == n_keep
    assert plain.sum() <= n_keep
    for budget in (rolled, plain):
        assert (budget >= 0).all()
        assert (budget <= sizes).all()
    # no stratum that could give more gives less than another by two or more
    short = rolled[rolled < sizes]
    assert len(short) == 0 or rolled.max() - short.min() <= 1


def test_plain_budget_returns_fewer_and_says_so() -> None:
    scores = np.concatenate([np.linspace(0, 0.1, 900), np.linspace(0.9, 1, 10)])
    selection = CoverageCentric(beta=0.0, n_strata=10, budget="plain").select(
        scores, 200, np.random.default_rng(0)
    )
    assert len(selection) < 200
    assert any("of the 200 points" in note for note in selection.notes)


def test_ccs_refuses_what_beta_makes_impossible() -> None:
    with pytest.raises(InputError, match="lower beta"):
        CoverageCentric(beta=0.5).select(np.random.default_rng(0).random(100), 80, np.random.default_rng(0))
    with pytest.raises(InputError, match="beta"):
        CoverageCentric(beta=1.0)


@given(st.floats(1e-4, 1.0))
def test_default_beta_always_leaves_enough(kept: float) -> None:
    assert 0 <= default_beta(kept) <= 0.3
    assert 1 - default_beta(kept) >= kept


# -- importance ---------------------------------------------------------------------------------


@given(st.integers(1, 200), st.floats(0.01, 1.0), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_inclusion_probabilities(n_keep: int, uniform: float, seed: int) -> None:
    scores = np.random.default_rng(seed).lognormal(sigma=2, size=200)
    chance = inclusion_probabilities(scores, n_keep, uniform)
    assert chance.sum() == pytest.approx(n_keep, rel=1e-9)
    assert (chance > 0).all()
    assert (chance <= 1).all()
    assert (np.diff(chance[np.argsort(scores)]) >= -1e-12).all()


def test_systematic_sample_has_the_stated_chances() -> None:
    rng = np.random.default_rng(4)
    scores = rng.lognormal(sigma=1.5, size=60)
    chance = inclusion_probabilities(scores, 15, 0.3)
    assert chance.max() > 0.9
    assert chance.min() < 0.15
    counts, draws = np.zeros(60), 20000
    for _ in range(draws):
        counts[systematic_sample(chance, 15, rng)] += 1
    deviation = np.sqrt(draws * chance * (1 - chance)) + 1
    assert (np.abs(counts - draws * chance) < 4.5 * deviation).all()


def test_importance_weights_make_sums_unbiased() -> None:
    """The mean of a quantity that follows the score, from weighted samples, is the full data's mean."""
    rng = np.random.default_rng(5)
    scores = rng.lognormal(size=4000)
    quantity = scores**2 + 0.1 * rng.random(4000)
    method = Importance(uniform=0.5)
    weighted, unweighted = [], []
    for _ in range(400):
        selection = method.select(scores, 300, rng)
        assert selection.weights is not None
        weighted.append(np.mean(selection.weights * quantity[selection.indices]))
        unweighted.append(np.mean(quantity[selection.indices]))
    error = np.std(weighted) / np.sqrt(400)
    assert abs(np.mean(weighted) - quantity.mean()) < 4 * error
    assert np.mean(unweighted) > 1.5 * quantity.mean()
    uniform = [np.mean(quantity[rng.choice(4000, 300, replace=False)]) for _ in range(400)]
    assert np.std(weighted) < np.std(uniform)


def test_importance_bounds_the_weights() -> None:
    scores = np.concatenate([np.full(900, 1e-9), np.ones(100)])
    selection = Importance(uniform=0.25).select(scores, 100, np.random.default_rng(0))
    assert selection.weights is not None
    assert selection.weights.max() <= 4.0 * 1.3
    assert selection.weights.max() > 2 * selection.weights.min()
