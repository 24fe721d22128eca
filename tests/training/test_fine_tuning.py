"""Fine-tuning: what stays of the base, what moves, and that a run can be interrupted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearsight.atomic.radial import RadialDensity
from nearsight.descriptors.protocol import Evaluator
from nearsight.errors import InputError
from nearsight.model import DensityModel
from nearsight.networks import EnsembleSettings, GaussianProcessSettings, LinearSettings, MLPSettings
from nearsight.networks.last_layer import LastLayer, LastLayerSettings
from nearsight.networks.protocol import NetworkSettings, network_from_settings
from nearsight.points import PointSet
from nearsight.structure import Structure
from nearsight.training import PointTable, TrainResult, TrainSettings, train_model
from nearsight.training.task import layers_to_train

R = np.linspace(0, 5, 20)
ATOM = RadialDensity(13, R, np.exp(-R) * (1 - R / 5), 3.0, {})
SMALL = MLPSettings(width=16, depth=2)


class Coordinates:
    """A descriptor whose features are not asked for."""

    name = "coordinates"
    species = (13,)

    def __init__(self, n_features: int = 3, tag: int = 0) -> None:
        self.n_features, self.tag = n_features, tag

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "tag": self.tag}

    def prepare(self, structure: Structure) -> Evaluator:
        raise AssertionError("not needed here")


def make_table(n: int = 400, seed: int = 0, shift: float = 0.0, spread: float = 1.0) -> PointTable:
    """Densities that are a known function of three features, which `shift` and `spread` change."""
    rng = np.random.default_rng(seed)
    x = (shift + spread * rng.normal(size=(n, 3))).astype(np.float32)
    saed = 0.2 + 0.1 * rng.random(n)
    y = saed + 0.05 * np.sin(2 * x[:, 0]) + (0.03 + 0.02 * shift) * x[:, 1] * x[:, 2]
    return PointTable(PointSet(np.zeros(n, int), np.arange(n), np.ones(n)), x, y, saed)


def fit(table: PointTable, validation: PointTable | None = None, **options: Any) -> TrainResult:
    given = {"steps": 120, "batch": 64, "threads": 1, "precision": "float32", "device": "cpu", "checks": 12}
    how = TrainSettings(**given | options.pop("settings", {}))
    base = options.get("base")
    network = SMALL if base is None else base.network.settings
    arguments = {"descriptor": Coordinates(), "network": network, "target": "difference"} | options
    return train_model(
        table,
        validation,
        settings=how,
        radial={13: ATOM},
        valence={13: 3.0},
        engine={"engine": "test"},
        spacing=0.4,
        **arguments,
    )


OTHER = make_table(300, 5, shift=0.7, spread=1.5)
OTHER_VALIDATION = make_table(200, 6, shift=0.7, spread=1.5)


@pytest.fixture(scope="module")
def base() -> DensityModel:
    return fit(make_table(), make_table(200, 1)).model


def tensors(model: DensityModel) -> dict[str, np.ndarray]:
    return {name: t.numpy().copy() for name, t in model.network.tensors().items()}


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_frozen_layers_stay_bit_for_bit_and_all_others_move(base: DensityModel, frozen: int) -> None:
    before = tensors(base)
    after = tensors(fit(OTHER, OTHER_VALIDATION, base=base, frozen_layers=frozen).model)
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        same = np.array_equal(tensor, after[name])
        assert same == (int(name.split(".")[1]) < frozen), name
    for name, tensor in tensors(base).items():
        np.testing.assert_array_equal(tensor, before[name])  # the base itself is left alone


def test_scaler_target_and_origin_of_the_base_are_kept(base: DensityModel) -> None:
    tuned = fit(OTHER, OTHER_VALIDATION, base=base, provenance={"data": "large"}).model
    fresh = fit(OTHER, OTHER_VALIDATION).model
    np.testing.assert_array_equal(tuned.scaler.mean, base.scaler.mean)
    np.testing.assert_array_equal(tuned.scaler.std, base.scaler.std)
    assert tuned.target == base.target
    assert fresh.target != base.target
    assert np.abs(fresh.scaler.mean - base.scaler.mean).min() > 0.3
    origin = tuned.provenance["base"]
    assert origin["digest"] == base.digest()
    assert origin["provenance"]["training"]["history"] == base.provenance["training"]["history"]
    again = fit(OTHER, OTHER_VALIDATION, base=tuned, settings={"steps": 10}).model
    assert again.provenance["base"]["provenance"]["base"]["digest"] == base.digest()


def test_it_learns_the_new_data_and_better_than_from_the_start(base: DensityModel) -> None:
    few = OTHER.take(np.arange(60))
    tuned = fit(few, OTHER_VALIDATION, base=base)
    scratch = fit(few, OTHER_VALIDATION)
    first = tuned.history[0]
    assert first["step"] == 0
    assert "loss" not in first
    assert tuned.validation_nrmse_percent < 0.7 * first["validation_nrmse_percent"]
    assert tuned.validation_nrmse_percent < 0.9 * scratch.validation_nrmse_percent


def network(name: str) -> NetworkSettings:
    """A small network of that kind."""
    own = {"width": 16, "depth": 2}
    inside = {"ensemble": {"members": 2, "member": own}, "last_layer": {"inner": own}}
    return network_from_settings({"network": name, **inside.get(name, own)})


@pytest.mark.parametrize("name", ["mlp", "ensemble", "last_layer", "bayesian", "mean_variance"])
def test_no_learning_rate_no_change(name: str) -> None:
    own = fit(make_table(), make_table(200, 1), network=network(name), n_effective=200.0).model
    still = {"learning_rate": 1e-30, "steps": 10}
    tuned = fit(OTHER, OTHER_VALIDATION, base=own, settings=still, n_effective=100.0).model
    before, after = (m.predict_points(OTHER.features, OTHER.rho_saed) for m in (own, tuned))
    assert np.std(before - OTHER.density) > 0.005
    np.testing.assert_allclose(after, before, atol=1e-7)


@pytest.mark.parametrize("name", ["ensemble", "last_layer", "bayesian", "mean_variance"])
def test_every_kind_goes_on_learning_with_its_first_layer_frozen(name: str) -> None:
    own = fit(make_table(), make_table(200, 1), network=network(name), n_effective=200.0).model
    assert layers_to_train(own.network) == 3
    tuned = fit(OTHER, OTHER_VALIDATION, base=own, frozen_layers=1, n_effective=100.0)
    again = fit(OTHER, OTHER_VALIDATION, base=own, frozen_layers=1, n_effective=100.0)
    assert tuned.model.digest() == again.model.digest() != own.digest()
    error = [
        np.sqrt(np.mean((m.predict_points(OTHER.features, OTHER.rho_saed) - OTHER.density) ** 2))
        for m in (own, tuned.model)
    ]
    assert error[1] < error[0]
    changed = 0
    for name_, tensor in tensors(own).items():
        if ("layers.0." in name_ or "hidden.0." in name_) and "prior" not in name_:
            np.testing.assert_array_equal(tensor, tensors(tuned.model)[name_])
            changed += 1
    assert changed, "there is a first layer to look at"


def test_members_of_an_ensemble_go_on_each_from_its_own(base: DensityModel) -> None:
    member = {"name": "mlp", "width": 16, "depth": 2}
    own = fit(make_table(), network=EnsembleSettings(2, member), settings={"steps": 30}).model
    tuned = fit(OTHER, OTHER_VALIDATION, base=own, frozen_layers=2).model
    before, after = tensors(own), tensors(tuned)
    assert not np.array_equal(before["0.layers.0.weight"], before["1.layers.0.weight"])
    for k in (0, 1):
        np.testing.assert_array_equal(before[f"{k}.layers.0.weight"], after[f"{k}.layers.0.weight"])
        assert not np.array_equal(before[f"{k}.layers.2.weight"], after[f"{k}.layers.2.weight"])


def test_a_plain_base_can_learn_its_uncertainty(base: DensityModel) -> None:
    settings_ = LastLayerSettings({"name": "mlp", "width": 16, "depth": 2})
    still = {"learning_rate": 1e-30, "steps": 5}
    tuned = fit(OTHER, OTHER_VALIDATION, base=base, network=settings_, settings=still).model
    assert isinstance(tuned.network, LastLayer)
    assert tuned.knows_uncertainty
    np.testing.assert_allclose(
        tuned.predict_points(OTHER.features, OTHER.rho_saed),
        base.predict_points(OTHER.features, OTHER.rho_saed),
        atol=1e-7,
    )


def test_the_base_is_kept_where_no_step_does_better(base: DensityModel) -> None:
    wrong = replace(OTHER, density=np.random.default_rng(0).permutation(OTHER.density))
    tuned = fit(wrong, make_table(200, 1), base=base)
    assert tuned.validation_nrmse_percent == tuned.history[0]["validation_nrmse_percent"]
    assert tuned.model.digest() == base.digest()
    # without validation points nothing holds it back
    assert fit(wrong, base=base).model.digest() != base.digest()


class InterruptedRunError(Exception):
    """Stands for a killed process."""


@pytest.mark.parametrize(("frozen", "ema"), [(0, 0.0), (1, 0.0), (2, 0.9)])
def test_an_interrupted_run_carries_on_bit_for_bit(
    base: DensityModel, tmp_path: Path, frozen: int, ema: float
) -> None:
    def interrupted(stage: str, done: int, total: int) -> None:
        if stage == "training" and done >= 60:
            raise InterruptedRunError

    how: dict[str, Any] = {
        "base": base,
        "frozen_layers": frozen,
        "settings": {"ema": ema},
        "checkpoint_seconds": 0.0,
    }
    whole = fit(OTHER, OTHER_VALIDATION, **how)
    with pytest.raises(InterruptedRunError):
        fit(OTHER, OTHER_VALIDATION, checkpoint_dir=tmp_path, progress=interrupted, **how)
    steps: list[int] = []
    how["progress"] = lambda stage, done, total: steps.append(done)
    resumed = fit(OTHER, OTHER_VALIDATION, checkpoint_dir=tmp_path, **how)
    assert steps[0] >= 50, "it carried on"
    assert resumed.model.digest() == whole.model.digest()
    assert resumed.history == whole.history


def test_a_checkpoint_of_another_base_is_not_carried_on(base: DensityModel, tmp_path: Path) -> None:
    other = fit(make_table(seed=3), settings={"steps": 20}).model
    how: dict[str, Any] = {"checkpoint_dir": tmp_path, "settings": {"steps": 30}}
    first = fit(OTHER, OTHER_VALIDATION, base=base, **how)
    second = fit(OTHER, OTHER_VALIDATION, base=other, **how)
    assert first.model.digest() != second.model.digest()
    assert (
        second.model.digest()
        == fit(OTHER, OTHER_VALIDATION, base=other, settings={"steps": 30}).model.digest()
    )
    frozen = fit(OTHER, OTHER_VALIDATION, base=other, frozen_layers=1, **how)
    assert frozen.model.digest() != second.model.digest()


@pytest.mark.parametrize("settings_", [GaussianProcessSettings(), LinearSettings()])
def test_what_is_fitted_at_once_cannot_be_fine_tuned(settings_: NetworkSettings) -> None:
    own = fit(make_table(), network=settings_).model
    with pytest.raises(InputError, match=f"'{settings_.name}' cannot be fine-tuned"):
        fit(OTHER, base=own)
    many = fit(make_table(), network=EnsembleSettings(2, settings_.as_dict())).model
    with pytest.raises(InputError, match="cannot be fine-tuned"):
        fit(OTHER, base=many)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": MLPSettings(width=8, depth=2)}, "keeps the network"),
        ({"network": LastLayerSettings({"name": "mlp", "width": 8})}, "keeps the network"),
        ({"target": "total"}, "keeps the target"),
        ({"descriptor": Coordinates(tag=1)}, "keeps the descriptor"),
        ({"frozen_layers": 3}, "0 to 2 can be frozen, not 3"),
        ({"frozen_layers": -1}, "0 to 2 can be frozen, not -1"),
    ],
)
def test_another_model_than_the_base_is_refused(
    base: DensityModel, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fit(OTHER, base=base, **options)


@given(effective=st.floats(1.0, 300.0))
@settings(max_examples=5)
def test_independent_values_are_recorded(effective: float) -> None:
    model = fit(make_table(50), n_effective=effective, settings={"steps": 2}).model
    assert model.provenance["training"]["effective_points"] == effective
    assert torch.isfinite(next(iter(model.network.tensors().values()))).all()
