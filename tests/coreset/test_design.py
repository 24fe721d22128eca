"""Choosing whole structures: against the conditional covariance of a joint Gaussian, and by clusters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from nearsight.coreset.design import (
    covering_groups,
    group_distances,
    most_informative,
)
from nearsight.errors import InputError

seeds = st.integers(0, 2**16)


def factors(seed: int, n: int = 6, m: int = 5, q: int = 4) -> np.ndarray:
    """Factors of structures, each in its own mixture of directions."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, m, q)) * rng.uniform(0.1, 2.0, size=(n, 1, q))


def information(found: np.ndarray, noise: float) -> np.ndarray:
    """Of one label at each point."""
    return np.swapaxes(found, 1, 2) @ found / noise


def target(found: np.ndarray) -> np.ndarray:
    rows = found.reshape(-1, found.shape[2])
    return rows.T @ rows / len(rows)


def conditioned(found: np.ndarray, chosen: list[int], noise: float) -> float:
    """Mean variance of all points once those of the chosen are measured, by the joint covariance itself."""
    rows = found.reshape(-1, found.shape[2])
    prior = rows @ rows.T
    known = np.concatenate([np.arange(len(rows)).reshape(len(found), -1)[i] for i in chosen])
    gain = np.linalg.solve(prior[np.ix_(known, known)] + noise * np.eye(len(known)), prior[known])
    return float(np.mean(np.diag(prior) - np.einsum("ij,ij->j", prior[known], gain)))


@given(seed=seeds, noise=st.floats(0.05, 5.0))
def test_every_choice_is_the_best_by_brute_force(seed: int, noise: float) -> None:
    found = factors(seed)
    design = most_informative(information(found, noise), 3, target=target(found))
    before = float(np.mean((found**2).sum(axis=2)))
    for k in range(3):
        taken = design.order[:k].tolist()
        after = [np.inf if i in taken else conditioned(found, [*taken, i], noise) for i in range(len(found))]
        best = after[int(design.order[k])]
        assert best == pytest.approx(min(after), rel=1e-8)
        assert design.value[k] == pytest.approx(before - best, rel=1e-6, abs=1e-10)
        assert design.value[k] > 0
        before = best


@given(seed=seeds)
def test_parameters_can_be_rotated(seed: int) -> None:
    found = factors(seed)
    turned = found @ np.linalg.qr(np.random.default_rng(seed + 1).normal(size=(4, 4)))[0]
    one, two = (most_informative(information(f, 0.3), 4, target=target(f)) for f in (found, turned))
    np.testing.assert_array_equal(one.order, two.order)
    np.testing.assert_allclose(one.value, two.value, rtol=1e-8)


def test_a_batch_does_not_repeat_itself() -> None:
    # five copies of the most uncertain structure, and one of another kind
    found = np.zeros((6, 1, 2))
    found[:5, 0, 0], found[5, 0, 1] = 1.0, 0.9
    design = most_informative(information(found, 0.01), 2, target=target(found))
    assert sorted(design.order.tolist()) == [0, 5]
    assert np.argsort(-(found**2).sum(axis=(1, 2)), kind="stable")[1] != 5


@given(seed=seeds, k=st.integers(1, 40))
def test_group_distances_are_those_of_scipy(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    groups, known = rng.normal(size=(4, 7, 3)).astype(np.float32), rng.normal(size=(k, 3)).astype(np.float32)
    wanted = cdist(groups.reshape(-1, 3), known).min(axis=1).reshape(4, 7) / np.sqrt(3)
    np.testing.assert_allclose(group_distances(groups, known), wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("n", [0, 4])
def test_counts_out_of_range(n: int) -> None:
    found = factors(0, n=3)
    with pytest.raises(InputError, match=f"cannot choose {n} of 3 structures"):
        most_informative(information(found, 1.0), n, target=target(found))
    with pytest.raises(InputError, match=f"cannot choose {n} of 3 structures"):
        covering_groups(found, n)


def cover(groups: np.ndarray, chosen: list[int], known: np.ndarray) -> float:
    points = groups.reshape(-1, groups.shape[2])
    there = np.concatenate([known, groups[chosen].reshape(-1, groups.shape[2])])
    return float(cdist(points, there).min(axis=1).mean() / np.sqrt(groups.shape[2]))


@given(seed=seeds)
def test_every_covering_choice_is_the_best_by_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups, known = rng.normal(size=(6, 5, 3)) + rng.normal(size=(6, 1, 3)), rng.normal(size=(4, 3))
    design = covering_groups(groups, 3, known=known)
    taken: list[int] = []
    for best, value in zip(design.order.tolist(), design.value, strict=True):
        before = cover(groups, taken, known)
        after = [cover(groups, [*taken, i], known) for i in range(6) if i not in taken]
        assert cover(groups, [*taken, best], known) == pytest.approx(min(after), rel=1e-4)
        assert value == pytest.approx(before - min(after), rel=1e-3, abs=1e-6)
        taken.append(best)
    assert (np.diff(design.value) <= 1e-9).all()  # the cover is submodular


def test_covering_takes_one_group_of_each_cluster() -> None:
    rng = np.random.default_rng(0)
    label = rng.permutation(np.repeat(np.arange(4), 3))
    groups = 10.0 * np.eye(4)[label][:, None] + 0.05 * rng.normal(size=(12, 6, 4))
    assert sorted(label[covering_groups(groups, 4).order]) == [0, 1, 2, 3]
    # few targets do as well as all, and a weight draws the choice
    assert sorted(label[covering_groups(groups, 4, n_targets=24).order]) == [0, 1, 2, 3]
    heavy = np.where(label == 3, 100.0, 1.0)[:, None] * np.ones((12, 6))
    known = groups[label == 0].reshape(-1, 4)
    assert label[covering_groups(groups, 1, known=known, weight=heavy).order[0]] == 3
