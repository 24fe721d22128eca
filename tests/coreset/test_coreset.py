"""Selection by scores: the shared suite for every method, and the rules of the score methods."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearsight.coreset import (
    METHODS,
    Candidates,
    CoverageCentric,
    DensityStrata,
    DensityWeighted,
    DOptimal,
    Dual,
    FacilityLocation,
    Herding,
    Importance,
    KCentre,
    SelectionMethod,
    TopResidual,
    TopScore,
    Uniform,
    WholeSnapshots,
    default_beta,
)
from nearsight.coreset.ccs import plain_budget, rolled_over_budget
from nearsight.coreset.conformance import candidate_sets, check_method
from nearsight.coreset.dual import beta_parameters, mean_ranks
from nearsight.errors import InputError

NAMES = {
    *("random", "grand", "el2n", "ccs", "importance", "density", "k_centre", "facility", "herding"),
    *("dual", "strata", "snapshots", "d_optimal"),
}


def scored(scores: np.ndarray, name: str = "grand") -> Candidates:
    return Candidates(len(scores), {name: scores})


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
        (CoverageCentric(score="disagreement"), True),
        (TopScore(score="a plug-in's own"), True),
        (Importance(uniform=0.05), True),
        (Importance(uniform=1.0), True),
        (Importance(score="leverage", power=0.5), True),
        (DensityWeighted(weighted=True, uniform=0.3), True),
        (DensityWeighted(uniform=0.0, sigma=270.0), True),
        (DensityStrata(bins=5, binning="equal-count", evenness=0.9), True),
        (DensityStrata(evenness=0.0), True),
        (KCentre(shard=100, pool=0), True),
        (FacilityLocation(length=1.0, shard=150, oversample=3), True),
        (Herding(size=16, shard=150, oversample=3), True),
        (WholeSnapshots(n_snapshots=3), True),
        (DOptimal(ridge=1.0, uniform=0.5), True),
    ],
)
def test_other_settings_conform(method: SelectionMethod, exact: bool) -> None:
    check_method(method, exact_count=exact)


@pytest.mark.parametrize("name", list(METHODS))
@pytest.mark.parametrize("n_points", [1, 2, 3])
def test_few_candidates(name: str, n_points: int) -> None:
    method, every = METHODS[name](), candidate_sets()["long-tailed"]
    some = Candidates(
        n_points,
        {score: column[-n_points:] for score, column in every.scores.items()},
        *(np.asarray(getattr(every, c))[-n_points:] for c in ("features", "density", "gradient", "snapshot")),
    )
    for n_keep in range(1, n_points + 1):
        assert len(method.select(some, n_keep, np.random.default_rng(0))) == n_keep


def test_the_suite_finds_biased_weights() -> None:
    class Biased(Importance):
        def select(self, candidates: Candidates, n_keep: int, rng: np.random.Generator) -> Any:
            found = super().select(candidates, n_keep, rng)
            return type(found)(found.indices, np.ones(len(found)))

    with pytest.raises(AssertionError, match="weighted mean"):
        check_method(Biased())
    check_method(Biased(), unbiased=False)


def test_registry_names() -> None:
    assert set(METHODS) >= NAMES


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (CoverageCentric, {"beta": 1.0}),
        (CoverageCentric, {"n_strata": 0}),
        (CoverageCentric, {"budget": "none"}),
        (Importance, {"uniform": 0.0}),
        (Importance, {"power": 0.0}),
        (DensityWeighted, {"uniform": 1.1}),
        (DensityWeighted, {"sigma": 0.0}),
        (DensityWeighted, {"quantile": 0.0}),
        (DensityWeighted, {"uniform": 0.0, "weighted": True}),
        (DensityStrata, {"bins": 0}),
        (DensityStrata, {"binning": "none"}),
        (DensityStrata, {"evenness": 1.5}),
        (KCentre, {"shard": 1}),
        (KCentre, {"oversample": 0}),
        (FacilityLocation, {"length": -1.0}),
        (FacilityLocation, {"shard": 1}),
        (Herding, {"length": 0.0}),
        (Herding, {"size": 0}),
        (Herding, {"oversample": 0}),
        (Dual, {"c": 0.0}),
        (Dual, {"anchor": 0}),
        (WholeSnapshots, {"fraction_of_snapshots": 0.0}),
        (WholeSnapshots, {"n_snapshots": 0}),
        (DOptimal, {"ridge": 0.0}),
        (DOptimal, {"uniform": 0.0}),
    ],
)
def test_settings_outside_their_range_are_refused(kind: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        kind(**settings)


# -- random, highest scores ---------------------------------------------------------------------


def test_top_score_is_permutation_equivariant() -> None:
    rng = np.random.default_rng(0)
    scores, order = rng.random(500), rng.permutation(500)
    kept = TopScore().select(scored(scores), 40, rng).indices
    kept_permuted = order[TopScore().select(scored(scores[order]), 40, rng).indices]
    assert np.array_equal(np.sort(kept_permuted), kept)
    assert scores[kept].min() > np.delete(scores, kept).max()


def test_el2n_takes_the_residual_and_any_score_can_be_named() -> None:
    rng = np.random.default_rng(0)
    grand, residual = rng.random((2, 300))
    candidates = Candidates(300, {"grand": grand, "residual": residual})
    by_residual = TopResidual().select(candidates, 20, rng).indices
    assert np.array_equal(by_residual, np.sort(np.argsort(-residual)[:20]))
    assert np.array_equal(by_residual, TopScore(score="residual").select(candidates, 20, rng).indices)
    assert not np.array_equal(by_residual, TopScore().select(candidates, 20, rng).indices)


def test_uniform_is_uniform() -> None:
    rng = np.random.default_rng(1)
    counts = np.zeros(20)
    for _ in range(4000):
        counts[Uniform().select(Candidates(20), 5, rng).indices] += 1
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
    kept = scores[method.select(scored(scores), 1200, rng).indices]
    pool = np.sort(scores)[: 3000 - int(beta * 3000)]
    assert kept.max() <= pool[-1]
    strata = np.minimum(((kept - pool[0]) / (pool[-1] - pool[0]) * 20).astype(int), 19)
    expected = brute_force_strata_counts(scores, 1200, beta, 20)
    assert np.bincount(strata, minlength=20).tolist() == expected
    assert len(set(expected)) > 1


@pytest.mark.parametrize("budget", ["rolled-over", "plain"])
def test_ccs_of_one_stratum_without_beta_is_random(budget: Any) -> None:
    rng = np.random.default_rng(6)
    candidates, counts = scored(rng.lognormal(size=25)), np.zeros(25)
    method = CoverageCentric(beta=0.0, n_strata=1, budget=budget)
    for _ in range(4000):
        counts[method.select(candidates, 5, rng).indices] += 1
    assert np.abs(counts - 800).max() < 4 * np.sqrt(4000 * 0.2 * 0.8)


def test_ccs_spreads_where_random_does_not() -> None:
    rng = np.random.default_rng(3)
    scores = rng.lognormal(sigma=1.5, size=20000)
    ccs = scores[CoverageCentric(beta=0.0).select(scored(scores), 200, rng).indices]
    uniform = scores[Uniform().select(scored(scores), 200, rng).indices]
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
        scored(scores), 200, np.random.default_rng(0)
    )
    assert len(selection) < 200
    assert any("of the 200 points" in note for note in selection.notes)


def test_ccs_refuses_what_beta_makes_impossible() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="lower beta"):
        CoverageCentric(beta=0.5).select(scored(rng.random(100)), 80, rng)


@given(st.floats(1e-4, 1.0))
def test_default_beta_always_leaves_enough(kept: float) -> None:
    assert 0 <= default_beta(kept) <= 0.3
    assert 1 - default_beta(kept) >= kept


# -- importance ---------------------------------------------------------------------------------


def test_importance_weights_make_sums_unbiased() -> None:
    """The mean of a quantity that follows the score, from weighted samples, is the full data's mean."""
    rng = np.random.default_rng(5)
    scores = rng.lognormal(size=4000)
    quantity = scores**2 + 0.1 * rng.random(4000)
    method = Importance(uniform=0.5)
    weighted, unweighted = [], []
    for _ in range(400):
        selection = method.select(scored(scores), 300, rng)
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
    selection = Importance(uniform=0.25).select(scored(scores), 100, np.random.default_rng(0))
    assert selection.weights is not None
    assert selection.weights.max() <= 4.0 * 1.3
    assert selection.weights.max() > 2 * selection.weights.min()


def test_importance_of_equal_scores_has_equal_weights_and_chances() -> None:
    rng = np.random.default_rng(7)
    counts = np.zeros(30)
    for _ in range(4000):
        selection = Importance().select(scored(np.full(30, 2.5)), 6, rng)
        counts[selection.indices] += 1
        assert selection.weights is not None
        assert np.allclose(selection.weights, 1.0, atol=1e-6)
    assert np.abs(counts - 800).max() < 4 * np.sqrt(4000 * 0.2 * 0.8)


def test_a_higher_power_prefers_high_scores_and_scale_does_not_matter() -> None:
    scores = np.random.default_rng(8).lognormal(sigma=0.7, size=5000)
    means = []
    for power in (0.5, 1.0, 2.0):
        method = Importance(power=power, uniform=0.1)
        kept = method.select(scored(scores), 200, np.random.default_rng(0)).indices
        means.append(scores[kept].mean())
        huge = method.select(scored(1e300 * scores / scores.max()), 200, np.random.default_rng(0)).indices
        assert np.array_equal(huge, kept)
    assert means[0] < means[1] < means[2]


# -- DUAL ---------------------------------------------------------------------------------------


def test_beta_parameters_are_the_papers() -> None:
    """Beta(16 − b, b): its mean is near the anchor without pruning, and at one when all is pruned."""
    assert beta_parameters(0.0, 0.4, 4.0) == pytest.approx((16 - 9, 9))
    assert beta_parameters(1.0, 0.4, 4.0) == pytest.approx((16, 0))
    b = [beta_parameters(r, 0.4, 4.0)[1] for r in (0.3, 0.6, 0.9, 0.99)]
    assert np.all(np.diff(b) < 0)
    assert beta_parameters(0.9, 0.4, 11.0)[1] > beta_parameters(0.9, 0.4, 4.0)[1]


def test_mean_ranks() -> None:
    assert mean_ranks(np.array([3.0, 1.0, 3.0, 7.0])) == pytest.approx([0.5, 0.125, 0.5, 0.875])
    assert np.array_equal(mean_ranks(np.full(9, 2.0)), np.full(9, 0.5))


def test_dual_draws_the_stated_distribution() -> None:
    """With equal DUAL scores the prediction mean of the kept points follows the Beta distribution."""
    rng = np.random.default_rng(9)
    difficulty = rng.permutation(20000) / 20000
    dual = np.ones(20000)
    dual[np.argsort(np.abs(difficulty - 0.5))[:10]] = 1.001  # the anchor sits in the middle
    candidates = Candidates(20000, {"dual": dual, "difficulty": difficulty})
    a, b = beta_parameters(0.98, 0.5, 4.0)
    easy = 1 - difficulty[Dual().select(candidates, 400, rng).indices]
    variance = a * b / ((a + b) ** 2 * (a + b + 1))
    assert abs(easy.mean() - a / (a + b)) < 4 * np.sqrt(variance / 400) + 1e-4
    assert b < 1 < a
    mild = 1 - difficulty[Dual().select(candidates, 4000, rng).indices]
    assert mild.mean() < easy.mean() - 0.05


def test_dual_follows_its_score() -> None:
    rng = np.random.default_rng(10)
    difficulty = rng.random(5000)
    dual = np.where(np.arange(5000) % 2 == 0, 1.0, 0.2)
    candidates = Candidates(5000, {"dual": dual, "difficulty": difficulty})
    even = (Dual().select(candidates, 300, rng).indices % 2 == 0).mean()
    assert even == pytest.approx(1 / 1.2, abs=0.08)


def test_candidates_of_the_suite_are_what_it_says() -> None:
    sets = candidate_sets(frozenset({"own"}))
    one = sets["long-tailed"]
    assert "own" in one.scores
    assert one.density is not None
    assert one.features is not None
    assert one.density.min() < 0
    assert (one.density == 0).any()
    assert len(np.unique(one.features, axis=0)) < len(one.features)
    assert np.ptp(one.features, axis=0).min() == 0
