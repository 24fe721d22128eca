"""Trainings in closed form and of ensembles, through `train_model` and a model file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nearsight.descriptors.protocol import Evaluator
from nearsight.errors import InputError
from nearsight.model import load_model, save_model
from nearsight.networks import (
    EnsembleSettings,
    GaussianProcessSettings,
    LinearSettings,
    MLPSettings,
    NetworkSettings,
    UncertainNetwork,
)
from nearsight.points import PointSet
from nearsight.structure import Structure
from nearsight.training import PointTable, TrainResult, TrainSettings, train_model
from nearsight.training.candidates import Candidate, decay_candidates, select_by_validation
from nearsight.training.direct import member_seed

SMALL = {"name": "mlp", "width": 16, "depth": 1}


class Coordinates:
    """A descriptor whose features are not asked for: tables in these tests come ready made."""

    name = "coordinates"
    species = (13,)
    n_features = 5

    def settings(self) -> dict[str, Any]:
        return {"name": self.name}

    def prepare(self, structure: Structure) -> Evaluator:
        raise AssertionError("not needed here")


def make_table(n: int = 400, seed: int = 0, noise: float = 0.0) -> PointTable:
    """Densities that are a known smooth function of five features, on two snapshots."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)) * [1, 2, 0.1, 5, 1] + [0, 3, 1, -2, 0]
    y = 0.4 + 0.05 * x[:, 0] - 0.02 * x[:, 1] + 0.03 * np.sin(2 * x[:, 0]) + noise * rng.normal(size=n)
    points = PointSet(np.arange(n) % 2, np.arange(n), np.ones(n))
    return PointTable(points, x.astype(np.float32), y, None)


def fit(network: NetworkSettings, table: PointTable | None = None, **options: Any) -> TrainResult:
    plain = {"steps": 60, "batch": 64, "threads": 1, "precision": "float32", "device": "cpu"}
    settings = TrainSettings(**plain | options.pop("settings", {}))
    return train_model(
        table or make_table(),
        options.pop("validation", make_table(seed=1)),
        Coordinates(),
        network,
        "total",
        settings,
        radial={},
        valence={13: 3.0},
        engine=None,
        spacing=0.3,
        **options,
    )


def build_descriptor(settings: Any) -> Coordinates:
    return Coordinates()


ALL = [
    LinearSettings(),
    GaussianProcessSettings(store_variance=True),
    GaussianProcessSettings(kernel="matern52", max_exact=100, inducing=50),
    EnsembleSettings(2, SMALL),
    EnsembleSettings(2, {"name": "gaussian_process", "max_exact": 100, "inducing": 50}),
]


@pytest.mark.parametrize("network", ALL, ids=lambda n: n.name)
def test_a_model_file_predicts_bit_for_bit(network: NetworkSettings, tmp_path: Path) -> None:
    result = fit(network)
    save_model(result.model, tmp_path / "m.nst")
    loaded = load_model(tmp_path / "m.nst", build_descriptor=build_descriptor)
    x = make_table(seed=2).features
    expected = result.model.predict_points(x, None)
    assert np.std(expected) > 0.01
    assert np.array_equal(loaded.predict_points(x, None), expected)
    assert loaded.digest() == result.model.digest()
    one, two = result.model.network, loaded.network
    if isinstance(one, UncertainNetwork) and network is not ALL[2]:
        assert isinstance(two, UncertainNetwork)
        z = torch.from_numpy(x)
        assert one.knows_uncertainty
        for known, read in zip(one.moments(z), two.moments(z), strict=True):
            assert torch.equal(known, read)


@pytest.mark.parametrize("network", [LinearSettings(), GaussianProcessSettings()], ids=lambda n: n.name)
def test_a_fit_in_closed_form_is_judged_once(network: NetworkSettings) -> None:
    validation = make_table(seed=1)
    result = fit(network, validation=validation)
    assert result.steps == 0
    assert not result.stopped_early
    assert result.seconds > 0
    (entry,) = result.history
    assert entry["step"] == 0
    assert entry["validation_nrmse_percent"] == result.validation_nrmse_percent
    predicted = result.model.predict_points(validation.features, None, precision="float32")
    found = []
    for _, rows in validation.points.by_snapshot():
        error = predicted[rows] - validation.density[rows]
        found.append(100 * np.sqrt((error**2).mean()) / np.ptp(validation.density[rows]))
    assert result.validation_nrmse_percent == pytest.approx(np.mean(found), rel=1e-4)
    record = result.model.provenance["training"]
    assert record["points"] == 400
    assert record["fit"]
    assert record["history"] == result.history


def test_the_process_learns_what_a_straight_line_cannot() -> None:
    curved, straight = (
        fit(network).validation_nrmse_percent
        for network in (GaussianProcessSettings(), LinearSettings(degree=1))
    )
    assert curved is not None
    assert straight is not None
    assert curved < 0.1 * straight


def test_without_validation_nothing_is_judged() -> None:
    result = fit(GaussianProcessSettings(), validation=None)
    assert result.validation_nrmse_percent is None
    assert "validation_nrmse_percent" not in result.history[0]


@pytest.mark.parametrize("network", [ALL[1], ALL[2]], ids=["exact", "inducing"])
def test_the_same_seed_gives_the_same_fit(network: NetworkSettings) -> None:
    x = make_table(seed=2).features
    one, two, other = (fit(network, seed=s).model.predict_points(x, None) for s in (3, 3, 4))
    assert np.array_equal(one, two)
    if network is ALL[2]:  # inducing points are drawn
        assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    "network",
    [LinearSettings(degree=1, ridge=0.01), GaussianProcessSettings(length=3, noise=0.01, metric_rounds=1)],
    ids=lambda n: n.name,
)
def test_weights_count_as_copies_do(network: NetworkSettings) -> None:
    table = make_table(60, noise=0.1)
    weight = np.ones(60)
    weight[:20] = 3.0
    points = PointSet(table.points.snapshot, table.points.index, weight)
    weighted = PointTable(points, table.features, table.density)
    copies = np.repeat(np.arange(60), weight.astype(int))
    found, expected, uneven = (
        fit(network, t).model.predict_points(table.features, None)
        for t in (weighted, table.take(copies), table)
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(uneven - expected).max() > 1e-3


def test_mapped_features_give_the_same_fit(tmp_path: Path) -> None:
    table = make_table()
    mapped = np.memmap(tmp_path / "x", dtype=np.float32, mode="w+", shape=table.features.shape)
    mapped[:] = table.features
    other = PointTable(table.points, mapped, table.density, None)
    assert not other.in_memory
    one, two = (fit(ALL[2], t).model.predict_points(table.features, None) for t in (table, other))
    assert np.array_equal(one, two)


# -- ensembles ----------------------------------------------------------------------------------


def tensors(result: TrainResult) -> dict[str, torch.Tensor]:
    return result.model.network.tensors()


def test_an_ensemble_of_one_is_that_network() -> None:
    one, alone = fit(EnsembleSettings(1, SMALL), seed=5), fit(MLPSettings(width=16, depth=1), seed=5)
    assert one.validation_nrmse_percent == alone.validation_nrmse_percent
    assert one.steps == alone.steps
    for name, tensor in tensors(alone).items():
        assert torch.equal(tensors(one)[f"0.{name}"], tensor)


def test_members_differ_and_their_mean_is_no_worse_than_they_are() -> None:
    table, patient = make_table(100, noise=0.02), {"steps": 200, "patience": None}
    result = fit(EnsembleSettings(4, SMALL), table, settings=patient, seed=5)
    assert result.steps == 4 * 200
    members = [
        fit(
            MLPSettings(width=16, depth=1),
            table,
            settings={"steps": 200, "patience": None},
            seed=member_seed(5, k),
        )
        for k in range(4)
    ]
    errors = [m.validation_nrmse_percent for m in members]
    assert len(set(errors)) == 4
    for k, member in enumerate(members):
        for name, tensor in tensors(member).items():
            assert torch.equal(tensors(result)[f"{k}.{name}"], tensor)
    assert result.validation_nrmse_percent is not None
    assert result.validation_nrmse_percent < np.mean([e for e in errors if e is not None])
    assert [e["member"] for e in result.history[:-1]] == sorted(e["member"] for e in result.history[:-1])
    assert result.history[-1]["validation_nrmse_percent"] == result.validation_nrmse_percent
    assert len(result.model.provenance["training"]["members"]) == 4


class InterruptedRunError(Exception):
    """Stands for a killed process."""


def test_an_interrupted_ensemble_carries_on_with_the_member_it_was_at(tmp_path: Path) -> None:
    network = EnsembleSettings(3, SMALL)
    options: dict[str, Any] = {"seed": 5, "checkpoint_seconds": 0.0}
    whole = fit(network, **options)
    calls: list[int] = []

    def interrupt(stage: str, done: int, total: int) -> None:
        calls.append(done)
        if calls.count(40) == 2:  # in the middle of the second member
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        fit(network, checkpoint_dir=tmp_path, progress=interrupt, **options)
    seen: list[int] = []
    resumed = fit(
        network, checkpoint_dir=tmp_path, progress=lambda stage, done, total: seen.append(done), **options
    )
    assert seen[0] == 60  # the first member was done
    assert 0 < seen[2] < 60
    for name, tensor in tensors(whole).items():
        assert torch.equal(tensors(resumed)[name], tensor)
    assert resumed.history == whole.history


# -- choosing by validation ---------------------------------------------------------------------


def test_the_best_on_validation_is_kept_and_all_are_paid_for() -> None:
    table = make_table(60, noise=0.1)
    plain = TrainSettings(steps=100, batch=64, threads=1, device="cpu", weight_decay=0.01)
    candidates = decay_candidates(MLPSettings(width=32, depth=1), plain, (1.0, 100.0))
    candidates.append(Candidate(LinearSettings(), plain))
    seconds = []

    def train(candidate: Candidate) -> TrainResult:
        result = fit(candidate.network, table, settings={"weight_decay": candidate.settings.weight_decay})
        seconds.append(result.seconds)
        return result

    choice = select_by_validation(candidates, train)
    assert [c.settings.weight_decay for c in candidates] == [0.01, 1.0, 0.01]
    best = int(np.argmin(choice.errors))
    assert choice.candidate is candidates[best]
    assert choice.result.validation_nrmse_percent == min(choice.errors)
    assert choice.result.seconds == pytest.approx(sum(seconds))
    tried = choice.result.model.provenance["candidates"]
    assert [entry["validation_nrmse_percent"] for entry in tried] == list(choice.errors)


def test_choosing_needs_something_to_choose_by() -> None:
    plain = TrainSettings(threads=1, device="cpu")
    with pytest.raises(InputError, match="validation"):
        select_by_validation([Candidate(LinearSettings(), plain)], lambda c: fit(c.network, validation=None))
    with pytest.raises(InputError, match="at least one candidate"):
        select_by_validation([], lambda c: fit(c.network))
