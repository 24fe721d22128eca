import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearsight.errors import InputError
from nearsight.points import PointSet

SIZES = st.lists(st.integers(0, 12), max_size=5)


@given(SIZES)
def test_all_of_lists_every_point_once_in_grid_order(sizes: list[int]) -> None:
    numbers = [3 * i + 1 for i in range(len(sizes))]
    points = PointSet.all_of(numbers, sizes)
    expected = [(s, i) for s, n in zip(numbers, sizes, strict=True) for i in range(n)]
    assert list(zip(points.snapshot.tolist(), points.index.tolist(), strict=True)) == expected
    assert len(points) == sum(sizes)
    assert (points.weight == 1).all()


@given(SIZES, st.integers(0, 1000))
def test_by_snapshot_partitions_a_shuffled_set(sizes: list[int], seed: int) -> None:
    everything = PointSet.all_of(range(len(sizes)), sizes)
    points = everything.take(np.random.default_rng(seed).permutation(len(everything)))
    parts = list(points.by_snapshot())
    numbers = [number for number, _ in parts]
    assert numbers == sorted({int(s) for s in points.snapshot})
    for number, where in parts:
        assert (points.snapshot[where] == number).all()
        assert (np.diff(where) > 0).all()  # the order within a snapshot is the set's own
    together = np.concatenate([where for _, where in parts]) if parts else np.empty(0)
    assert sorted(together) == list(range(len(points)))


def test_take_keeps_weights_unless_told_otherwise() -> None:
    points = PointSet(np.array([0, 0, 1]), np.array([5, 2, 9]), np.array([0.5, 1.0, 1.5]))
    taken = points.take(np.array([2, 0]))
    assert (taken.snapshot.tolist(), taken.index.tolist(), taken.weight.tolist()) == (
        [1, 0],
        [9, 5],
        [1.5, 0.5],
    )
    assert points.take(np.array([2, 0]), np.array([1.0, 1.0])).weight.tolist() == [1.0, 1.0]


def test_dtypes_are_settled_and_arrays_are_locked() -> None:
    points = PointSet(np.array([0.0]), np.array([2]), np.array([1]))
    assert (points.snapshot.dtype, points.index.dtype, points.weight.dtype) == (
        np.int32,
        np.int64,
        np.float32,
    )
    with pytest.raises(ValueError, match="read-only"):
        points.index[0] = 1


def test_vectors_of_different_length_are_refused() -> None:
    with pytest.raises(InputError, match="equally long"):
        PointSet(np.zeros(2), np.zeros(3), np.zeros(2))
    with pytest.raises(InputError, match="equally long"):
        PointSet(np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2)))
