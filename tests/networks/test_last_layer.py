"""The last layer as Bayesian regression: brute-force twins, evidence at its largest, noise found again."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from nearsight.errors import InputError, ModelFileError
from nearsight.networks import (
    EnsembleSettings,
    LastLayer,
    LastLayerSettings,
    MLPSettings,
    UncertainNetwork,
    network_from_settings,
)
from nearsight.networks.conformance import check_network
from nearsight.networks.evidence import fit_log_variance, prior_by_evidence
from nearsight.networks.quadratic_form import QuadraticForm

INNER = {"name": "mlp", "width": 8, "depth": 1}


def doubles(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.from_numpy(rng.normal(size=shape))


def fitted(seed: int = 0) -> LastLayer:
    """A random network with a made-up posterior and noise."""
    rng = np.random.default_rng(seed)
    network = LastLayerSettings(INNER).build(5, torch.Generator().manual_seed(seed))
    root = doubles(rng, 9, 9)
    network.set_precision(root @ root.T + torch.eye(9).double())
    weights = 10 * doubles(rng, 9)
    weights[-1] = 0.0
    network.set_noise(weights, -0.5, 0.5)
    return network


def x(n: int = 40) -> torch.Tensor:
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(9))


def test_it_conforms_before_and_after_the_fit() -> None:
    check_network(LastLayerSettings(INNER))
    check_network(EnsembleSettings(2, {"name": "last_layer", "inner": INNER}))


def test_moments_equal_the_textbook() -> None:
    network = fitted()
    assert isinstance(network, UncertainNetwork)
    assert network.knows_uncertainty
    phi = network.features(x()).double()
    assert phi.shape == (40, 9)
    assert bool((phi[:, -1] == 1).all())
    found = network.moments(x())
    assert torch.equal(found.mean, network.predict(x()))
    torch.testing.assert_close(found.mean, (phi @ network.inner.head().double()).float())
    epistemic = torch.einsum("ip,pq,iq->i", phi, torch.linalg.inv(network.precision), phi)
    torch.testing.assert_close(found.epistemic, epistemic.float(), rtol=1 / 9, atol=0)
    torch.testing.assert_close(found.aleatoric, network.noise_variance(phi).float(), rtol=1e-4, atol=0)
    held = (found.aleatoric.log().abs() > 0.5 - 1e-6).float().mean()
    assert 0 < held < 1  # some noise is at a bound, some between


def test_the_mean_is_the_plain_networks_bit_for_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    plain = MLPSettings(width=8, depth=1).build(5, generator)
    assert torch.equal(fitted().predict(x()), plain.predict(x()))


def test_variances_are_float32_under_autocast() -> None:
    network = fitted()
    expected = network.moments(x())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = network.moments(x())
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0.1, atol=0.02)
    assert not torch.equal(found.epistemic, expected.epistemic)


def test_a_point_added_to_the_precision_is_known_better() -> None:
    network = fitted()
    before = network.moments(x()).epistemic
    phi = network.features(x(1)).double()
    network.set_precision(network.precision + phi.T @ phi / network.noise_variance(phi))
    after = network.moments(x()).epistemic
    assert bool((after <= before * (1 + 1e-5)).all())
    assert float(after[0]) < 0.99 * float(before[0])
    assert float(after[0]) < float(network.noise_variance(phi)[0])


def test_scaled_noise() -> None:
    network = fitted()
    before = network.moments(x()).aleatoric
    network.scale_noise(3.0)
    torch.testing.assert_close(network.moments(x()).aleatoric, 3 * before)


def test_what_was_not_fitted_or_does_not_fit_is_refused() -> None:
    fresh = LastLayerSettings(INNER).build(5, torch.Generator().manual_seed(0))
    assert not fresh.knows_uncertainty
    with pytest.raises(InputError, match="train it first"):
        fresh.moments(x())
    good = fitted().tensors()
    with pytest.raises(ModelFileError, match="do not fit"):
        fresh.load_tensors({n: t for n, t in good.items() if n != "noise.range"})
    with pytest.raises(ModelFileError, match="does not fit the last layer"):
        fresh.load_tensors(
            {**good, "precision": torch.eye(4).double(), "noise.weights": torch.ones(4).double()}
        )
    with pytest.raises(ModelFileError, match="do not fit"):
        LastLayerSettings({**INNER, "width": 9}).build(5).load_tensors(good)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"inner": {"name": "linear"}}, "no last layer"),
        ({"inner": {"name": "last_layer"}}, "no last layer"),
        ({"inner": {"breadth": 3}}, "'inner' of the network last_layer"),
        ({"noise": "loud"}, "features or constant"),
        ({"prior_precision": 0.0}, "positive"),
    ],
)
def test_bad_settings_are_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        LastLayerSettings(**given)  # type: ignore[arg-type]


def test_settings_are_spelled_out() -> None:
    chosen = LastLayerSettings(INNER, prior_precision=2.0)
    assert chosen.each == MLPSettings(width=8, depth=1)
    assert network_from_settings(chosen.as_dict()) == chosen
    assert LastLayerSettings().each == MLPSettings()
    assert LastLayerSettings({"output": "relu"}).positive


def test_a_fine_tuned_copy_starts_as_it_was_and_forgets_its_posterior() -> None:
    network = fitted()
    assert network.n_layers == 2
    copy = network.fine_tuned(1)
    assert torch.equal(copy.predict(x()), network.predict(x()))
    assert not copy.knows_uncertainty
    trainable = [p.requires_grad for p in copy.inner.parameters()]  # type: ignore[attr-defined]
    assert trainable == [False, False, True, True]
    with pytest.raises(InputError, match="can be frozen"):
        network.fine_tuned(2)


# -- evidence -----------------------------------------------------------------------------------


def log_evidence(alpha: float, phi: np.ndarray, t: np.ndarray, noise: float) -> float:
    """Of t = φ θ + noise with θ ~ N(0, 1/α), in closed form."""
    covariance = phi @ phi.T / alpha + noise * np.eye(len(t))
    return float(multivariate_normal(cov=covariance).logpdf(t))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), spread=st.floats(0.3, 3.0))
def test_the_prior_is_where_the_evidence_is_largest(seed: int, spread: float) -> None:
    """With θ at the posterior mean of that very prior, MacKay's fixed point is the evidence's maximum."""
    rng = np.random.default_rng(seed)
    phi = rng.normal(size=(60, 4))
    t = phi @ (spread * rng.normal(size=4)) + 0.3 * rng.normal(size=60)
    alpha = 1.0
    values = torch.linalg.eigvalsh(torch.from_numpy(phi.T @ phi / 0.09))
    for _ in range(200):
        theta = np.linalg.solve(phi.T @ phi / 0.09 + alpha * np.eye(4), phi.T @ t / 0.09)
        found = prior_by_evidence(values, torch.from_numpy(theta))
        alpha = found.precision
    best = log_evidence(alpha, phi, t, 0.09)
    assert best >= max(log_evidence(alpha * f, phi, t, 0.09) for f in (0.9, 1.1)) - 1e-9
    assert best > log_evidence(alpha * 10, phi, t, 0.09)
    assert 0 < found.settled <= 4


def test_what_the_data_does_not_touch_is_left_to_the_prior() -> None:
    found = prior_by_evidence(torch.tensor([1e9, 1e9, 0.0]).double(), torch.tensor([1.0, 1.0, 0.0]))
    assert found.settled == pytest.approx(2)
    assert found.precision == pytest.approx(1)


def test_a_log_variance_is_found_again() -> None:
    rng = np.random.default_rng(0)
    phi = doubles(rng, 20_000, 3)
    truth = torch.tensor([0.7, -0.4, 0.0, -2.0]).double()
    squares = (phi @ truth[:3] + truth[3]).exp() * doubles(rng, 20_000).square()
    found = fit_log_variance(phi, squares, torch.ones(20_000).double(), 20_000)
    torch.testing.assert_close(found, truth, atol=0.05, rtol=0)
    few = fit_log_variance(phi[:300], squares[:300], torch.ones(300).double(), 3.0)
    assert float(few[:3].abs().max()) < 0.5 * float(found[:3].abs().max())  # held back
    log = phi[:300] @ few[:3] + few[3]
    assert float((squares[:300] / log.exp()).mean()) == pytest.approx(1, abs=1e-3)  # the offset is free


def test_a_log_variance_does_not_ask_for_the_features_units() -> None:
    rng = np.random.default_rng(1)
    phi, weight = doubles(rng, 400, 3), torch.from_numpy(rng.uniform(0.5, 2, 400))
    squares = (0.5 * phi[:, 0]).exp() * doubles(rng, 400).square()
    plain = fit_log_variance(phi, squares, weight, 100.0)
    moved = phi * torch.tensor([10.0, 0.1, -3.0]).double() + 5
    other = fit_log_variance(moved, 4 * squares, 3 * weight, 100.0)
    one, two = phi @ plain[:3] + plain[3], moved @ other[:3] + other[3]
    torch.testing.assert_close(two, one + np.log(4), rtol=0, atol=1e-3)
    assert float(one.std()) > 0.1


def test_constant_features_are_no_trouble() -> None:
    squares = torch.tensor([1.0, 3.0]).double()
    found = fit_log_variance(torch.ones(2, 4).double(), squares, torch.ones(2).double(), 2.0)
    assert float(found[:4].sum() + found[4]) == pytest.approx(np.log(2), abs=1e-6)


# -- the quadratic form -------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), prior=st.floats(1e-2, 1e3), strength=st.floats(1e-3, 1e8))
def test_the_form_is_within_a_ninth_whatever_the_data(seed: int, prior: float, strength: float) -> None:
    rng = np.random.default_rng(seed)
    phi = torch.cat([doubles(rng, 200, 12) * torch.logspace(0, -4, 12).double() + 1, even_ones(200)], dim=1)
    precision = strength * phi.T @ phi + prior * torch.eye(13).double()
    weights = doubles(rng, 13)
    found, linear = QuadraticForm.of(precision, weights).values(phi[:, :-1].float())
    rounded = torch.cat([phi[:, :-1].float().double(), even_ones(200)], dim=1)
    exact = torch.einsum("ip,pq,iq->i", rounded, torch.linalg.inv(precision), rounded)
    torch.testing.assert_close(found.double(), exact, rtol=1 / 9 + 5e-3, atol=0)
    torch.testing.assert_close(linear.double(), rounded @ weights, rtol=1e-4, atol=1e-5)


def even_ones(n: int) -> torch.Tensor:
    return torch.ones(n, 1, dtype=torch.float64)


def test_directions_that_the_data_leaves_alone_cost_nothing() -> None:
    rng = np.random.default_rng(0)
    few = doubles(rng, 100, 3)
    phi = torch.cat([few @ doubles(rng, 3, 40), even_ones(100)], dim=1)
    form = QuadraticForm.of(0.1 * phi.T @ phi + torch.eye(41).double(), torch.zeros(41).double())
    assert len(form.rows) == 3 + 1
    assert form.whole == pytest.approx(1)
    away = doubles(rng, 10, 40).float()  # where the data never was, the prior's variance remains
    norm = (away - form.centre).square().sum(1)
    assert bool((form.values(away)[0] > 0.5 * norm).all())
    certain = QuadraticForm.of(1e9 * phi.T @ phi + torch.eye(41).double(), torch.zeros(41).double())
    assert certain.whole == 0.0  # a difference would lose all digits
    assert len(certain.rows) == 40 + 1
