"""Training: what is learned, and that a run can be repeated, interrupted and carried on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nearsight.atomic.radial import RadialDensity
from nearsight.descriptors.protocol import Evaluator
from nearsight.errors import ConvergenceError, InputError, ModelFileError, UnknownElementError
from nearsight.networks import MLPSettings
from nearsight.points import PointSet
from nearsight.structure import Structure
from nearsight.training import PointTable, TrainResult, TrainSettings, train_model
from nearsight.training.batches import Batches
from nearsight.training.checkpoint import Checkpoints


class Coordinates:
    """A descriptor whose features are not asked for: tables in these tests come ready made."""

    name = "coordinates"
    species = (13,)

    def __init__(self, n_features: int) -> None:
        self.n_features = n_features

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "n_features": self.n_features}

    def prepare(self, structure: Structure) -> Evaluator:
        raise AssertionError("not needed here")


def make_table(n: int = 600, seed: int = 0, noise: float = 0.0, nonlinear: bool = False) -> PointTable:
    """Densities that are a known function of five features, on two snapshots."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype(np.float32) * [1, 2, 0.1, 5, 1] + [0, 3, 1, -2, 0]
    y = 0.4 + 0.05 * x[:, 0] - 0.02 * x[:, 1] + 0.3 * x[:, 2]
    if nonlinear:
        y = y + 0.1 * np.sin(2 * x[:, 0]) * np.cos(x[:, 4])
    y = y + noise * rng.normal(size=n)
    points = PointSet(np.arange(n) % 2, np.arange(n), np.ones(n))
    return PointTable(points, x.astype(np.float32), y, 0.1 * rng.random(n))


def fit(table: PointTable, validation: PointTable | None = None, **options: Any) -> TrainResult:
    settings = TrainSettings(
        **{"steps": 300, "batch": 64, "threads": 1, "precision": "float32", "device": "cpu"}
        | options.pop("settings", {})
    )
    arguments = {"network": MLPSettings(width=16, depth=1), "target": "total", "radial": {}} | options
    return train_model(
        table,
        validation,
        Coordinates(5),
        settings=settings,
        valence={13: 3.0},
        engine=None,
        spacing=0.3,
        **arguments,
    )


def weights(result: TrainResult) -> np.ndarray:
    return torch.cat([t.ravel() for t in result.model.network.tensors().values()]).numpy()


def test_a_linear_function_is_recovered() -> None:
    table, other = make_table(), make_table(seed=1)
    options = {"steps": 1500, "weight_decay": 0.0, "learning_rate": 1e-2}
    result = fit(table, network=MLPSettings(depth=0), settings=options)
    predicted = result.model.predict_points(other.features, None, precision="float32")
    assert np.std(other.density) > 0.05
    assert np.abs(predicted - other.density).max() < 1e-4
    slope = next(iter(result.model.network.tensors().values())).numpy()[0]
    slope = slope / result.model.scaler.std * result.model.target.scale
    np.testing.assert_allclose(slope, [0.05, -0.02, 0.3, 0, 0], atol=2e-4)


def test_the_difference_is_learned_on_top_of_the_atoms() -> None:
    """What the features cannot know, the atoms bring: the difference is linear, the total is not."""
    table = make_table()
    assert table.rho_saed is not None
    table = PointTable(table.points, table.features, table.density + table.rho_saed, table.rho_saed)
    options: dict[str, Any] = {
        "network": MLPSettings(depth=0),
        "settings": {"steps": 1000, "weight_decay": 0.0, "learning_rate": 1e-2},
    }
    with pytest.raises(UnknownElementError, match="none of Al; use target: total"):
        fit(table, target="difference", **options)
    r = np.linspace(0, 5, 20)
    atom = RadialDensity(13, r, np.exp(-r) * (1 - r / 5), 3.0, {})
    difference = fit(table, target="difference", radial={13: atom}, **options)
    found = difference.model.predict_points(table.features, table.rho_saed, precision="float32")
    assert np.abs(found - table.density).max() < 1e-4
    total = fit(table, target="total", **options)
    assert np.abs(total.model.predict_points(table.features, None) - table.density).max() > 0.02


def test_a_nonlinear_function_is_learned_in_either_precision() -> None:
    table, validation = make_table(4000, nonlinear=True), make_table(1000, seed=1, nonlinear=True)
    errors = {}
    for precision in ("float32", "bfloat16"):
        result = fit(
            table,
            validation,
            network=MLPSettings(width=32, depth=2),
            settings={"steps": 600, "batch": 256, "precision": precision},
        )
        assert result.validation_nrmse_percent is not None
        errors[precision] = result.validation_nrmse_percent
        assert result.validation_nrmse_percent < 0.25 * result.history[0]["validation_nrmse_percent"]
    assert errors["bfloat16"] < 1.5 * errors["float32"] + 0.1


def test_relu_output_trains_on_the_total_and_never_goes_below_zero() -> None:
    table = make_table()
    network = MLPSettings(width=32, depth=2, output="relu")
    result = fit(table, network=network, settings={"steps": 600, "learning_rate": 1e-2})
    assert result.model.target.shift == 0
    predicted = result.model.predict_points(table.features * 5, None)
    assert predicted.min() >= 0
    near = result.model.predict_points(table.features, None)
    assert np.std(near - table.density) < 0.5 * np.std(table.density)
    with pytest.raises(InputError, match="ReLU output"):
        fit(table, network=MLPSettings(output="relu"), target="difference")


def test_the_same_seed_gives_the_same_model() -> None:
    table, validation = make_table(), make_table(200, seed=1)
    one, two, other = (weights(fit(table, validation, seed=s)) for s in (3, 3, 4))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


class InterruptedRunError(Exception):
    """Stands for a killed process."""


def interrupt_at(step: int) -> Any:
    def progress(stage: str, done: int, total: int) -> None:
        if stage == "training" and done >= step:
            raise InterruptedRunError

    return progress


@pytest.mark.parametrize("extra", [{}, {"ema": 0.98}, {"precision": "bfloat16"}])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, extra: dict[str, Any]) -> None:
    table, validation = make_table(noise=0.02), make_table(200, seed=1)
    options: dict[str, Any] = {"settings": extra, "seed": 5, "checkpoint_seconds": 0.0}
    whole = fit(table, validation, **options)
    for step in (120, 200):
        with pytest.raises(InterruptedRunError):
            fit(table, validation, checkpoint_dir=tmp_path, progress=interrupt_at(step), **options)
        assert (tmp_path / "training.checkpoint").exists()
    seen: list[int] = []
    resumed = fit(
        table,
        validation,
        checkpoint_dir=tmp_path,
        progress=lambda stage, done, total: seen.append(done),
        **options,
    )
    assert seen[0] >= 120
    assert np.array_equal(weights(resumed), weights(whole))
    assert resumed.history == whole.history
    assert resumed.steps == whole.steps


def test_a_checkpoint_of_another_run_is_not_carried_on(tmp_path: Path) -> None:
    table, validation = make_table(), make_table(200, seed=1)
    with pytest.raises(InterruptedRunError):
        fit(table, validation, checkpoint_dir=tmp_path, checkpoint_seconds=0.0, progress=interrupt_at(200))
    seen: list[int] = []
    fit(
        table,
        validation,
        seed=1,
        checkpoint_dir=tmp_path,
        progress=lambda stage, done, total: seen.append(done),
    )
    assert seen[0] == 0


def test_a_damaged_checkpoint_is_an_error_and_clear_removes_it(tmp_path: Path) -> None:
    table = make_table()
    fit(table, checkpoint_dir=tmp_path / "run")
    checkpoints = Checkpoints(tmp_path / "run", "any")
    damaged = bytearray(checkpoints.path.read_bytes())
    damaged[-1] ^= 1
    checkpoints.path.write_bytes(bytes(damaged))
    with pytest.raises(ModelFileError, match="corrupted"):
        fit(table, checkpoint_dir=tmp_path / "run")
    checkpoints.clear()
    assert not (tmp_path / "run").exists()


def test_early_stopping_keeps_the_best_weights() -> None:
    table, validation = make_table(60, noise=0.2), make_table(500, seed=1)
    settings = {"steps": 4000, "patience": 8, "learning_rate": 1e-2, "weight_decay": 0.0}
    result = fit(table, validation, network=MLPSettings(width=64, depth=2), settings=settings)
    errors = [entry["validation_nrmse_percent"] for entry in result.history]
    assert result.stopped_early
    assert result.steps < 4000
    assert result.validation_nrmse_percent == min(errors)
    assert errors[-1] > 1.2 * min(errors)
    predicted = result.model.predict_points(validation.features, None, precision="float32")
    found = []
    for _, rows in validation.points.by_snapshot():
        error = predicted[rows] - validation.density[rows]
        found.append(100 * np.sqrt((error**2).mean()) / np.ptp(validation.density[rows]))
    assert np.mean(found) == pytest.approx(min(errors), rel=1e-4)


def test_weights_count_as_copies_do() -> None:
    """A point of weight two pulls as two copies of it: the optimum of a linear fit is the same."""
    table = make_table(40, noise=0.1)
    weight = np.ones(40)
    weight[:20] = 3.0
    weighted = PointTable(
        PointSet(table.points.snapshot, table.points.index, weight / weight.mean()),
        table.features,
        table.density,
        None,
    )
    copies = np.repeat(np.arange(40), weight.astype(int))
    copied = PointTable(
        PointSet(table.points.snapshot[copies], table.points.index[copies], np.ones(len(copies))),
        table.features[copies],
        table.density[copies],
        None,
    )
    options = {"steps": 500, "batch": 1000, "weight_decay": 0.0, "learning_rate": 5e-2}
    network = MLPSettings(depth=0)
    one, two = (fit(t, network=network, settings=options).model for t in (weighted, copied))
    plain = fit(table, network=network, settings=options).model
    found, expected, uneven = (m.predict_points(table.features, None) for m in (one, two, plain))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(uneven - expected).max() > 1e-3


def test_divergence_is_an_error_that_says_what_to_try() -> None:
    table = make_table()
    table.density[3] = np.nan
    with pytest.raises((ConvergenceError, InputError)):
        fit(table)
    with pytest.raises(ConvergenceError, match="lower learning_rate"):
        fit(make_table(), settings={"learning_rate": 1e18, "warmup": 0.0, "steps": 200})


def test_provenance_is_kept() -> None:
    result = fit(make_table(), make_table(100, seed=1), provenance={"dataset": "abc"}, seed=9)
    record = result.model.provenance
    assert record["dataset"] == "abc"
    assert record["training"]["points"] == 600
    assert record["training"]["seed"] == 9
    assert record["training"]["settings"]["batch"] == 64
    assert len(record["training"]["history"]) == len(result.history) == 60


# -- batches and settings -----------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 16])
def test_batches_visit_every_row_once_an_epoch(chunk: int) -> None:
    batches = Batches(1000, 100, seed=0, chunk=chunk)
    epochs = [np.concatenate([batches.rows(10 * e + b) for b in range(10)]) for e in range(2)]
    for rows in epochs:
        assert np.array_equal(np.sort(rows), np.arange(1000))
    assert not np.array_equal(*epochs)
    again = Batches(1000, 100, seed=0, chunk=chunk)
    assert np.array_equal(again.rows(13), epochs[1][300:400])


def test_a_batch_is_no_larger_than_the_set() -> None:
    assert len(Batches(10, 2048, seed=0).rows(7)) == 10


def test_chunks_stay_together_on_their_way_from_a_file() -> None:
    rows = Batches(64 * 1024, 64 * 16, seed=0, chunk=16).rows(0)
    assert len(np.unique(rows // 16)) <= 64
    assert (np.diff(rows) == 1).mean() < 0.1


def test_the_learning_rate_rises_and_falls_to_zero() -> None:
    settings = TrainSettings(learning_rate=1.0, warmup=0.1)
    rates = np.array([settings.rate(s, 1000) for s in range(1000)])
    assert rates.argmax() == 100
    assert rates.max() == pytest.approx(1.0)
    assert rates[0] < 0.02
    assert rates[-1] < 1e-4
    assert (np.diff(rates[:100]) > 0).all()
    assert (np.diff(rates[101:]) < 0).all()
    assert TrainSettings(decay="constant", learning_rate=1.0).rate(999, 1000) == 1.0


def test_epochs_settle_the_steps() -> None:
    assert TrainSettings(epochs=2, batch=100).total_steps(1000) == 20
    assert TrainSettings(steps=7).total_steps(1000) == 7


@pytest.mark.parametrize(
    "bad",
    [
        {"batch": 0},
        {"steps": -1},
        {"learning_rate": float("nan")},
        {"warmup": 1.0},
        {"ema": -0.1},
        {"decay": "none"},
        {"precision": "float8"},
        {"weight_decay": -1.0},
        {"patience": 0},
        {"epochs": 0.0},
    ],
)
def test_bad_settings_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(bad))):
        TrainSettings(**bad)
