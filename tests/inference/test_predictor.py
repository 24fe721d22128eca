"""Prediction of whole densities: blocks, electron count, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nearsight.atomic.radial import RadialDensity
from nearsight.atomic.superposition import superpose
from nearsight.descriptors import PowerSpectrum
from nearsight.errors import GridMismatchError, InputError, UnknownElementError
from nearsight.grid import UniformGrid
from nearsight.inference import describe_grid, predict_density, predict_described
from nearsight.model import DensityModel, FeatureScaler, Target
from nearsight.networks import Ensemble, EnsembleSettings, MLPSettings
from nearsight.structure import Structure


def make_model(kind: str = "difference", scale: float = 0.002) -> DensityModel:
    descriptor = PowerSpectrum((13,), cutoff=6.0, channels=(3, 2))
    n = descriptor.n_features
    r = np.linspace(0, 6, 80)
    rho = np.exp(-r) * (1 - r / 6) ** 2
    rho *= 3.0 / (4 * np.pi * np.trapezoid(rho * r**2, r))
    return DensityModel(
        descriptor=descriptor,
        network=MLPSettings(width=8, depth=1).build(n, torch.Generator().manual_seed(0)),
        scaler=FeatureScaler(np.zeros(n), np.ones(n)),
        target=Target(kind, 0.0 if kind == "difference" else 0.05, scale),  # type: ignore[arg-type]
        radial={13: RadialDensity(13, r, rho, 3.0, {})},
        valence={13: 3.0},
        engine={},
        spacing=0.4,
    )


def make_structure() -> Structure:
    cell = np.array([[9.0, 0, 0], [1.5, 8.0, 0], [0.5, -1, 8.5]])
    return Structure(cell, np.random.default_rng(0).random((5, 3)) @ cell, np.full(5, 13))


GRID = UniformGrid(make_structure().cell, (14, 12, 13))


@pytest.mark.parametrize("kind", ["difference", "total"])
def test_the_density_is_the_models_and_holds_the_electrons(kind: str) -> None:
    model, structure = make_model(kind, scale=0.05), make_structure()
    prediction = predict_density(model, structure, GRID, precision="float32", threads=1)
    features = model.descriptor.prepare(structure)(GRID.points())
    atoms = superpose(structure, GRID, model.radial).values.ravel()
    raw = model.predict_points(features, atoms, precision="float32")
    assert np.ptp(raw) > 0.003
    expected = np.maximum(raw, 0) * prediction.factor
    np.testing.assert_allclose(prediction.density.values.ravel(), expected, rtol=1e-4, atol=1e-6)
    assert prediction.n_electrons == 15.0
    assert prediction.density.integrate() == pytest.approx(15.0, rel=1e-12)


def test_the_block_changes_nothing() -> None:
    model, structure = make_model(), make_structure()
    one, two = (
        predict_density(model, structure, GRID, block=b, precision="float32", threads=t).density.values
        for b, t in ((10_000, 1), (100, 2))
    )
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-7)


def test_negative_values_are_clipped_and_reported() -> None:
    prediction = predict_density(make_model(scale=0.2), make_structure(), GRID)
    assert prediction.clipped_charge > 0.1
    assert prediction.density.values.min() == 0.0
    assert prediction.density.integrate() == pytest.approx(15.0, rel=1e-12)


def make_uncertain(kind: str = "difference") -> DensityModel:
    """Two members that disagree, and a noise that only the calibration knows."""
    model, settings = make_model(kind, scale=0.05), EnsembleSettings(2, {"width": 8, "depth": 1})
    network = settings.build(model.network.n_inputs, torch.Generator().manual_seed(0))
    assert isinstance(network, Ensemble)
    return replace(model, network=network, calibration={"epistemic": 4.0, "noise": 0.01})


@pytest.mark.parametrize("kind", ["difference", "total"])
def test_uncertainty_comes_with_the_same_density(kind: str) -> None:
    model, structure = make_uncertain(kind), make_structure()
    plain = predict_density(model, structure, GRID, precision="float32", threads=1, block=500)
    assert plain.aleatoric is None
    assert plain.epistemic is None
    described = describe_grid(model.descriptor, structure, GRID, model.radial, threads=1, block=500)
    found = predict_density(
        model, structure, GRID, uncertainty=True, precision="float32", threads=1, block=500
    )
    again = predict_described(model, described, uncertainty=True, precision="float32", block=500)
    raw = model.predict_uncertain_points(described.features, described.rho_saed, precision="float32")
    for prediction in (found, again):
        np.testing.assert_array_equal(prediction.density.values, plain.density.values)
        assert prediction.aleatoric is not None
        assert prediction.epistemic is not None
        np.testing.assert_allclose(prediction.aleatoric.values, 0.05 * 0.1 * prediction.factor, rtol=1e-5)
        epistemic = prediction.epistemic.values.ravel()
        np.testing.assert_allclose(epistemic, raw.epistemic * prediction.factor, rtol=1e-3, atol=1e-7)
        assert epistemic.max() > 3 * epistemic.min() > 0
    assert found.factor != 1.0


def test_deviations_are_not_clipped_with_the_density() -> None:
    found = predict_density(
        replace(make_uncertain(), target=Target("difference", 0.0, 0.2)),
        make_structure(),
        GRID,
        uncertainty=True,
    )
    zero = found.density.values == 0
    assert zero.any()
    assert found.aleatoric is not None
    assert found.aleatoric.values[zero].min() > 0


def test_uncertainty_is_refused_where_none_is_known() -> None:
    structure, model = make_structure(), make_model()
    with pytest.raises(InputError, match="states no uncertainty"):
        predict_density(model, structure, GRID, uncertainty=True)
    described = describe_grid(model.descriptor, structure, GRID, model.radial)
    with pytest.raises(InputError, match="states no uncertainty"):
        predict_described(model, described, uncertainty=True)


def test_progress_reaches_the_last_point() -> None:
    seen: list[tuple[str, int, int]] = []
    predict_density(
        make_model(),
        make_structure(),
        GRID,
        block=1000,
        progress=lambda stage, done, total: seen.append((stage, done, total)),
    )
    assert seen[0] == ("predicting", 0, GRID.n_points)
    assert seen[-1] == ("predicting", GRID.n_points, GRID.n_points)


def test_refusals() -> None:
    model, structure = make_model(), make_structure()
    with pytest.raises(GridMismatchError):
        predict_density(model, structure, UniformGrid(structure.cell * 1.01, (10, 10, 10)))
    stranger = Structure(structure.cell, structure.positions, np.array([13, 13, 13, 13, 8]))
    with pytest.raises(UnknownElementError, match="never saw O"):
        predict_density(model, stranger, GRID)


@pytest.mark.parametrize("kind", ["difference", "total"])
def test_a_grid_described_once_gives_every_model_its_density(kind: str) -> None:
    structure = make_structure()
    models = [make_model(kind, scale=scale) for scale in (0.002, 0.2)]
    described = describe_grid(models[0].descriptor, structure, GRID, models[0].radial, threads=1)
    for model in models:
        expected = predict_density(model, structure, GRID, precision="float32", threads=1, block=500)
        found = predict_described(model, described, precision="float32", block=500)
        np.testing.assert_allclose(found.density.values, expected.density.values, rtol=1e-6, atol=1e-10)
        assert found.factor == pytest.approx(expected.factor)
        assert found.clipped_charge == pytest.approx(expected.clipped_charge, abs=1e-9)


def test_a_described_grid_is_refused_by_other_models() -> None:
    model, structure = make_model(), make_structure()
    without_atoms = describe_grid(model.descriptor, structure, GRID, {})
    with pytest.raises(InputError, match="superposed"):
        predict_described(model, without_atoms)
    other = describe_grid(PowerSpectrum((13,), cutoff=5.0, channels=(3, 2)), structure, GRID, model.radial)
    with pytest.raises(InputError, match="another descriptor"):
        predict_described(model, other)
    with pytest.raises(GridMismatchError):
        describe_grid(
            model.descriptor, structure, UniformGrid(structure.cell * 1.01, (10, 10, 10)), model.radial
        )
