"""The Bayesian network against exact results: divergence, moments, linear regression, and its limits."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from nearsight.errors import InputError, ModelFileError
from nearsight.model.file import load_model, save_model
from nearsight.networks import (
    BayesianMLP,
    BayesianSettings,
    FineTunableNetwork,
    LossNetwork,
    MLPSettings,
    UncertainNetwork,
)
from nearsight.networks.conformance import check_network
from nearsight.networks.mean_field import MeanFieldLinear, affine, layer_noise
from nearsight.networks.noise import _GAIN, _START
from nearsight.points import PointSet
from nearsight.store.table import PointTable
from nearsight.training import TrainResult, TrainSettings, train_model


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_layer(n_in: int = 4, n_out: int = 3, seed: int = 0) -> MeanFieldLinear:
    """A layer whose posterior and prior have nothing in common."""
    layer, random = MeanFieldLinear(n_in, n_out), generator(seed)
    with torch.no_grad():
        for tensor in (layer.mean, layer.slow_log_deviation, layer.prior_mean, layer.prior_deviation):
            tensor.normal_(0.0, 0.3, generator=random)
        layer.prior_deviation.exp_()
    return layer


@pytest.mark.parametrize(
    "settings",
    [
        BayesianSettings(width=16, depth=2),
        BayesianSettings(width=8, depth=0),
        BayesianSettings(width=8, depth=1, activation="tanh", beta=0.0, samples=3),
    ],
)
def test_it_conforms(settings: BayesianSettings) -> None:
    check_network(settings)
    network = settings.build(5, generator())
    for kind in (UncertainNetwork, LossNetwork, FineTunableNetwork):
        assert isinstance(network, kind)


@pytest.mark.parametrize(
    "bad",
    [
        {"width": 0},
        {"activation": "step"},
        {"prior": 0.0},
        {"deviation": float("nan")},
        {"temperature": -1.0},
        {"kl_warmup": 1.5},
        {"beta": 2.0},
        {"samples": 0},
    ],
)
def test_bad_settings_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        BayesianSettings(**bad)


# --- one layer


@given(seed=st.integers(0, 1000))
@hypothesis_settings(max_examples=20, deadline=None)
def test_the_divergence_is_that_of_normal_distributions(seed: int) -> None:
    layer = random_layer(seed=seed)
    posterior = Normal(layer.mean, layer.log_deviation.exp())
    prior = Normal(layer.prior_mean, layer.prior_deviation)
    expected = kl_divergence(posterior, prior).sum()
    assert layer.divergence().item() == pytest.approx(expected.item(), rel=1e-5)
    layer.adopt_posterior_as_prior()
    assert layer.divergence().item() == pytest.approx(0.0, abs=1e-4)


def test_drawn_outputs_are_distributed_as_those_of_drawn_weights() -> None:
    layer, x = random_layer(), torch.randn(1, 4, generator=generator(1))
    n, random = 8_000, generator(2)
    with torch.no_grad():
        outputs = layer.drawn(x.expand(n, 4), torch.randn(n, 3, generator=random))
        brute = torch.cat([affine(x, layer.drawn_weights(random)) for _ in range(n)])
        exact = layer.output_variance(x)[0]
    for found in (outputs, brute):
        torch.testing.assert_close(found.mean(0), layer(x)[0].detach(), atol=0.08, rtol=0)
        torch.testing.assert_close(found.var(0), exact, rtol=0.08, atol=0)
        kurtosis = ((found - found.mean(0)) ** 4).mean(0) / found.var(0) ** 2
        torch.testing.assert_close(kurtosis, torch.full((3,), 3.0), rtol=0.12, atol=0)
    assert float(exact.min()) > 0.1


@pytest.mark.parametrize("n_rows", [1, 5, 12, 13])
def test_the_noise_of_a_row_is_independent_over_the_layers(n_rows: int) -> None:
    layers = list(layer_noise(n_rows, 2000, 3, generator()))
    assert [tuple(noise.shape) for noise in layers] == [(n_rows, 2000)] * 3
    for row in range(n_rows):
        related = np.corrcoef(np.stack([noise[row].numpy() for noise in layers]))
        np.testing.assert_allclose(related, np.eye(3), atol=0.1)
        assert float(layers[2][row].std()) == pytest.approx(1.0, abs=0.06)
    assert list(layer_noise(4, 2, 0, generator())) == []


def test_drawing_survives_bfloat16() -> None:
    """The variance of an output that is a hundred times its deviation is the same in either precision."""
    layer, x = random_layer(n_in=64, n_out=32), torch.randn(2000, 64, generator=generator(1))
    with torch.no_grad():
        layer.slow_log_deviation.sub_(1.3)
        exact = layer.output_variance(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = layer.output_variance(x)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, rtol=0.03, atol=0)


# --- a linear network, where everything is known


def linear_data(n: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3)).astype(np.float32) @ np.diag([1.0, 0.5, 0.05]).astype(np.float32)
    t = x @ [0.8, -0.5, 0.3] + 0.2 + 0.134 * rng.normal(size=n)
    return torch.from_numpy(x), torch.from_numpy(t.astype(np.float32))


def fit_linear(n_effective: float, **options: Any) -> BayesianMLP:
    """A linear network on all points at once, its noise kept at softplus(-4), which is 0.135²."""
    settings = BayesianSettings(depth=0, kl_warmup=0.0, **{"temperature": 1.0, "beta": 0.0} | options)
    network = settings.build(3, generator())
    network.noise.requires_grad_(False)
    network.noise.head.bias.fill_((-4.0 - _START) / _GAIN)
    x, t = linear_data()
    steps = 400
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.06)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.06 * (1 - step / steps)
        optimizer.zero_grad()
        loss = network.loss(x, t, torch.ones(len(t)), n_effective=n_effective, done=step / steps)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network


def exact_posterior(n_effective: float, prior: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and precision of Bayesian linear regression: Λ = n XᵀX / (N s²) + 1/σ_p² (Bishop 2006, 3.50)."""
    x, t = (a.numpy().astype(np.float64) for a in linear_data())
    x = np.column_stack([x, np.ones(len(x))])
    noise = np.log1p(np.exp(-4.0)) + 1e-8
    scale = n_effective / len(t) / noise
    precision = scale * x.T @ x + np.eye(4) / prior**2
    return np.linalg.solve(precision, scale * x.T @ t), precision


@pytest.mark.parametrize("n_effective", [5.0, 50.0])
def test_a_linear_network_finds_the_mean_field_posterior(n_effective: float) -> None:
    """Its means are the exact posterior's, its variances the inverse diagonal of the precision."""
    network = fit_linear(n_effective)
    mean, precision = exact_posterior(n_effective, prior=3**-0.5)
    np.testing.assert_allclose(network.head.mean.detach().numpy()[0], mean, atol=0.02)
    found = network.head.log_deviation.detach().exp().numpy()[0]
    np.testing.assert_allclose(found, np.diag(precision) ** -0.5, rtol=0.1)
    x = linear_data()[0][:10]
    columns = np.column_stack([x.numpy(), np.ones(10)])
    epistemic = network.moments(x).epistemic.numpy()
    np.testing.assert_allclose(epistemic, columns**2 @ (1 / np.diag(precision)), rtol=0.2)


def test_a_temperature_is_so_many_more_points() -> None:
    cold, more = fit_linear(5.0, temperature=0.1), fit_linear(50.0)
    for one, other in zip(cold.tensors().values(), more.tensors().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_endless_data_gives_least_squares_and_none_gives_the_prior() -> None:
    x, t = (a.numpy().astype(np.float64) for a in linear_data())
    expected = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), t, rcond=None)[0]
    certain = fit_linear(1e9, beta=1.0)
    np.testing.assert_allclose(certain.head.mean.detach().numpy()[0], expected, atol=0.02)
    assert certain.head.log_deviation.exp().max().item() < 0.02
    nothing = fit_linear(1e-6)
    prior = 3**-0.5
    np.testing.assert_allclose(nothing.head.mean.detach().numpy(), 0.0, atol=0.02 * prior)
    np.testing.assert_allclose(nothing.head.log_deviation.detach().exp().numpy(), prior, rtol=0.02)


# --- a whole network


def truth(x: Any) -> Any:
    return x + 0.5 * x**2


def curve(n: int = 400, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A bent line on −1 … 1, with noise of 0.05 on the left and 0.3 on the right."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 1))
    t = truth(x[:, 0]) + np.where(x[:, 0] < 0, 0.05, 0.3) * rng.normal(size=n)
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(t.astype(np.float32))


def fit_curve(n_effective: float, steps: int = 400) -> BayesianMLP:
    network = BayesianSettings(width=16, depth=1).build(1, generator())
    x, t = curve()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-2 * (1 - step / steps)
        optimizer.zero_grad()
        loss = network.loss(x, t, torch.ones(len(t)), n_effective=n_effective, done=step / steps)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network


def test_epistemic_variance_grows_away_from_the_data_and_falls_with_more_of_it() -> None:
    few, many = fit_curve(20.0), fit_curve(2000.0)
    inside, outside = torch.linspace(-0.8, 0.8, 17)[:, None], torch.tensor([[3.0], [-3.0]])
    for network in (few, many):
        near, far = (network.moments(x).epistemic.mean() for x in (inside, outside))
        assert float(far) > 4 * float(near)
    assert float(few.moments(inside).epistemic.mean()) > 3 * float(many.moments(inside).epistemic.mean())
    noise = many.moments(torch.tensor([[-0.6], [0.6]])).aleatoric.sqrt()
    np.testing.assert_allclose(noise.numpy(), [0.05, 0.3], rtol=0.4)
    error = many.predict(inside) - truth(inside[:, 0])
    assert float(error.square().mean().sqrt()) < 0.1


def noisy_network(samples: int = 16, deviation: float = 0.1) -> BayesianMLP:
    settings = BayesianSettings(width=16, depth=2, samples=samples, deviation=deviation)
    return settings.build(5, generator())


def test_moments_are_those_of_drawn_networks() -> None:
    """The last layer's exact part and the drawn part together are the spread of whole drawn networks."""
    network, x = noisy_network(samples=1000), torch.randn(6, 5, generator=generator(1))
    layers = network._layers()
    random, outputs = generator(3), []
    for _ in range(1000):
        a = x
        for layer in layers:
            a = affine(a, layer.drawn_weights(random).detach())
            a = a if layer is network.head else torch.nn.functional.gelu(a)
        outputs.append(a.squeeze(1))
    brute = (torch.stack(outputs) - network.predict(x)).square().mean(0)
    torch.testing.assert_close(network.moments(x).epistemic, brute, rtol=0.25, atol=0)
    with torch.no_grad():
        stepped = network._drawn(x.repeat(2000, 1), random).reshape(2000, 6)
    stepped = (stepped - network.predict(x)).square().mean(0)
    torch.testing.assert_close(stepped, brute, rtol=0.25, atol=0)
    assert float(brute.min()) > 1e-4


def test_blocks_are_judged_by_the_same_drawn_networks() -> None:
    network, x = noisy_network(), torch.randn(64, 5, generator=generator(1))
    whole = network.moments(x)
    for part, rows in zip(torch.split(x, 13), torch.split(torch.arange(64), 13), strict=True):
        for one, other in zip(network.moments(part), whole, strict=True):
            torch.testing.assert_close(one, other[rows], rtol=1e-4, atol=1e-7)
    assert torch.equal(whole.mean, network.predict(x))
    fewer = replace(network.settings, samples=5).build(5)
    fewer.load_tensors(network.tensors())
    assert not torch.equal(fewer.moments(x).epistemic, whole.epistemic)


def test_without_deviations_it_is_the_plain_perceptron() -> None:
    network, plain = noisy_network(deviation=1e-6), MLPSettings(width=16, depth=2).build(5)
    means = [layer.mean.detach() for layer in network._layers()]
    plain.load_tensors(
        {f"layers.{k}.weight": m[:, :-1].clone() for k, m in enumerate(means)}
        | {f"layers.{k}.bias": m[:, -1].clone() for k, m in enumerate(means)}
    )
    x, t = torch.randn(64, 5, generator=generator(1)), torch.randn(64, generator=generator(2))
    torch.testing.assert_close(network.predict(x), plain.predict(x))
    network.loss(x, t, torch.ones(64), n_effective=1e12, done=1.0).backward()  # type: ignore[no-untyped-call]
    variance = float(network.moments(x).aleatoric.mean())
    (0.5 / variance * (plain(x) - t).square().mean()).backward()
    for layer, linear in zip(network._layers(), plain.layers, strict=True):
        assert isinstance(linear, torch.nn.Linear)
        assert layer.mean.grad is not None
        torch.testing.assert_close(layer.mean.grad[:, :-1], linear.weight.grad, rtol=1e-3, atol=1e-3)


def test_the_loss_draws_by_its_step_and_leaves_the_global_state_alone() -> None:
    network, x = noisy_network(), torch.randn(64, 5, generator=generator(1))
    before = torch.get_rng_state()
    t, weight = torch.zeros(64), torch.ones(64)
    one, two, other = (network.loss(x, t, weight, n_effective=64, done=d).item() for d in (0.5, 0.5, 0.501))
    assert one == two
    assert one != other
    assert torch.equal(before, torch.get_rng_state())


# --- fine-tuning, files and training


def test_fine_tuning_takes_the_posterior_as_prior() -> None:
    network = fit_curve(100.0, steps=50)
    copy = network.fine_tuned(1)
    x, t = curve()
    for one, other in zip(copy.moments(x), network.moments(x), strict=True):
        assert torch.equal(one, other)
    for layer, learned in zip(copy._layers(), network._layers(), strict=True):
        assert torch.equal(layer.prior_mean, learned.mean)
        assert torch.equal(layer.prior_deviation, learned.log_deviation.exp())
        assert layer.divergence().item() == pytest.approx(0.0, abs=1e-2)
        assert learned.divergence().item() > 1.0
    assert copy.settles_at == 0.0
    optimizer = torch.optim.Adam([p for p in copy.parameters() if p.requires_grad], lr=1e-2)
    copy.loss(x, t + 1, torch.ones(len(t)), n_effective=10.0, done=0.0).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    first, second = copy._layers()
    assert torch.equal(first.mean, network._layers()[0].mean)
    assert torch.equal(first.log_deviation, network._layers()[0].log_deviation)
    assert not torch.equal(second.mean, network._layers()[1].mean)
    with pytest.raises(InputError, match="can be frozen"):
        network.fine_tuned(2)


def test_a_posterior_holds_a_fine_tuned_network_where_new_data_says_little() -> None:
    network = fit_curve(2000.0, steps=200)
    x, t = curve()
    moved = {}
    for n_effective in (1e-3, 1e6):
        copy = network.fine_tuned(0)
        optimizer = torch.optim.Adam(copy.parameters(), lr=3e-3)
        for step in range(60):
            optimizer.zero_grad()
            loss = copy.loss(x, t + 0.5, torch.ones(len(t)), n_effective=n_effective, done=step / 60)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        moved[n_effective] = float((copy.predict(x) - network.predict(x)).mean())
    assert abs(moved[1e-3]) < 0.1
    assert moved[1e6] > 0.35


def test_weights_of_another_shape_are_refused() -> None:
    other = BayesianSettings(width=8, depth=2).build(5)
    with pytest.raises(ModelFileError, match="do not fit"):
        other.load_tensors(noisy_network().tensors())


class Coordinates:
    """A descriptor that is not asked for features."""

    name = "coordinates"
    species = (13,)
    n_features = 5

    def settings(self) -> dict[str, Any]:
        return {"name": self.name}


def make_table(n: int, seed: int) -> PointTable:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype(np.float32)
    y = 0.4 + 0.1 * np.sin(x[:, 0]) + 0.02 * rng.normal(size=n)
    return PointTable(PointSet(np.arange(n) % 2, np.arange(n), np.ones(n)), x, y, None)


def train(extra: dict[str, Any], **options: Any) -> TrainResult:
    settings: dict[str, Any] = {
        "steps": 200,
        "batch": 64,
        "threads": 1,
        "device": "cpu",
        "precision": "float32",
    }
    return train_model(
        make_table(600, 0),
        make_table(200, 1),
        Coordinates(),  # type: ignore[arg-type]
        BayesianSettings(width=16, depth=1),
        "total",
        TrainSettings(**(settings | extra)),
        radial={},
        valence={13: 3.0},
        engine=None,
        spacing=0.3,
        seed=5,
        n_effective=100.0,
        **options,
    )


class InterruptedRunError(Exception):
    """Stands for a killed process."""


@pytest.mark.parametrize("extra", [{}, {"ema": 0.98}, {"precision": "bfloat16"}])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, extra: dict[str, Any]) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if done >= 120:
            raise InterruptedRunError

    folder = {"checkpoint_dir": tmp_path, "checkpoint_seconds": 0.0}
    whole = train(extra)
    with pytest.raises(InterruptedRunError):
        train(extra, progress=interrupt, **folder)
    seen: list[int] = []
    resumed = train(extra, progress=lambda stage, done, total: seen.append(done), **folder)
    assert seen[0] >= 80
    assert resumed.history == whole.history
    ours, theirs = resumed.model.network.tensors(), whole.model.network.tensors()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_no_weights_are_kept_before_the_prior_has_its_full_weight() -> None:
    result = train({"learning_rate": 3e-2, "decay": "constant", "checks": 50})
    network = result.model.network
    assert isinstance(network, BayesianMLP)
    late = [e for e in result.history if e["step"] >= 0.25 * 200]
    assert result.validation_nrmse_percent == min(e["validation_nrmse_percent"] for e in late)
    assert len(late) < len(result.history)


def test_weight_decay_leaves_the_posterior_alone() -> None:
    one, other = (train({"weight_decay": decay}).model.network.tensors() for decay in (0.0, 0.5))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_model_file_keeps_posterior_prior_and_what_is_drawn(tmp_path: Path) -> None:
    model = train({"steps": 60}).model
    save_model(model, tmp_path / "model.nst")
    read = load_model(tmp_path / "model.nst", build_descriptor=lambda settings: Coordinates())  # type: ignore[arg-type,return-value]
    features = make_table(50, 2).features
    for one, other in zip(*(m.predict_uncertain_points(features, None) for m in (model, read)), strict=True):
        assert np.array_equal(one, other)
        assert float(np.abs(other).min()) > 0
    assert isinstance(read.network, BayesianMLP)
    assert read.network.fine_tuned(1).n_layers == 2
    assert read.digest() == model.digest()
