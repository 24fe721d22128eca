"""Trained with an uncertain last layer: the plain network's mean, and a posterior summed by brute force."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nearsight.descriptors.protocol import Evaluator
from nearsight.errors import InputError
from nearsight.model import DensityModel, load_model, save_model
from nearsight.networks import (
    Ensemble,
    EnsembleSettings,
    GaussianProcessSettings,
    LastLayer,
    LastLayerSettings,
    MLPSettings,
    NetworkSettings,
)
from nearsight.points import PointSet
from nearsight.structure import Structure
from nearsight.training import PointTable, TrainResult, TrainSettings, train_model

INNER = {"name": "mlp", "width": 16, "depth": 2}
PLAIN = MLPSettings(width=16, depth=2)
SETTINGS = LastLayerSettings(INNER)


class Coordinates:
    """A descriptor whose features are not asked for: tables in these tests come ready made."""

    name = "coordinates"
    species = (13,)
    n_features = 5

    def settings(self) -> dict[str, Any]:
        return {"name": self.name}

    def prepare(self, structure: Structure) -> Evaluator:
        raise AssertionError("not needed here")


def make_table(n: int = 400, seed: int = 0, shift: float = 0.0) -> PointTable:
    """A known function of five features; its noise is five times larger where the first is positive."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)) + shift
    noise = np.where(x[:, 0] > 0, 0.02, 0.004)
    y = 0.4 + 0.05 * x[:, 0] - 0.02 * x[:, 1] + 0.03 * np.sin(2 * x[:, 0]) + noise * rng.normal(size=n)
    points = PointSet(np.arange(n) % 2, np.arange(n), rng.uniform(0.5, 1.5, n))
    return PointTable(points, x.astype(np.float32), y, None)


def fit(network: NetworkSettings, table: PointTable | None = None, **options: Any) -> TrainResult:
    plain = {"steps": 150, "batch": 128, "threads": 1, "precision": "float32", "device": "cpu"}
    return train_model(
        table or make_table(),
        options.pop("validation", make_table(seed=1)),
        Coordinates(),
        network,
        "total",
        TrainSettings(**plain | options.pop("settings", {})),
        radial={},
        valence={13: 3.0},
        engine=None,
        spacing=0.3,
        **options,
    )


def network_of(result: TrainResult | DensityModel) -> LastLayer:
    model = result.model if isinstance(result, TrainResult) else result
    assert isinstance(model.network, LastLayer)
    return model.network


def standardised(result: TrainResult, table: PointTable) -> tuple[torch.Tensor, torch.Tensor]:
    """Standardised features and target of a table, as the model takes them."""
    scaler, target = result.model.scaler, result.model.target
    x = torch.from_numpy((table.features - scaler.mean) / scaler.std)
    return x, torch.from_numpy(target.encode(table.density, None)).double()


def curvature(result: TrainResult, table: PointTable, n_effective: float) -> torch.Tensor:
    """n ⟨φ φᵀ / σ²⟩ with all points at once."""
    x, _ = standardised(result, table)
    phi = network_of(result).features(x).double()
    w = torch.from_numpy(table.weight.astype(float)) / network_of(result).noise_variance(phi)
    return n_effective * torch.einsum("i,ip,iq->pq", w, phi, phi) / float(table.weight.sum())


def test_the_network_inside_is_the_plain_one() -> None:
    plain, result = fit(PLAIN, seed=3), fit(SETTINGS, seed=3)
    assert result.validation_nrmse_percent == plain.validation_nrmse_percent
    assert result.steps == plain.steps
    assert result.history == plain.history
    for name, tensor in plain.model.network.tensors().items():
        assert torch.equal(result.model.network.tensors()[f"inner.{name}"], tensor)
    x = make_table(seed=2).features
    one, two = (r.model.predict_points(x, None, precision="float32") for r in (plain, result))
    assert np.std(one) > 0.01
    assert np.array_equal(one, two)
    assert np.array_equal(one, result.model.predict_uncertain_points(x, None, precision="float32").density)


def test_the_posterior_is_the_sum_over_all_points() -> None:
    table = make_table(9000)  # two blocks
    result = fit(SETTINGS, table, n_effective=500.0)
    notes = result.model.provenance["training"]["last_layer"]
    expected = curvature(result, table, 500.0)
    left = network_of(result).precision - expected
    alpha = notes["prior_precision"] * torch.eye(17).double()
    torch.testing.assert_close(left, alpha, rtol=0, atol=1e-5 * float(expected.max()))
    head = network_of(result).inner.head().double()
    assert notes["prior_precision"] == pytest.approx(notes["settled_weights"] / float(head @ head), rel=1e-3)
    values = torch.linalg.eigvalsh(expected)
    settled = float((values / (values + notes["prior_precision"])).sum())
    assert notes["settled_weights"] == pytest.approx(settled, rel=1e-3)
    assert notes["n_effective"] == 500.0


def test_a_given_prior_is_kept() -> None:
    result = fit(LastLayerSettings(INNER, prior_precision=7.0))
    assert result.model.provenance["training"]["last_layer"]["prior_precision"] == 7.0


def test_repeated_points_teach_nothing_unless_they_count() -> None:
    """Epistemic variance follows the effective number, not the number of points."""
    table = make_table(200)
    repeated = table.take(np.repeat(np.arange(200), 5), np.repeat(table.weight, 5))
    x, _ = standardised(fit(SETTINGS, table), make_table(seed=2))
    chosen = LastLayerSettings(INNER, noise="constant", prior_precision=1.0)
    networks = [
        network_of(fit(chosen, t, n_effective=n, validation=None, settings={"steps": 1}))
        for t, n in ((table, 200.0), (table, 2000.0))
    ]
    one, ten = (n.moments(x).epistemic.mean() for n in networks)
    assert 4 < one / ten < 12
    base = fit(chosen, table, validation=None, settings={"steps": 1})
    expected = curvature(base, table, 1.0) / curvature(base, repeated, 1.0)
    torch.testing.assert_close(expected, torch.ones_like(expected), rtol=1e-5, atol=0)


def test_noise_is_found_where_it_is_and_the_rest_far_from_the_data() -> None:
    result = fit(SETTINGS, make_table(4000), settings={"steps": 400})
    fresh = make_table(4000, seed=2)
    found = result.model.predict_uncertain_points(fresh.features, None)
    loud = fresh.features[:, 0] > 0.5
    quiet = fresh.features[:, 0] < -0.5
    assert found.aleatoric[loud].mean() > 2 * found.aleatoric[quiet].mean()
    sigma = np.sqrt(found.aleatoric**2 + found.epistemic**2)
    covered = np.mean(np.abs(found.density - fresh.density) < sigma)
    assert 0.6 < covered < 0.8
    far = result.model.predict_uncertain_points(make_table(400, shift=8.0).features, None)
    assert far.epistemic.mean() > 5 * found.epistemic.mean()


def test_an_overfitted_network_asks_the_validation_points_how_noisy_it_is() -> None:
    few = make_table(40)
    options: dict[str, Any] = {"settings": {"steps": 300, "patience": None, "weight_decay": 0.0}}
    alone = fit(SETTINGS, few, validation=None, **options)
    held_out = make_table(400, seed=1)
    network = network_of(alone)
    x, t = standardised(alone, held_out)
    squares = (network.predict(x).double() - t).square()
    misjudged = float((squares / network.noise_variance(network.features(x))).mean())
    assert misjudged > 3
    informed = fit(SETTINGS, few, validation=held_out, **options)
    network = network_of(informed)
    x, t = standardised(informed, held_out)
    squares, variance = (
        (network.predict(x).double() - t).square(),
        network.noise_variance(network.features(x)),
    )
    weight = torch.from_numpy(held_out.weight.astype(float))
    assert float(weight @ (squares / variance) / weight.sum()) == pytest.approx(1, rel=1e-6)
    assert informed.model.provenance["training"]["last_layer"]["noise_raised_by"] > 2


def test_a_model_file_keeps_it_all(tmp_path: Path) -> None:
    for settings in (SETTINGS, EnsembleSettings(2, {"name": "last_layer", "inner": INNER})):
        result = fit(settings, settings={"steps": 30})
        save_model(result.model, tmp_path / "m.nst")
        loaded = load_model(tmp_path / "m.nst", build_descriptor=lambda settings: Coordinates())
        x = make_table(seed=2).features
        for one, two in zip(
            result.model.predict_uncertain_points(x, None),
            loaded.predict_uncertain_points(x, None),
            strict=True,
        ):
            assert np.std(one) > 0
            assert np.array_equal(one, two)


def test_an_interrupted_training_carries_on(tmp_path: Path) -> None:
    whole = fit(SETTINGS, seed=5)
    calls: list[int] = []

    def interrupt(stage: str, done: int, total: int) -> None:
        calls.append(done)
        if done == 80:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(SETTINGS, checkpoint_dir=tmp_path, checkpoint_seconds=0.0, progress=interrupt, seed=5)
    seen: list[int] = []
    resumed = fit(
        SETTINGS,
        checkpoint_dir=tmp_path,
        checkpoint_seconds=0.0,
        progress=lambda stage, done, total: seen.append(done),
        seed=5,
    )
    assert 0 < seen[0] < 150
    for name, tensor in whole.model.network.tensors().items():
        assert torch.equal(resumed.model.network.tensors()[name], tensor)


# -- fine-tuning --------------------------------------------------------------------------------


def test_with_all_hidden_layers_fixed_the_posterior_goes_on_from_the_bases() -> None:
    base, table = fit(SETTINGS, n_effective=100.0), make_table(300, seed=4, shift=1.0)
    tuned = fit(SETTINGS, table, base=base.model, frozen_layers=2, n_effective=50.0)
    expected = network_of(base).precision + curvature(tuned, table, 50.0)
    torch.testing.assert_close(network_of(tuned).precision, expected, rtol=1e-6, atol=1e-4)
    for name, tensor in base.model.network.tensors().items():
        if name.startswith("inner."):
            assert torch.equal(tuned.model.network.tensors()[name], tensor) == ("layers.2" not in name)
    x, _ = standardised(tuned, table)
    before, after = (network_of(r).moments(x).epistemic for r in (base, tuned))
    assert float(after.mean()) < float(before.mean())
    assert tuned.model.provenance["training"]["last_layer"]["prior_precision"] is None


def test_with_new_features_the_posterior_is_new() -> None:
    base, table = fit(SETTINGS, n_effective=100.0), make_table(300, seed=4, shift=1.0)
    tuned = fit(SETTINGS, table, base=base.model, frozen_layers=1, n_effective=50.0)
    alpha = tuned.model.provenance["training"]["last_layer"]["prior_precision"]
    left = network_of(tuned).precision - curvature(tuned, table, 50.0)
    torch.testing.assert_close(left, alpha * torch.eye(17).double(), rtol=0, atol=1e-4)
    assert np.array_equal(tuned.model.scaler.mean, base.model.scaler.mean)


def test_a_plain_model_can_be_the_base() -> None:
    base = fit(PLAIN)
    tuned = fit(SETTINGS, make_table(300, seed=4), base=base.model, frozen_layers=2)
    plain = fit(PLAIN, make_table(300, seed=4), base=base.model, frozen_layers=2)
    x = make_table(seed=2).features
    assert np.array_equal(tuned.model.predict_points(x, None), plain.model.predict_points(x, None))
    assert network_of(tuned).knows_uncertainty


@pytest.mark.parametrize("member", [INNER, {"name": "last_layer", "inner": INNER}], ids=["mlp", "last_layer"])
def test_every_member_of_an_ensemble_goes_on_from_its_own(member: dict[str, Any]) -> None:
    settings = EnsembleSettings(2, member)
    base = fit(settings, settings={"steps": 40})
    assert isinstance(base.model.network, Ensemble)
    assert base.model.network.n_layers == 3
    tuned = fit(settings, make_table(seed=4), base=base.model, frozen_layers=2, settings={"steps": 40})
    one, two = base.model.network.tensors(), tuned.model.network.tensors()
    kept = [n for n in one if "layers.0." in n or "layers.1." in n]
    moved = [n for n in one if "layers.2." in n]
    assert len(kept) == 8
    assert all(torch.equal(one[n], two[n]) for n in kept)
    assert not any(torch.equal(one[n], two[n]) for n in moved)
    assert not torch.equal(two[kept[0]], two[kept[4]])
    with pytest.raises(InputError, match=r"as many members|leave out"):
        fit(EnsembleSettings(3, member), base=base.model)


def test_what_fits_itself_cannot_go_on() -> None:
    network = GaussianProcessSettings(metric_rounds=0)
    base = fit(network, make_table(60))
    with pytest.raises(InputError, match="cannot be fine-tuned"):
        fit(network, make_table(60, seed=4), base=base.model)
