"""Distillation: a network learns a model, not the data."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nearsight.atomic.radial import RadialDensity
from nearsight.descriptors.protocol import Evaluator
from nearsight.errors import InputError
from nearsight.model import DensityModel
from nearsight.networks import GaussianProcessSettings, LinearSettings, MLPSettings
from nearsight.points import PointSet
from nearsight.structure import Structure
from nearsight.training import PointTable, TrainSettings, train_model
from nearsight.training.distil import distil, predictions

SETTINGS = TrainSettings(
    steps=600, batch=256, threads=1, precision="float32", device="cpu", learning_rate=1e-2
)
R = np.linspace(0, 5, 20)
ATOM = RadialDensity(13, R, np.exp(-R) * (1 - R / 5), 3.0, {})


class Coordinates:
    """A descriptor whose features are not asked for."""

    name = "coordinates"
    species = (13,)
    n_features = 3

    def settings(self) -> dict[str, Any]:
        return {"name": self.name}

    def prepare(self, structure: Structure) -> Evaluator:
        raise AssertionError("not needed here")


def make_table(n: int, seed: int) -> PointTable:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    saed = 0.2 + 0.1 * rng.random(n)
    y = saed + 0.05 * np.sin(2 * x[:, 0]) + 0.03 * x[:, 1] * x[:, 2]
    return PointTable(PointSet(np.zeros(n, int), np.arange(n), np.ones(n)), x, y, saed)


def teacher() -> DensityModel:
    return train_model(
        make_table(300, 0),
        None,
        Coordinates(),
        GaussianProcessSettings(),
        "difference",
        SETTINGS,
        radial={13: ATOM},
        valence={13: 3.0},
        engine={"engine": "test"},
        spacing=0.4,
    ).model


def test_the_student_learns_the_teacher_and_never_sees_the_densities() -> None:
    model, many, fresh = teacher(), make_table(3000, 1), make_table(500, 2)
    blind = replace(many, density=np.full(len(many), np.nan))
    result = distil(model, blind, MLPSettings(width=32, depth=2), SETTINGS, validation=fresh)
    student = result.model
    taught, truth = predictions(model, fresh), fresh.density
    found = student.predict_points(fresh.features, fresh.rho_saed, precision="float32")
    spread = np.std(taught - fresh.rho_saed)
    assert np.std(found - taught) < 0.15 * spread
    assert np.std(taught - truth) < 0.15 * spread
    assert result.validation_nrmse_percent is not None
    assert (student.spacing, student.engine, student.valence) == (0.4, {"engine": "test"}, {13: 3.0})
    assert student.target.kind == "difference"
    record = student.provenance["teacher"]
    assert record["digest"] == model.digest()
    assert record["network"]["network"] == "gaussian_process"
    assert "history" not in record["training"]


def test_a_student_like_the_teacher_is_the_teacher() -> None:
    """A straight line taught by a straight line gives it back."""
    table = make_table(400, 3)
    settings = LinearSettings(degree=1, ridge=0.0)
    options: dict[str, Any] = {"radial": {}, "valence": {13: 3.0}, "engine": None, "spacing": 0.4}
    line = train_model(table, None, Coordinates(), settings, "total", SETTINGS, **options).model
    again = distil(line, make_table(200, 4), settings, SETTINGS).model
    fresh = make_table(100, 5)
    expected = predictions(line, fresh)
    np.testing.assert_allclose(predictions(again, fresh), expected, atol=1e-6)
    assert np.std(fresh.density - expected) > 1e-3


def test_predictions_in_blocks_are_those_of_the_whole() -> None:
    model, table = teacher(), make_table(100, 6)
    np.testing.assert_allclose(predictions(model, table, block=7), predictions(model, table), atol=1e-6)


def test_features_of_another_descriptor_are_refused() -> None:
    table = make_table(50, 6)
    other = replace(table, features=np.ones((50, 4), np.float32))
    with pytest.raises(InputError, match="the teacher's descriptor"):
        distil(teacher(), other, MLPSettings(), SETTINGS)
