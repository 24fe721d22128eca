"""Ridge regression: against least squares, and its penalty chosen without test data."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearsight.errors import InputError, ModelFileError
from nearsight.networks import FitData, LinearSettings
from nearsight.networks.conformance import check_network

GENERATOR = torch.Generator()


def points(n: int = 300, d: int = 5, noise: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)).astype(np.float32)
    return x, x @ np.arange(1, d + 1) / d + 0.7 + noise * rng.normal(size=n)


def predict(settings_: LinearSettings, data: FitData, x: np.ndarray) -> np.ndarray:
    return settings_.fit(data, generator=GENERATOR).predict(torch.from_numpy(x)).numpy()


@pytest.mark.parametrize("settings_", [LinearSettings(degree=1), LinearSettings(), LinearSettings(ridge=0.1)])
def test_linear_conforms(settings_: LinearSettings) -> None:
    check_network(settings_)


def test_streamed_normal_equations_equal_least_squares() -> None:
    x, t = points(20_000)  # several blocks
    columns = np.column_stack([x.astype(float), np.ones(len(x))])
    expected = columns @ np.linalg.lstsq(columns, t, rcond=None)[0]
    found = predict(LinearSettings(degree=1, ridge=0.0), FitData.of(x, t), x)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_degree_two_equals_least_squares_on_all_products() -> None:
    x, t = points(300, 4)
    t = t + 0.5 * x[:, 0] * x[:, 1] - 0.3 * x[:, 2] ** 2
    products = [x[:, i] * x[:, j] for i, j in combinations_with_replacement(range(4), 2)]
    columns = np.column_stack([x, *products, np.ones(len(x))]).astype(float)
    expected = columns @ np.linalg.lstsq(columns, t, rcond=None)[0]
    found = predict(LinearSettings(ridge=0.0), FitData.of(x, t), x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    straight = predict(LinearSettings(degree=1, ridge=0.0), FitData.of(x, t), x)
    assert np.abs(straight - expected).max() > 0.5


def test_ridge_equals_the_textbook() -> None:
    x, t = points()
    centred, scale = x - x.mean(0, dtype=float), x.astype(float).std(0)
    z = centred / scale
    beta = np.linalg.solve(z.T @ z / len(z) + 0.3 * np.eye(5), z.T @ (t - t.mean()) / len(z))
    found = predict(LinearSettings(degree=1, ridge=0.3), FitData.of(x, t), x)
    np.testing.assert_allclose(found, z @ beta + t.mean(), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([1, 2]), st.sampled_from([0.0, 1e-3, 0.1]))
def test_weight_two_is_the_point_twice(seed: int, degree: int, ridge: float) -> None:
    x, t = points(80, 3, seed=seed)
    times = np.random.default_rng(seed).integers(0, 4, 80)
    times[:40] = np.maximum(times[:40], 1)
    settings_ = LinearSettings(degree=degree, ridge=ridge, components=2)  # type: ignore[arg-type]
    one = predict(settings_, FitData.of(x, t, times.astype(float)), x)
    kept = np.repeat(np.arange(80), times)
    assert np.count_nonzero(times) >= 40  # enough for all products either way
    two = predict(settings_, FitData.of(x[kept], t[kept]), x)
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_a_large_mean_does_not_swallow_a_small_spread() -> None:
    x, t = points(d=2)
    found = predict(LinearSettings(degree=1, ridge=0.0), FitData.of(x, 1e7 + t), x).astype(float)
    shifted = predict(LinearSettings(degree=1, ridge=0.0), FitData.of(x, t), x)
    np.testing.assert_allclose(found - 1e7, shifted, atol=1.0)  # float32 of 1e7
    np.testing.assert_allclose(
        predict(LinearSettings(degree=1, ridge=0.0), FitData.of(x + 1000, t), x + 1000), shifted, atol=1e-3
    )


def test_features_that_depend_on_each_other_do_no_harm() -> None:
    x, t = points()
    twice = np.column_stack([x, x[:, 0], np.full(len(x), 3.0)]).astype(np.float32)
    found = predict(LinearSettings(degree=1, ridge=0.0), FitData.of(twice, t), twice)
    np.testing.assert_allclose(
        found, predict(LinearSettings(degree=1, ridge=0.0), FitData.of(x, t), x), atol=1e-5
    )


def test_cross_validation_equals_its_definition() -> None:
    """n ‖(1 − H) t‖² / tr(1 − H)², with the hat matrix H written out."""
    from nearsight.networks.linear import Linear, Moments, _RidgePath

    x, t = points(40, 6, noise=1.0)
    data = FitData.of(x, t)
    path = _RidgePath(Moments.of(Linear(6, LinearSettings(degree=1)), data))
    z = (x - x.mean(0, dtype=float)) / x.astype(float).std(0)
    for ridge in (0.0, 0.01, 1.0):
        hat = z @ np.linalg.solve(z.T @ z + 40 * ridge * np.eye(6), z.T) + 1 / 40
        left = np.eye(40) - hat
        expected = 40 * np.sum((left @ t) ** 2) / np.trace(left) ** 2
        assert path.cross_validation(ridge) == pytest.approx(expected, rel=1e-6)


def test_the_penalty_grows_with_the_noise_and_helps() -> None:
    x, t = points(60, 40, noise=3.0)
    fresh, truth = points(2000, 40, noise=0.0, seed=9)
    chosen = LinearSettings(degree=1).fit(FitData.of(x, t), generator=GENERATOR)
    free = predict(LinearSettings(degree=1, ridge=0.0), FitData.of(x, t), fresh)
    found = chosen.predict(torch.from_numpy(fresh)).numpy()
    assert ((found - truth) ** 2).mean() < 0.7 * ((free - truth) ** 2).mean()
    clean = LinearSettings(degree=1).fit(FitData.of(*points(60, 40, noise=0.0)), generator=GENERATOR)
    assert chosen.notes["ridge"] > 100 * clean.notes["ridge"]


def test_validation_points_choose_where_there_are_some() -> None:
    """What the training points hold as certain, the held-out ones contradict."""
    x, t = points(noise=0.0)
    validation = FitData.of(x, np.full(len(x), t.mean()))
    data = FitData(
        x, t, np.ones(len(x)), np.zeros(5, np.float32), np.ones(5, np.float32), validation=validation
    )
    assert LinearSettings(degree=1).fit(data, generator=GENERATOR).notes["ridge"] == 1.0


def test_products_wait_until_there_are_points_for_them() -> None:
    terms = [
        LinearSettings(components=4).fit(FitData.of(*points(n, 5)), generator=GENERATOR).n_terms
        for n in (20, 60, 600)
    ]
    assert terms == [5, 8, 15]


@pytest.mark.parametrize("bad", [{"degree": 3}, {"components": 0}, {"ridge": -1.0}, {"ridge": float("nan")}])
def test_bad_settings_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(InputError):
        LinearSettings(**bad)  # type: ignore[arg-type]


def test_tensors_of_another_model_are_refused() -> None:
    network = LinearSettings().fit(FitData.of(*points()), generator=GENERATOR)
    with pytest.raises(ModelFileError, match=r"does not fit|do not fit"):
        LinearSettings().build(4).load_tensors(network.tensors())
    with pytest.raises(ModelFileError, match="do not fit"):
        LinearSettings().build(5).load_tensors({"weights": torch.zeros(5)})
