"""Selection by features: clusters covered, greedy rules against brute force, files as good as arrays."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearsight.coreset import (
    METHODS,
    Candidates,
    DOptimal,
    FacilityLocation,
    Herding,
    KCentre,
    SelectionMethod,
    Uniform,
    WholeSnapshots,
    kernels,
    reference,
    ridge_leverage,
)
from nearsight.coreset.conformance import candidate_sets
from nearsight.coreset.herding import RandomFourier, herd
from nearsight.coreset.k_centre import farthest_points
from nearsight.coreset.snapshots import cover_order, snapshot_moments


def clusters(n_clusters: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features in tight clusters far from each other, shuffled, and the cluster of each point."""
    rng = np.random.default_rng(seed)
    centres = 10.0 * np.eye(n_clusters)
    label = rng.permutation(np.repeat(np.arange(n_clusters), size))
    features = centres[label] + 0.05 * rng.normal(size=(len(label), n_clusters))
    return features.astype(np.float32), label


@pytest.mark.parametrize("method", [KCentre(), FacilityLocation(), Herding(size=2000)])
@pytest.mark.parametrize("seed", range(3))
def test_one_point_of_each_cluster(method: SelectionMethod, seed: int) -> None:
    features, label = clusters(8, 40, seed)
    kept = method.select(Candidates(len(label), features=features), 8, np.random.default_rng(seed)).indices
    assert sorted(label[kept]) == list(range(8))


@pytest.mark.parametrize("name", [name for name in METHODS if "features" in METHODS[name]().needs])
def test_a_memory_map_gives_what_an_array_gives(name: str, tmp_path: Path) -> None:
    candidates = candidate_sets()["long-tailed"]
    assert candidates.features is not None
    np.save(tmp_path / "features.npy", candidates.features)
    mapped = Candidates(
        candidates.n_points,
        candidates.scores,
        np.load(tmp_path / "features.npy", mmap_mode="r"),
        snapshot=candidates.snapshot,
    )
    one, two = (METHODS[name]().select(c, 60, np.random.default_rng(0)) for c in (candidates, mapped))
    assert np.array_equal(one.indices, two.indices)


# -- farthest points ----------------------------------------------------------------------------


def test_farthest_points_are_the_farthest() -> None:
    rows = np.random.default_rng(1).normal(size=(200, 5)).astype(np.float32)
    picked = farthest_points(rows, 12, np.random.default_rng(2))
    for n in range(1, 12):
        apart = np.linalg.norm(rows[:, None] - rows[picked[:n]], axis=2).min(axis=1)
        assert apart[picked[n]] == pytest.approx(apart.max(), rel=1e-5)


@given(st.integers(1, 40), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_farthest_points_of_any_count_and_width(n_keep: int, n_features: int) -> None:
    rows = np.random.default_rng(n_keep).normal(size=(40, n_features)).astype(np.float32)
    rows[5:15] = rows[0]
    picked = farthest_points(rows, n_keep, np.random.default_rng(0))
    assert len(np.unique(picked)) == n_keep


def test_k_centre_covers_better_than_random() -> None:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(3000, 3)).astype(np.float32)
    candidates = Candidates(3000, features=features)

    def radius(method: SelectionMethod) -> float:
        kept = features[method.select(candidates, 60, np.random.default_rng(0)).indices]
        return float(np.linalg.norm(features[:, None] - kept, axis=2).min(axis=1).max())

    assert radius(KCentre()) < 0.6 * radius(Uniform())


# -- facility location --------------------------------------------------------------------------


def test_the_kernel_equals_its_twin() -> None:
    rows = np.random.default_rng(4).normal(size=(150, 3))
    similarity = np.exp(-0.5 * ((rows[:, None] - rows[None]) ** 2).sum(axis=2))
    picked = kernels.greedy_facilities(similarity, 40)
    assert np.array_equal(picked, reference.greedy_facilities(similarity, 40))
    assert len(np.unique(picked)) == 40
    single = kernels.greedy_facilities(similarity.astype(np.float32), 40)
    served = [similarity[p].max(axis=0).sum() for p in (picked, single)]
    assert served[1] == pytest.approx(served[0], rel=1e-5)


@pytest.mark.parametrize("n_keep", [1, 7, 30])
def test_facilities_where_all_gains_are_equal(n_keep: int) -> None:
    for similarity in (np.ones((30, 30)), np.eye(30), np.zeros((30, 30))):
        for greedy in (kernels.greedy_facilities, reference.greedy_facilities):
            assert len(np.unique(greedy(similarity, n_keep))) == n_keep


def test_greedy_facilities_come_near_the_best() -> None:
    """Within 1 − 1/e of the best of all pairs and triples; usually far nearer."""
    rows = np.random.default_rng(5).normal(size=(18, 2))
    similarity = np.exp(-((rows[:, None] - rows[None]) ** 2).sum(axis=2))
    for n in (2, 3):
        best = max(similarity[list(s)].max(axis=0).sum() for s in combinations(range(18), n))
        greedy = similarity[kernels.greedy_facilities(similarity, n)].max(axis=0).sum()
        assert (1 - 1 / np.e) * best < greedy <= best + 1e-12


# -- herding ------------------------------------------------------------------------------------


def test_random_fourier_features_give_the_kernel() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(30, 4)).astype(np.float32)
    phi = RandomFourier.draw(4, 40_000, 2.0, rng)(rows)
    kernel = np.exp(-((rows[:, None] - rows[None]) ** 2).sum(axis=2) / (2 * 2.0**2))
    assert np.abs(phi @ phi.T - kernel).max() < 6 / np.sqrt(40_000)


def test_the_mean_error_of_herding_falls_faster_than_randoms() -> None:
    """As 1/n, where a random sample's falls as 1/√n."""
    rng = np.random.default_rng(6)
    features = rng.normal(size=(4000, 3)).astype(np.float32)
    phi = RandomFourier.draw(3, 32, 2.0, rng)
    table, mean = phi(features), phi.mean(features)
    picked = herd(table, mean, mean.copy(), 400)
    counts = np.array([25, 50, 100, 200, 400])
    herded = [np.linalg.norm(table[picked[:n]].mean(axis=0) - mean) for n in counts]
    draws = [[table[rng.choice(4000, n)].mean(axis=0) - mean for _ in range(30)] for n in counts]
    random = [np.linalg.norm(draw, axis=1).mean() for draw in draws]
    slopes = [np.polyfit(np.log(counts), np.log(error), 1)[0] for error in (herded, random)]
    assert slopes[0] < -0.8 < -0.6 < slopes[1] < -0.4
    assert herded[-1] < 0.2 * random[-1]


def test_herding_hands_its_error_from_pool_to_pool() -> None:
    features = np.random.default_rng(7).normal(size=(6000, 4)).astype(np.float32)
    candidates = Candidates(6000, features=features)
    phi = RandomFourier.draw(4, 200, 3.0, np.random.default_rng(8))  # not the method's own
    mean = phi.mean(features)

    def error(method: SelectionMethod, seed: int) -> float:
        kept = method.select(candidates, 300, np.random.default_rng(seed)).indices
        return float(np.linalg.norm(phi(features[kept]).mean(axis=0) - mean))

    pooled = np.mean([error(Herding(shard=500), seed) for seed in range(3)])
    uniform = np.mean([error(Uniform(), seed) for seed in range(10)])
    assert pooled < 0.4 * uniform


# -- leverage -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ridge", [1e-6, 1e-2, 1.0])
def test_leverages_add_up_to_the_effective_dimension(ridge: float) -> None:
    rng = np.random.default_rng(9)
    features = (rng.normal(size=(20_000, 6)) * np.array([3, 2, 1, 0.3, 0.1, 0.0])).astype(np.float32)
    eigenvalues = np.linalg.svd(features.astype(float), compute_uv=False) ** 2
    scale = ridge * eigenvalues.mean()
    leverage = ridge_leverage(features, ridge)
    assert leverage.sum() == pytest.approx((eigenvalues / (eigenvalues + scale)).sum(), rel=1e-6)
    few = features[:500].astype(float)
    direct = few @ np.linalg.inv(features.T.astype(float) @ features + scale * np.eye(6)) @ few.T
    assert np.allclose(leverage[:500], np.diag(direct), rtol=1e-5)
    assert leverage.max() <= 1


def test_leverage_of_nothing_is_nothing() -> None:
    assert (ridge_leverage(np.zeros((10, 3)), 1e-3) == 0).all()


def test_d_optimal_conditions_better_than_random() -> None:
    """It keeps the rare points that alone see a direction."""
    rng = np.random.default_rng(10)
    features = rng.normal(size=(20_000, 5)).astype(np.float32)
    features[:, 4] = np.where(rng.random(20_000) < 0.002, 20.0, 0.0)
    candidates = Candidates(20_000, features=features)
    rare = [
        np.mean(
            [
                (features[m.select(candidates, 200, np.random.default_rng(s)).indices, 4] > 0).sum()
                for s in range(5)
            ]
        )
        for m in (DOptimal(), Uniform())
    ]
    assert rare[0] > 5 * rare[1]


# -- snapshots ----------------------------------------------------------------------------------


def test_snapshot_moments_equal_brute_force() -> None:
    rng = np.random.default_rng(11)
    features = rng.normal(size=(40_000, 3)).astype(np.float32)  # several blocks
    member = rng.integers(0, 7, 40_000)
    moments = snapshot_moments(features, member, 7)
    for k in range(7):
        own = features[member == k].astype(float)
        assert np.allclose(moments[k], np.concatenate([own.mean(axis=0), own.std(axis=0)]), atol=1e-6)


def test_snapshots_cover_the_rest_and_are_whole() -> None:
    """Three kinds of snapshots, many copies of each: three chosen ones are of three kinds."""
    rng = np.random.default_rng(12)
    kind = np.array([0] * 10 + [1] * 3 + [2] * 2)
    features = np.concatenate([rng.normal(loc=3.0 * k, size=(100, 4)) for k in kind]).astype(np.float32)
    snapshot = np.repeat(np.arange(15, dtype=np.int32) + 100, 100)
    candidates = Candidates(1500, features=features, snapshot=snapshot)
    selection = WholeSnapshots(n_snapshots=3).select(candidates, 150, rng)
    chosen = np.unique(snapshot[selection.indices])
    assert sorted(kind[chosen - 100]) == [0, 1, 2]
    assert selection.notes[0].startswith("only 3 of 15 snapshots")
    assert all(str(name) in selection.notes[0] for name in chosen)


def test_snapshots_take_more_where_the_points_do_not_suffice() -> None:
    rng = np.random.default_rng(13)
    features = rng.normal(size=(1000, 2)).astype(np.float32)
    candidates = Candidates(1000, features=features, snapshot=np.repeat(np.arange(10), 100))
    selection = WholeSnapshots(n_snapshots=2).select(candidates, 350, rng)
    assert len(np.unique(selection.indices // 100)) == 4
    assert any("took 4 snapshots, not 2" in note for note in selection.notes)


def test_cover_order_is_a_permutation_from_the_centre_outwards() -> None:
    moments = np.array([[0.0], [1.0], [5.0], [5.1], [-4.0]])
    assert cover_order(moments, np.ones(5)).tolist() == [1, 4, 3, 0, 2]
