"""Target, scaler, model and model files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nearsight.atomic.radial import RadialDensity
from nearsight.descriptors import PowerSpectrum
from nearsight.errors import InputError, ModelFileError, UnknownElementError
from nearsight.model import DensityModel, FeatureScaler, Target, load_model, save_model
from nearsight.model.tensorfile import read_tensor_file, write_tensor_file
from nearsight.networks import MLPSettings
from nearsight.structure import Structure


def radial(number: int = 13) -> RadialDensity:
    r = np.linspace(0, 6, 40)
    return RadialDensity(number, r, np.exp(-r) * (1 - r / 6) ** 2, 3.0, {"solver": "none"})


def make_model(**changes: Any) -> DensityModel:
    descriptor = PowerSpectrum((13,), channels=(2, 2))
    n = descriptor.n_features
    rng = np.random.default_rng(0)
    parts: dict[str, Any] = {
        "descriptor": descriptor,
        "network": MLPSettings(width=8, depth=2).build(n, torch.Generator().manual_seed(0)),
        "scaler": FeatureScaler(rng.normal(size=n), rng.random(n) + 0.5),
        "target": Target("difference", 0.01, 0.3),
        "radial": {13: radial()},
        "valence": {13: 3.0},
        "engine": {"engine": "fake", "functional": "PBE"},
        "spacing": 0.31,
        "provenance": {"data": "abc"},
    }
    return DensityModel(**(parts | changes))


def some_points(model: DensityModel, n: int = 50) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, model.descriptor.n_features)).astype(np.float32), rng.random(n)


# -- target -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["total", "difference"])
def test_target_decodes_what_it_encodes(kind: Any) -> None:
    rng = np.random.default_rng(0)
    density, rho_saed, weight = rng.random(300), rng.random(300), rng.random(300)
    target = Target.fit(kind, density, rho_saed, weight)
    encoded = target.encode(density, rho_saed)
    assert encoded.dtype == np.float32
    assert np.average(encoded, weights=weight) == pytest.approx(0, abs=1e-5)
    assert np.average(encoded**2, weights=weight) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(target.decode(encoded, rho_saed), density, atol=1e-6)


def test_a_rectified_target_is_scaled_and_not_shifted() -> None:
    density = np.random.default_rng(0).random(300)
    target = Target.fit("total", density, None, positive=True)
    assert target.shift == 0.0
    assert target.encode(density, None).mean() == pytest.approx(1.0, abs=1e-5)
    assert target.decode(np.zeros(3, np.float32), None).tolist() == [0.0, 0.0, 0.0]


def test_relu_is_refused_with_the_difference() -> None:
    density = np.random.default_rng(0).random(30)
    with pytest.raises(InputError, match="ReLU output cannot learn the difference"):
        Target.fit("difference", density, density, positive=True)
    network = MLPSettings(width=8, depth=1, output="relu").build(make_model().descriptor.n_features)
    with pytest.raises(InputError, match="ReLU output"):
        make_model(network=network)


def test_a_difference_needs_atomic_densities() -> None:
    with pytest.raises(InputError, match="atomic densities"):
        Target.fit("difference", np.ones(3), None)
    with pytest.raises(UnknownElementError, match="Al"):
        make_model(radial={})
    assert make_model(radial={}, target=Target("total", 0.0, 1.0)).radial == {}


def test_a_constant_density_is_no_division_by_zero() -> None:
    assert Target.fit("total", np.full(10, 0.3), None).scale == 1.0
    with pytest.raises(InputError, match="total or difference"):
        Target("sum", 0.0, 1.0)  # type: ignore[arg-type]


# -- scaler -------------------------------------------------------------------------------------


@given(
    arrays(np.float32, (40, 3), elements=st.floats(-100, 100, width=32)),
    st.floats(-1e4, 1e4),
    st.integers(1, 50),
)
@settings(max_examples=40, deadline=None)
def test_scaler_equals_plain_moments(x: np.ndarray, offset: float, block: int) -> None:
    x = x + np.float32(offset)
    weight = np.linspace(0.5, 1.5, 40).astype(np.float32)
    scaler = FeatureScaler.fit(x, weight, block=block)
    mean = np.average(x.astype(np.float64), axis=0, weights=weight)
    np.testing.assert_allclose(scaler.mean, mean, rtol=1e-5, atol=1e-4)
    std = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weight))
    varied = std > 1e-2
    np.testing.assert_allclose(scaler.std[varied], std[varied], rtol=1e-3)


def test_constant_features_become_zero() -> None:
    rng = np.random.default_rng(0)
    x = np.stack([np.full(100, 7.3), np.zeros(100), rng.normal(size=100)], axis=1).astype(np.float32)
    scaler = FeatureScaler.fit(x)
    assert scaler.std[:2].tolist() == [1.0, 1.0]
    scaled = (x - scaler.mean) / scaler.std
    assert np.abs(scaled[:, :2]).max() < 1e-5
    assert scaled[:, 2].std() == pytest.approx(1.0, abs=1e-5)


# -- model --------------------------------------------------------------------------------------


def test_predict_points_is_scaler_network_target() -> None:
    model = make_model()
    features, rho_saed = some_points(model)
    x = torch.from_numpy((features - model.scaler.mean) / model.scaler.std)
    expected = model.network.predict(x).numpy() * 0.3 + 0.01 + rho_saed
    found = model.predict_points(features, rho_saed, precision="float32")
    assert found.dtype == np.float64
    assert np.ptp(found - rho_saed) > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_bfloat16_products_round_and_no_more() -> None:
    model = make_model()
    features, rho_saed = some_points(model)
    exact = model.predict_points(features, rho_saed, precision="float32")
    rounded = model.predict_points(features, rho_saed, precision="bfloat16")
    assert 0 < np.abs(rounded - exact).max() < 0.02 * np.ptp(exact - rho_saed)


def test_unseen_elements_are_named() -> None:
    model = make_model()
    structure = Structure(np.eye(3) * 10, np.array([[0.0, 0, 0], [4.0, 0, 0]]), np.array([13, 29]))
    with pytest.raises(UnknownElementError, match=r"never saw Cu \(in AlCu\); it was trained on Al"):
        model.n_electrons(structure)
    assert model.n_electrons(Structure(np.eye(3) * 10, np.zeros((1, 3)), np.array([13]))) == 3.0


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="features"):
        make_model(scaler=FeatureScaler(np.zeros(2), np.ones(2)))


# -- file ---------------------------------------------------------------------------------------


def test_a_model_survives_its_file_bit_for_bit(tmp_path: Path) -> None:
    model = make_model(calibration={"scale": 1.25})
    path = tmp_path / "model.nst"
    save_model(model, path)
    loaded = load_model(path)
    features, rho_saed = some_points(model)
    for precision in ("float32", "bfloat16"):
        assert np.array_equal(
            loaded.predict_points(features, rho_saed, precision=precision),  # type: ignore[arg-type]
            model.predict_points(features, rho_saed, precision=precision),  # type: ignore[arg-type]
        )
    assert loaded.digest() == model.digest()
    assert loaded.descriptor == model.descriptor
    assert loaded.network.settings == model.network.settings
    for name in ("target", "valence", "engine", "spacing", "calibration", "provenance"):
        assert getattr(loaded, name) == getattr(model, name)
    assert loaded.radial[13].digest() == model.radial[13].digest()
    assert [p.name for p in tmp_path.iterdir()] == ["model.nst"]


def test_the_digest_follows_what_settles_predictions() -> None:
    assert make_model().digest() == make_model(provenance={"data": "other"}).digest()
    assert make_model().digest() != make_model(target=Target("difference", 0.01, 0.31)).digest()


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "model.nst"
    save_model(make_model(), path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    header_end = 8 + int.from_bytes(content[:8], "little")
    positions = [
        *range(16),
        *rng.choice(header_end, 150, replace=False),
        *(header_end + rng.choice(len(content) - header_end, 60, replace=False)),
        len(content) - 1,
    ]
    for position in positions:
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        with pytest.raises(ModelFileError) as caught:
            load_model(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 4, 8, 100, 3000, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "model.nst"
    save_model(make_model(), path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ModelFileError, match=r"model\.nst"):
        load_model(path)


def test_missing_foreign_and_newer_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.nst"
    with pytest.raises(ModelFileError, match="there is no file"):
        load_model(path)
    with pytest.raises(ModelFileError, match="cannot read"):
        load_model(tmp_path)
    path.write_bytes(b"\x80\x04\x95 a pickle, say")
    with pytest.raises(ModelFileError, match="no nearsight-model file"):
        load_model(path)
    write_tensor_file(path, "nearsight-checkpoint", 1, {}, {"a": np.ones(2)})
    with pytest.raises(ModelFileError, match="no nearsight-model file"):
        load_model(path)
    write_tensor_file(path, "nearsight-model", 99, {}, {"a": np.ones(2)})
    with pytest.raises(ModelFileError, match=r"has format 99.*upgrade nearsight"):
        load_model(path)
    write_tensor_file(path, "nearsight-model", 1, {"descriptor": {}}, {"a": np.ones(2)})
    with pytest.raises((ModelFileError, InputError)):
        load_model(path)


def test_tensor_files_keep_header_and_arrays(tmp_path: Path) -> None:
    arrays_in = {"b": np.arange(6.0).reshape(2, 3), "a": np.float32([1.5]), "empty": np.empty((0, 4))}
    write_tensor_file(tmp_path / "x", "kind", 3, {"pi": np.float64(np.pi), "t": (1, 2)}, arrays_in)
    header, arrays_out = read_tensor_file(tmp_path / "x", "kind", 3)
    assert header == {"pi": np.pi, "t": [1, 2]}
    assert set(arrays_out) == set(arrays_in)
    for name, array in arrays_in.items():
        assert np.array_equal(arrays_out[name], array)
        assert arrays_out[name].dtype == array.dtype
