"""The kinds of scores: each against its definition, point by point."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import functional_call, grad, vmap

from nearsight.coreset.protocol import SCORES
from nearsight.errors import InputError
from nearsight.networks import MLPSettings
from nearsight.points import PointSet
from nearsight.training import PointTable, ScoreSettings, TrainSettings, score_points
from nearsight.training.proxy import Panel, train_panel
from nearsight.training.score_kinds import KINDS, Judge, dual, judged, last_inputs

TRAIN = TrainSettings(batch=128, threads=1, precision="float32", device="cpu")
SMALL = MLPSettings(width=16, depth=2)
BRIEF = ScoreSettings(initialisations=2, steps=24, precision="float32")


def make_table(n: int = 600) -> PointTable:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    y = 0.5 + 0.1 * np.sin(2 * x[:, 0]) + 0.05 * x[:, 1]
    return PointTable(PointSet(np.zeros(n), np.arange(n), np.ones(n)), x, y, None)


def make_panel(settings: ScoreSettings, *kinds: str) -> Panel:
    table = make_table()
    return train_panel(table, SMALL, "total", settings, TRAIN, kinds, n_points=len(table))


@pytest.mark.parametrize("output", ["linear", "relu"])
def test_last_layer_equals_per_sample_autograd(output: str) -> None:
    generator = torch.Generator().manual_seed(0)
    network = MLPSettings(width=16, depth=3, output=output).build(7, generator)  # type: ignore[arg-type]
    x, t = torch.randn(200, 7, generator=generator) * 3, torch.randn(200, generator=generator)
    if output == "relu":  # some outputs are cut off, so that their gradients vanish
        with torch.no_grad():
            network.layers[-1].weight *= 100
    weights = {name: p.detach() for name, p in network.named_parameters()}

    def loss(weights: dict[str, torch.Tensor], x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return (functional_call(network, weights, (x[None],))[0] - t).square()

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))(weights, x, t)
    last = [g.flatten(1).square().sum(1) for name, g in gradients.items() if name.startswith("layers.3.")]
    assert len(last) == 2
    expected = (last[0] + last[1]).sqrt()
    assert bool((expected == 0).any()) == (output == "relu")
    assert float(expected.std()) > 0.1
    found, _ = judged(Judge(network), x, t, ["last_layer"], window=2)
    assert list(found) == ["last_layer"]
    assert torch.allclose(found["last_layer"], expected, rtol=1e-5, atol=1e-6)


def test_leverages_add_up_to_the_effective_dimension() -> None:
    settings = replace(BRIEF, initialisations=1, proxy=None, ridge=0.03)
    panel = make_panel(settings, "leverage")
    table = make_table()
    x = torch.from_numpy((table.features - panel.scaler.mean) / panel.scaler.std)
    network = panel.judges[0].network
    a = last_inputs(network.traced(x)[1]).detach().double().numpy()
    gram = a.T @ a
    damping = 0.03 * np.trace(gram) / len(gram)
    effective = np.trace(gram @ np.linalg.inv(gram + damping * np.eye(len(gram))))
    leverage = panel.score(table)["leverage"]
    assert 1 < effective < len(gram) - 1
    assert leverage.sum() == pytest.approx(effective, rel=1e-4)
    expected = np.einsum("ij,jk,ik->i", a, np.linalg.inv(gram + damping * np.eye(len(gram))), a)
    np.testing.assert_allclose(leverage, expected, rtol=1e-3)


def test_leverage_from_a_part_of_the_points_is_scaled_up_to_all() -> None:
    table = make_table()
    half = [
        train_panel(table, SMALL, "total", BRIEF, TRAIN, ("leverage",), n_points=n).score(table)["leverage"]
        for n in (600, 1200)
    ]
    np.testing.assert_allclose(half[1], half[0] / 2, rtol=1e-4)


def test_disagreement_is_the_deviation_of_the_outputs_and_zero_where_all_agree() -> None:
    panel, table = make_panel(replace(BRIEF, initialisations=3), "disagreement"), make_table()
    x = torch.from_numpy((table.features - panel.scaler.mean) / panel.scaler.std)
    outputs = np.stack([judge.network.predict(x).numpy() for judge in panel.judges])
    found = panel.score(table)["disagreement"]
    assert found.mean() > 1e-3
    np.testing.assert_allclose(found, outputs.std(axis=0, ddof=1), rtol=1e-3, atol=1e-5)
    agreeing = replace(panel, judges=(panel.judges[0],) * 3)
    np.testing.assert_allclose(agreeing.score(table)["disagreement"], 0, atol=1e-6)


@given(st.integers(2, 6), st.integers(0, 4), st.integers(0, 2**16))
def test_dual_equals_its_definition(window: int, more: int, seed: int) -> None:
    confidence = np.random.default_rng(seed).random((window + more, 5))
    expected = np.zeros(5)
    for start in range(more + 1):
        part = confidence[start : start + window]
        expected += (1 - part.mean(axis=0)) * part.std(axis=0, ddof=1)
    found = dual(torch.from_numpy(confidence), window).numpy()
    np.testing.assert_allclose(found, expected / (more + 1), rtol=1e-10)
    assert (found > 0).all()


@given(st.floats(0, 1))
def test_dual_of_a_constant_trajectory_is_zero(confidence: float) -> None:
    assert float(dual(torch.full((7, 1), confidence, dtype=torch.float64), 3)) == pytest.approx(0, abs=1e-12)


def test_dual_and_difficulty_follow_the_errors_along_the_training() -> None:
    settings = replace(BRIEF, initialisations=1, steps=60, checks=6, window=3)
    panel, table = make_panel(settings, "dual", "difficulty"), make_table()
    judge = panel.judges[0]
    assert len(judge.earlier) == 5
    assert settings.check_steps() == [10, 20, 30, 40, 50, 60]
    x = torch.from_numpy((table.features - panel.scaler.mean) / panel.scaler.std)
    t = panel.target.encode(table.density, None)
    errors = np.stack([np.abs(n.predict(x).numpy() - t) for n in (*judge.earlier, judge.network)])
    assert errors[0].mean() > 1.2 * errors[-1].mean()
    assert judge.spread == pytest.approx(np.median(errors), rel=0.02)
    confidence = np.exp(-errors / judge.spread)
    found = panel.score(table)
    np.testing.assert_allclose(found["difficulty"], 1 - confidence.mean(axis=0), rtol=1e-3, atol=1e-5)
    expected = dual(torch.from_numpy(confidence), 3).numpy()
    assert expected.std() > 1e-3
    np.testing.assert_allclose(found["dual"], expected, rtol=1e-2, atol=1e-4)


def test_a_network_that_never_moves_has_no_dual() -> None:
    settings = replace(BRIEF, initialisations=1, checks=6, window=3)
    panel = make_panel(settings, "dual", "difficulty")
    judge = panel.judges[0]
    still = replace(panel, judges=(replace(judge, earlier=(judge.network,) * 5),))
    found = still.score(make_table())
    np.testing.assert_allclose(found["dual"], 0, atol=1e-6)
    assert found["difficulty"].std() > 0.01


@pytest.mark.parametrize(
    "kinds", [("grand",), ("leverage", "dual"), ("disagreement",), ("difficulty", "last_layer"), KINDS]
)
def test_exactly_the_kinds_asked_for(kinds: tuple[str, ...]) -> None:
    scores = score_points(make_table(), SMALL, "total", BRIEF, TRAIN, kinds=kinds)
    assert tuple(scores.columns) == kinds
    assert scores.settings["kinds"] == list(kinds)
    for column in scores.columns.values():
        assert column.shape == (600,)
        assert column.dtype == np.float32
        assert np.isfinite(column).all()
        assert column.min() >= 0
        assert column.std() > 0
    if "grand" not in kinds:
        with pytest.raises(InputError, match="'grand' was not computed"):
            _ = scores.grand


def test_a_kind_is_the_same_alone_and_in_company() -> None:
    together = score_points(make_table(), SMALL, "total", BRIEF, TRAIN, kinds=KINDS).columns
    for kind in KINDS:
        alone = score_points(make_table(), SMALL, "total", BRIEF, TRAIN, kinds=[kind]).columns[kind]
        assert np.array_equal(alone, together[kind]), kind


def test_forward_only_kinds_take_no_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = [kind for kind in KINDS if kind != "grand"]
    panel = make_panel(BRIEF, *forward)
    with_gradients = replace(panel, kinds=("grand",))

    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("a backward pass")

    monkeypatch.setattr(torch.autograd, "grad", forbidden)
    monkeypatch.setattr(torch.Tensor, "backward", forbidden)
    assert set(panel.score(make_table())) == set(forward)
    with pytest.raises(AssertionError, match="a backward pass"):
        with_gradients.score(make_table())


def test_the_names_are_those_that_selection_methods_ask_for() -> None:
    assert KINDS == SCORES


def test_refusals() -> None:
    def score(kinds: tuple[str, ...], **settings: int) -> None:
        score_points(make_table(), SMALL, "total", ScoreSettings(**settings), TRAIN, kinds=kinds)

    with pytest.raises(InputError, match="unknown score 'wit'; known: grand"):
        score(("grand", "wit"))
    with pytest.raises(InputError, match="at least one kind"):
        score(())
    with pytest.raises(InputError, match="at least 2 initialisations"):
        score(("disagreement",), initialisations=1)
    with pytest.raises(InputError, match="12 times in 5 steps"):
        score(("dual",), steps=5)
    for wrong in ({"proxy": 0.0}, {"proxy": 1.5}, {"proxy_width": 0}, {"proxy_depth": -1}, {"ridge": 0.0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            ScoreSettings(**wrong)  # type: ignore[arg-type]
    for wrong in ({"window": 1}, {"window": 13}):
        with pytest.raises(InputError, match="window ≤ checks"):
            ScoreSettings(**wrong)  # type: ignore[arg-type]
