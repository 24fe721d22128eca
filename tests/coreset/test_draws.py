"""Chances, systematic samples, quotas and pools: counts exact, chances as stated."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nearsight.coreset.columns import feature_blocks, median_distance, squared_distances
from nearsight.coreset.draws import inclusion_probabilities, quotas, systematic_sample
from nearsight.coreset.shards import Pools, pools_note
from nearsight.errors import InputError


@given(st.integers(1, 200), st.floats(0.01, 1.0), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_inclusion_probabilities(n_keep: int, uniform: float, seed: int) -> None:
    scores = np.random.default_rng(seed).lognormal(sigma=2, size=200)
    chance = inclusion_probabilities(scores, n_keep, uniform)
    assert chance.sum() == pytest.approx(n_keep, rel=1e-9)
    assert (chance > 0).all()
    assert (chance <= 1).all()
    assert (np.diff(chance[np.argsort(scores)]) >= -1e-12).all()


@given(st.integers(1, 50), st.integers(0, 50))
@settings(deadline=None)
def test_chances_add_up_where_most_scores_are_zero(n_keep: int, n_positive: int) -> None:
    scores = np.zeros(50)
    scores[:n_positive] = 1 + np.arange(n_positive)
    chance = inclusion_probabilities(scores, n_keep, 0.0)
    assert chance.sum() == pytest.approx(n_keep)
    assert chance.max() <= 1
    if 0 < n_positive <= n_keep:
        assert (chance[:n_positive] == 1).all()


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


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.floats(0, 1), st.data())
@settings(max_examples=100, deadline=None)
def test_quotas_add_up_within_their_caps(sizes_list: list[int], evenness: float, data: st.DataObject) -> None:
    sizes = np.array(sizes_list)
    n_keep = data.draw(st.integers(len(sizes), int(sizes.sum())))
    shares = (1 - evenness) * sizes / sizes.sum() + evenness / len(sizes)
    quota = quotas(shares, sizes, n_keep)
    assert quota.sum() == n_keep
    assert (quota >= 1).all()
    assert (quota <= sizes).all()


@given(st.integers(2, 30), st.integers(1, 20))
def test_quotas_of_equal_strata_are_equal(n_strata: int, each: int) -> None:
    quota = quotas(np.ones(n_strata), np.full(n_strata, 25), n_strata * each)
    assert (quota == each).all()


@given(st.integers(1, 5000), st.floats(0, 1), st.integers(2, 400), st.integers(1, 30), st.integers(0, 2000))
@settings(max_examples=80, deadline=None)
def test_pools_are_disjoint_and_spend_the_budget(
    n_points: int, fraction: float, shard: int, oversample: int, single: int
) -> None:
    n_keep = max(1, round(fraction * n_points))
    assume(n_keep <= n_points)
    plan = Pools(shard, oversample, single)
    pools = plan.draw(n_points, n_keep, np.random.default_rng(0))
    members = np.concatenate([pool.members for pool in pools])
    assert len(np.unique(members)) == len(members)
    assert members.max() < n_points
    assert sum(pool.take for pool in pools) == n_keep
    for pool in pools:
        assert 1 <= pool.take <= len(pool.members) <= max(shard, single)
        assert (np.diff(pool.members) > 0).all()


def test_small_budgets_get_one_pool_and_the_note_says_so() -> None:
    rng = np.random.default_rng(0)
    plan = Pools(shard=100, oversample=20, single=1000)
    one, many = plan.draw(5000, 50, rng), plan.draw(5000, 500, rng)
    assert [len(pool.members) for pool in one] == [1000]
    assert len(many) == 50
    assert pools_note(one, 5000) == "chose from 1000 random ones of the 5000 points in one pool"
    assert pools_note(many, 5000) == "chose from all 5000 points in 50 random pools, each on its own"


def test_blocks_are_all_rows_once() -> None:
    features = np.random.default_rng(0).normal(size=(1000, 3))
    parts, rows = zip(*feature_blocks(features, size=300), strict=True)
    assert np.array_equal(np.concatenate(rows), features.astype(np.float32))
    assert [part.stop - part.start for part in parts] == [300, 300, 300, 100]
    features[999, 1] = np.inf
    with pytest.raises(InputError, match="1 of the points"):
        list(feature_blocks(features))


def test_squared_distances_and_their_median() -> None:
    rng = np.random.default_rng(1)
    rows = (50 + rng.normal(size=(80, 4))).astype(np.float32)  # far from the origin
    exact = ((rows[:, None].astype(float) - rows[None]) ** 2).sum(axis=2)
    assert np.allclose(squared_distances(rows), exact, atol=1e-4)
    median = np.median(np.sqrt(exact[np.triu_indices(80, k=1)]))
    assert median_distance(rows, rng) == pytest.approx(median, rel=1e-4)
    assert median_distance(np.ones((20, 2)), rng) == 1.0
