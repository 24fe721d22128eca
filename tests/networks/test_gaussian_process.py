"""Gaussian process: analytic limits, brute-force twins, and a likelihood that finds what made the data."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from nearsight.errors import ConvergenceError, InputError, ModelFileError
from nearsight.networks import FitData, GaussianProcess, GaussianProcessSettings
from nearsight.networks.conformance import check_network
from nearsight.networks.fit_data import Block
from nearsight.networks.kernels import Kernel, half_squares
from nearsight.networks.likelihood import Scale, choose_scale, learned_metric, log_likelihood

KERNELS = ("rbf", "matern52", "linear", "linear+rbf")


def settings(**given: object) -> GaussianProcessSettings:
    """Length and noise given, plain distances."""
    plain = {"length": 2.0, "noise": 1e-2, "metric_rounds": 0}
    return GaussianProcessSettings(**plain | given)  # type: ignore[arg-type]


def even(n: int, value: float) -> torch.Tensor:
    return torch.full((n,), value, dtype=torch.float64)


def points(n: int = 80, d: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)).astype(np.float32)
    return x, np.sin(x[:, 0]) + 0.3 * x[:, 1] * x[:, 2] + 0.05 * rng.normal(size=n)


def fit(chosen: GaussianProcessSettings, data: FitData, seed: int = 0) -> GaussianProcess:
    return chosen.fit(data, generator=torch.Generator().manual_seed(seed))


def kernel(name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Written out with loops over nothing but NumPy's broadcasting."""
    r2 = ((a[:, None].astype(float) - b[None]) ** 2).sum(-1)
    linear = 1 + a.astype(float) @ b.T.astype(float)
    if name == "matern52":
        r = np.sqrt(5 * r2)
        return (1 + r + r**2 / 3) * np.exp(-r)
    return {"rbf": np.exp(-r2 / 2), "linear": linear, "linear+rbf": linear + np.exp(-r2 / 2)}[name]


@pytest.mark.parametrize(
    "chosen",
    [
        GaussianProcessSettings(),
        GaussianProcessSettings(kernel="matern52", store_variance=True),
        GaussianProcessSettings(kernel="linear+rbf", metric_rounds=1),
        settings(kernel="linear", store_variance=True),
        GaussianProcessSettings(max_exact=30, inducing=20, store_variance=True, metric_rounds=0),
    ],
)
def test_gaussian_process_conforms(chosen: GaussianProcessSettings) -> None:
    check_network(chosen)


@pytest.mark.parametrize("name", KERNELS)
def test_mean_and_variance_equal_the_textbook(name: str) -> None:
    (x, t), (fresh, _) = points(), points(50, seed=1)
    weight = np.random.default_rng(2).uniform(0.5, 2, len(x))
    found = fit(settings(kernel=name, store_variance=True), FitData.of(x, t, weight))
    covariance = kernel(name, x / 2, x / 2) + np.diag(1e-2 / weight)
    cross = kernel(name, fresh / 2, x / 2)
    mean = cross @ np.linalg.solve(covariance, t)
    prior = np.diagonal(kernel(name, fresh / 2, fresh / 2))
    amplitude = t @ np.linalg.solve(covariance, t) / weight.sum()
    variance = amplitude * (prior - np.einsum("ij,ji->i", cross, np.linalg.solve(covariance, cross.T)))
    np.testing.assert_allclose(found.predict(torch.from_numpy(fresh)), mean, atol=1e-5)
    np.testing.assert_allclose(
        found.moments(torch.from_numpy(fresh)).epistemic, variance, rtol=1e-3, atol=1e-6
    )
    assert variance.min() > 1e-5
    np.testing.assert_allclose(found.moments(torch.from_numpy(fresh)).aleatoric, 1e-2 * amplitude, rtol=1e-5)


def test_it_interpolates_as_the_noise_vanishes() -> None:
    x, t = points(40)
    errors, spreads = [], []
    for noise in (1e-1, 1e-4, 1e-8):
        found = fit(settings(noise=noise, store_variance=True), FitData.of(x, t))
        errors.append(np.abs(found.predict(torch.from_numpy(x)).numpy() - t).max())
        spreads.append(float(found.moments(torch.from_numpy(x)).epistemic.max()))
    assert errors[0] > 10 * errors[2] > 0
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 1e-3
    assert spreads[0] > 10 * spreads[2]


def test_far_from_all_points_it_knows_nothing() -> None:
    x, t = points()
    found = fit(settings(store_variance=True), FitData.of(x, t))
    far = torch.full((1, 3), 100.0)
    amplitude = float(found.tensors()["variance.amplitude"])
    assert float(found.predict(far)) == pytest.approx(0, abs=1e-4)
    assert float(found.moments(far).epistemic) == pytest.approx(amplitude)
    assert amplitude > 0.1


def test_the_linear_kernel_is_bayesian_linear_regression() -> None:
    (x, t), (fresh, _) = points(), points(20, seed=1)
    found = fit(settings(kernel="linear", length=1.0), FitData.of(x, t))
    columns, new = (np.column_stack([np.ones(len(a)), a]).astype(float) for a in (x, fresh))
    beta = np.linalg.solve(columns.T @ columns + 1e-2 * np.eye(4), columns.T @ t)
    np.testing.assert_allclose(found.predict(torch.from_numpy(fresh)), new @ beta, atol=1e-6)


@pytest.mark.parametrize("name", KERNELS)
def test_all_points_as_inducing_points_are_the_exact_process(name: str) -> None:
    (x, t), (fresh, _) = points(), points(50, seed=1)
    data = FitData.of(x, t, np.random.default_rng(2).uniform(0.5, 2, len(x)))
    exact = fit(settings(kernel=name), data).predict(torch.from_numpy(fresh))
    sparse = fit(settings(kernel=name, max_exact=1, inducing=1000), data).predict(torch.from_numpy(fresh))
    np.testing.assert_allclose(sparse, exact, atol=1e-5)
    fewer = fit(settings(kernel=name, max_exact=1, inducing=3), data).predict(torch.from_numpy(fresh))
    assert (fewer - exact).abs().max() > 1e-2


@pytest.mark.parametrize("given", [{}, {"max_exact": 1, "inducing": 1000}])
def test_weight_two_is_the_point_twice(given: dict[str, object]) -> None:
    x, t = points(40)
    times = np.arange(40) % 3
    kept = np.repeat(np.arange(40), times)
    fresh = torch.from_numpy(points(50, seed=1)[0])
    chosen = settings(**given, store_variance=True)
    one = fit(chosen, FitData.of(x, t, times.astype(float)))
    two = fit(chosen, FitData.of(x[kept], t[kept]))
    np.testing.assert_allclose(one.predict(fresh), two.predict(fresh), atol=1e-5)
    np.testing.assert_allclose(
        one.moments(fresh).epistemic, two.moments(fresh).epistemic, rtol=1e-3, atol=1e-6
    )
    even = fit(chosen, FitData.of(x, t, (times > 0).astype(float))).predict(fresh)
    assert (one.predict(fresh) - even).abs().max() > 1e-3


def test_a_prediction_in_float32_keeps_its_digits() -> None:
    """A long length and little noise: weights in the hundreds that nearly cancel."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(1500, 40)) * np.linspace(3, 0.01, 40)).astype(np.float32)
    t = np.sin(x[:, 0]) + x[:, 1] * x[:, 2] / 5 + 0.05 * rng.normal(size=1500)
    t = (t - t.mean()) / t.std()
    found = fit(settings(length=40.0, noise=3e-4), FitData.of(x, t))
    own = found.tensors()
    fresh = torch.from_numpy(x[:200] + np.float32(0.01))
    z = fresh.double() @ own["metric"]
    exact = torch.exp(-half_squares(z, own["centres"].double())) @ own["alpha"]
    naive = torch.exp(-half_squares(z.float(), own["centres"])) @ own["alpha"].float()
    error = float((found.predict(fresh) - exact).std())
    assert float((naive - exact).std()) > 5 * error
    assert error < 1e-4


@pytest.mark.parametrize("name", KERNELS)
def test_gradients_equal_finite_differences(name: str) -> None:
    rng = np.random.default_rng(0)
    a, b = (torch.from_numpy(rng.normal(size=(n, 3))) for n in (4, 7))
    alpha = torch.from_numpy(rng.normal(size=7))
    chosen, step = Kernel(name), 1e-5  # type: ignore[arg-type]
    found = chosen.gradient(a, b, alpha)
    for axis in range(3):
        move = torch.zeros(3, dtype=torch.float64)
        move[axis] = step
        difference = (chosen.gram(a + move, b) - chosen.gram(a - move, b)) @ alpha / (2 * step)
        np.testing.assert_allclose(found[:, axis], difference, atol=1e-8)
    assert float(found.abs().max()) > 0.1


@pytest.mark.parametrize("name", KERNELS)
def test_scaled_gram_is_the_gram_of_scaled_points(name: str) -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(9, 3)))
    chosen = Kernel(name)  # type: ignore[arg-type]
    found = chosen.scaled_gram(half_squares(x, x), x @ x.T, 1.7)
    np.testing.assert_allclose(found, chosen.gram(x / 1.7, x / 1.7), atol=1e-12)
    np.testing.assert_allclose(chosen.diagonal(x), chosen.gram(x, x).diagonal(), atol=1e-12)


def test_likelihood_equals_scipys_at_the_best_amplitude() -> None:
    x, t = points(25)
    gram = kernel("rbf", x, x)
    covariance = gram + 1e-2 * np.eye(25)
    square = t @ np.linalg.solve(covariance, t) / 25
    expected = multivariate_normal(cov=square * covariance).logpdf(t) / 25
    found = log_likelihood(
        torch.from_numpy(gram.copy()), torch.from_numpy(t), torch.full((25,), 1e-2).double()
    )
    assert found - 0.5 - 0.5 * np.log(2 * np.pi) == pytest.approx(expected, abs=1e-6)


def test_the_likelihood_finds_the_length_and_noise_that_made_the_data() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    covariance = 9.0 * (kernel("rbf", x / 1.5, x / 1.5) + 1e-3 * np.eye(400))
    t = rng.multivariate_normal(np.zeros(400), covariance)
    block = Block(torch.from_numpy(x), torch.from_numpy(t), torch.ones(400).double())
    found = choose_scale(Kernel("rbf"), block, Scale(6.0, 0.1))
    assert found.length == pytest.approx(1.5, rel=0.25)
    assert 3e-4 < found.noise < 3e-3
    likelihoods = [
        log_likelihood(
            torch.from_numpy(kernel("rbf", x / length, x / length)),
            block.t,
            torch.full((400,), noise).double(),
        )
        for length, noise in ((found.length, found.noise), (1.5, 1e-3))
    ]
    assert likelihoods[0] > likelihoods[1] - 1e-3
    held = choose_scale(Kernel("rbf"), block, Scale(6.0, 0.1), fixed_length=True, fixed_noise=True)
    assert held == Scale(6.0, 0.1)


def test_the_metric_finds_the_directions_that_matter() -> None:
    rng = np.random.default_rng(0)
    x, fresh = (rng.normal(size=(n, 12)).astype(np.float32) for n in (150, 500))
    direction = np.zeros(12)
    direction[:2] = 0.8, 0.6
    truth = np.sin(2 * x @ direction)
    block = Block(torch.from_numpy(x).double(), torch.from_numpy(truth), torch.ones(150).double())
    metric = learned_metric(Kernel("rbf"), block, torch.eye(12).double(), Scale(4.0, 1e-3)).numpy()
    strongest = metric[:, np.argmax(np.linalg.norm(metric, axis=0))]
    assert abs(strongest @ direction) / np.linalg.norm(strongest) > 0.9
    errors = [
        np.std(
            fit(GaussianProcessSettings(metric_rounds=rounds), FitData.of(x, truth))
            .predict(torch.from_numpy(fresh))
            .numpy()
            - np.sin(2 * fresh @ direction)
        )
        for rounds in (0, 2)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_repeated_points_count_as_many_as_are_independent() -> None:
    x, t = points(60)
    fresh, chosen = torch.from_numpy(points(50, seed=1)[0]), settings(store_variance=True)
    repeated = FitData.of(np.repeat(x, 4, axis=0), np.repeat(t, 4))
    one = fit(chosen, FitData.of(x, t)).moments(fresh).epistemic
    four = fit(chosen, repeated).moments(fresh).epistemic
    counted = fit(chosen, replace(repeated, n_effective=60.0)).moments(fresh).epistemic
    assert float((four / one).median()) < 0.6
    # the amplitude itself is of all points
    torch.testing.assert_close(counted / counted.max(), one / one.max(), rtol=1e-3, atol=1e-6)


def test_a_file_of_before_the_noise_was_stored_still_opens() -> None:
    x, t = points()
    found = fit(settings(store_variance=True), FitData.of(x, t))
    old = {name: tensor for name, tensor in found.tensors().items() if name != "variance.noise"}
    opened = settings(store_variance=True).build(3)
    opened.load_tensors(old)
    one, two = (network.moments(torch.from_numpy(x)) for network in (found, opened))
    assert torch.equal(one.epistemic, two.epistemic)
    assert torch.equal(one.mean, two.mean)
    assert float(two.aleatoric.max()) == 0
    assert float(one.aleatoric.min()) > 0


def test_a_constant_target_is_no_trouble() -> None:
    x, _ = points()
    found = fit(GaussianProcessSettings(), FitData.of(x, np.zeros(len(x))))
    assert float(found.predict(torch.from_numpy(x)).abs().max()) == 0


def test_the_likelihoods_choice_is_noted() -> None:
    x, t = points()
    found = fit(GaussianProcessSettings(), FitData.of(x, t))
    assert found.notes["centres"] == 80
    assert found.notes["exact"] is True
    assert found.notes["noise"] < 0.1
    assert fit(settings(max_exact=50, inducing=30), FitData.of(x, t)).notes["centres"] == 30


def test_a_singular_covariance_says_what_to_try() -> None:
    x, t = points(40)
    data = FitData.of(np.concatenate([x, x]), np.concatenate([t, t]))
    with pytest.raises(ConvergenceError, match="raise noise"):
        fit(settings(noise=1e-300), data)


@pytest.mark.parametrize(
    "bad", [{"kernel": "cosine"}, {"length": 0.0}, {"noise": -1.0}, {"inducing": 0}, {"metric_rounds": -1}]
)
def test_bad_settings_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(InputError):
        GaussianProcessSettings(**bad)  # type: ignore[arg-type]


def test_variance_must_be_asked_for_and_tensors_must_fit() -> None:
    x, t = points()
    found = fit(settings(), FitData.of(x, t))
    with pytest.raises(InputError, match="store_variance: true"):
        found.moments(torch.from_numpy(x))
    assert not found.knows_uncertainty
    with pytest.raises(ModelFileError, match="does not fit"):
        settings().build(4).load_tensors(found.tensors())
    with pytest.raises(ModelFileError, match="do not fit"):
        settings(store_variance=True).build(3).load_tensors(found.tensors())
    with pytest.raises(ModelFileError, match="alpha"):
        settings().build(3).load_tensors(found.tensors() | {"alpha": torch.zeros(2)})
