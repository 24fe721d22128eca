"""GraNd scores: the closed form against automatic differentiation, point by point."""

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, vmap

from nearsight.errors import InputError
from nearsight.networks import MLPSettings
from nearsight.points import PointSet
from nearsight.training import (
    PointTable,
    ScoreSettings,
    TrainSettings,
    gradient_norms,
    score_points,
)


def per_sample_norms(network: torch.nn.Module, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """‖∂(output − t)²/∂parameters‖ of each point by automatic differentiation."""
    parameters = {name: p.detach() for name, p in network.named_parameters()}

    def loss(parameters: dict[str, torch.Tensor], x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return (functional_call(network, parameters, (x[None],))[0] - t).square()

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, x, t)
    return sum(g.flatten(1).square().sum(1) for g in gradients.values()).sqrt()


@pytest.mark.parametrize(
    "settings",
    [
        MLPSettings(width=32, depth=3),
        MLPSettings(width=16, depth=5, activation="relu", output="relu"),
        MLPSettings(width=16, depth=1, activation="tanh"),
        MLPSettings(depth=0),
    ],
)
def test_closed_form_equals_per_sample_autograd(settings: MLPSettings) -> None:
    generator = torch.Generator().manual_seed(0)
    network = settings.build(7, generator)
    x = torch.randn(200, 7, generator=generator)
    t = torch.randn(200, generator=generator)
    expected = per_sample_norms(network, x, t)
    norms, residuals = gradient_norms(network, x, t)
    assert float(expected.median()) > 0.1
    assert float(expected.std()) > 0.1
    assert torch.allclose(norms, expected, rtol=1e-5, atol=1e-6)
    assert torch.allclose(residuals, (network.predict(x) - t).abs(), atol=1e-6)
    assert all(p.grad is None for p in network.parameters())


def test_bfloat16_gives_the_same_norms_within_its_rounding() -> None:
    generator = torch.Generator().manual_seed(0)
    network = MLPSettings(width=64, depth=3).build(7, generator)
    x, t = torch.randn(500, 7, generator=generator), torch.randn(500, generator=generator)
    exact, _ = gradient_norms(network, x, t)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded, _ = gradient_norms(network, x, t)
    far = (exact > exact.median()).nonzero()[:, 0]
    assert 0 < float((rounded[far] / exact[far] - 1).abs().max()) < 0.1


def make_table(n: int = 700) -> PointTable:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    y = 0.5 + 0.1 * np.sin(2 * x[:, 0]) + 0.05 * x[:, 1]
    y[:10] += 1.0
    return PointTable(PointSet(np.zeros(n), np.arange(n), np.ones(n)), x, y, None)


TRAIN = TrainSettings(batch=128, threads=1, precision="float32", device="cpu")


def test_scores_find_what_does_not_fit() -> None:
    settings = ScoreSettings(initialisations=3, steps=150)
    scores = score_points(make_table(), MLPSettings(width=16, depth=2), "total", settings, TRAIN)
    for found in (scores.grand, scores.residual):
        assert found.shape == (700,)
        assert found.dtype == np.float32
        assert (found >= 0).all()
        assert len(set(np.argsort(-found)[:10]) & set(range(10))) >= 8
    assert scores.settings["initialisations"] == 3
    assert scores.settings["steps"] == 150


def test_scores_do_not_depend_on_the_block_and_follow_the_seed() -> None:
    table, network = make_table(), MLPSettings(width=16, depth=2)

    def grand(block: int, seed: int) -> np.ndarray:
        settings = ScoreSettings(initialisations=2, steps=30, block=block)
        return score_points(table, network, "total", settings, TRAIN, seed=seed).grand

    one = grand(4096, 0)
    assert one.std() > 0.01
    np.testing.assert_allclose(grand(97, 0), one, rtol=1e-4, atol=1e-6)
    assert np.array_equal(grand(4096, 0), one)
    assert not np.allclose(grand(4096, 1), one, rtol=1e-2)


def test_scores_are_means_over_initialisations() -> None:
    table, network = make_table(), MLPSettings(width=16, depth=2)
    few, many = (
        score_points(table, network, "total", ScoreSettings(initialisations=k, steps=20), TRAIN)
        for k in (1, 2)
    )
    assert not np.allclose(few.grand, many.grand, rtol=1e-3)
    assert 0.3 < few.grand.mean() / many.grand.mean() < 3


def test_refusals() -> None:
    with pytest.raises(InputError, match="ReLU output"):
        score_points(make_table(), MLPSettings(output="relu"), "difference")
    with pytest.raises(InputError, match="at least one"):
        ScoreSettings(initialisations=0)
