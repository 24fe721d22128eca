"""`FitData`: blocks are the whole, standardised as a prediction does it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nearsight.errors import InputError
from nearsight.networks import FitData


def make(n: int = 50) -> FitData:
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (n, 4)).astype(np.float32)
    weight = rng.uniform(0.5, 2, n)
    weight[::7] = 0
    return FitData(x, rng.normal(size=n), weight, x.mean(0), x.std(0))


def test_blocks_are_the_points_of_positive_weight_in_order() -> None:
    data = make()
    kept = data.weight > 0
    assert len(data) == kept.sum() < 50
    whole = data.take()
    expected = ((data.features - data.mean) / data.std)[kept]
    assert np.array_equal(whole.x.numpy(), expected)
    assert whole.x.dtype == torch.float32
    for part, all_ in zip(zip(*data.blocks(8), strict=True), whole, strict=True):
        assert torch.equal(torch.cat(part), all_)


def test_a_mapped_file_gives_the_same(tmp_path: Path) -> None:
    data = make()
    mapped = np.memmap(tmp_path / "x", dtype=np.float32, mode="w+", shape=data.features.shape)
    mapped[:] = data.features
    other = FitData(mapped, data.target, data.weight, data.mean, data.std)
    assert torch.equal(other.take().x, data.take().x)


def test_a_sample_is_drawn_without_replacement() -> None:
    data = make()
    one, two = (data.sample(10, torch.Generator().manual_seed(s)) for s in (0, 1))
    assert len(np.unique(one)) == 10
    assert not np.array_equal(one, two)
    assert one.max() < len(data)
    assert np.array_equal(data.sample(1000, torch.Generator()), np.arange(len(data)))


@pytest.mark.parametrize(
    ("target", "weight", "says"),
    [
        (np.ones(3), np.ones(4), "targets and weights"),
        (np.array([1, np.nan, 1, 1]), np.ones(4), "not finite"),
        (np.ones(4), np.zeros(4), "positive weight"),
        (np.ones(4), np.array([1, 1, -1, 1.0]), "negative weight"),
    ],
)
def test_bad_data_is_refused(target: np.ndarray, weight: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        FitData.of(np.ones((4, 2)), target, weight)
