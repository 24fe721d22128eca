"""`finetune` from artefact to artefact; and what `train` hands on: independent values and calibration."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from synthetic_study import TRAIN, make_data  # type: ignore[import-not-found]

from nearsight.atomic.radial import RadialDensity
from nearsight.atomic.superposition import superpose
from nearsight.coreset import METHODS
from nearsight.errors import CompatibilityError, InputError, UnknownElementError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.model import DensityModel
from nearsight.model.file import load_model, save_model
from nearsight.snapshot import Snapshot
from nearsight.store import Dataset
from nearsight.structure import Structure
from nearsight.training import describe_points
from nearsight.workflows.config import Config
from nearsight.workflows.evaluate import evaluate
from nearsight.workflows.finetune import UNCHECKED_PASSES, finetune
from nearsight.workflows.material import INDEPENDENT_VOLUME, from_coreset, from_dataset, training_points
from nearsight.workflows.prune import prune
from nearsight.workflows.train import train

CONFIG = Config.model_validate(TRAIN)
#: the same training for a model that brings descriptor and network
TUNE = Config.model_validate(
    {
        "training": {**TRAIN["training"], "learning_rate": 1e-2},
        "validation_points": TRAIN["validation_points"],
    }
)
ENGINE = {"engine": "counting", "functional": "none"}
SPLITS = ("train", "train", "validation", "test")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_data(tmp_path_factory.mktemp("small") / "data.zarr")


def make_large(
    path: Path,
    radial: Mapping[int, RadialDensity],
    *,
    stored: Mapping[int, RadialDensity] | None = None,
    engine: Mapping[str, Any] | None = ENGINE,
    number: int = 13,
    splits: tuple[str, ...] = SPLITS,
    factor: float = 1.0,
) -> Dataset:
    """Eight jolted atoms a snapshot, bent another way than the small cells; `stored` tables go with it."""
    data = Dataset.create(path, engine=engine, radial=radial if stored is None else stored)
    rng = np.random.default_rng(7)
    cell = np.diag([15.3, 7.65, 7.65])
    face = np.array([[0, 0, 0], [0.25, 0.5, 0], [0.25, 0, 0.5], [0, 0.5, 0.5]])
    sites = np.concatenate([face, face + np.array([0.5, 0, 0])]) @ cell
    for n, split in enumerate(splits):
        structure = Structure(cell, sites + 0.4 * rng.standard_normal(sites.shape), np.full(8, 13))
        grid = UniformGrid(cell, (18, 10, 9))
        atoms = superpose(structure, grid, radial).values
        bent = atoms + 8.0 * (atoms - atoms.mean()) ** 2
        electrons = 24.0 * factor
        labelled = Structure(cell, structure.positions, np.full(8, number))
        rho = ScalarField(grid, bent).rescaled(electrons).field
        data.write(n, Snapshot(labelled, rho, electrons), label=f"{n}", trajectory=f"t{n}", split=split)
    return Dataset.open(path)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, small: Dataset) -> Dataset:
    return make_large(tmp_path_factory.mktemp("large") / "data.zarr", small.radial)


@pytest.fixture(scope="module")
def base(small: Dataset) -> DensityModel:
    return train(small, None, CONFIG).model


def test_independent_values_are_those_of_the_cells_and_no_more_than_the_points(
    small: Dataset, tmp_path: Path
) -> None:
    numbers = small.snapshots("train")
    expected = sum(small.structure(n).volume for n in numbers) / INDEPENDENT_VOLUME
    result = train(small, None, CONFIG)
    assert result.model.provenance["training"]["effective_points"] == pytest.approx(expected)
    assert 3 < expected < result.n_points
    own = train(small, None, CONFIG.model_copy(update={"effective_points": 17.5}))
    assert own.model.provenance["training"]["effective_points"] == 17.5

    points = training_points(small)
    some = points.take(np.flatnonzero(points.snapshot == numbers[0]))
    descriptor = result.model.descriptor
    part = from_dataset(small, describe_points(small, descriptor, some), None)
    assert part.independent_values == pytest.approx(small.structure(numbers[0]).volume / INDEPENDENT_VOLUME)

    for keep in (0.5, 0.002):
        coreset = prune(small, tmp_path / "core.zarr", METHODS["random"](), keep, CONFIG).coreset
        n = len(coreset.training)
        found = from_coreset(coreset, descriptor).independent_values
        assert found == pytest.approx(min(n, expected))
    assert n < expected


def test_a_model_that_knows_its_uncertainty_is_calibrated_before_it_is_saved(
    small: Dataset, tmp_path: Path
) -> None:
    network = {"name": "ensemble", "members": 2, "member": TRAIN["network"]}
    config = CONFIG.model_copy(update={"network": network})
    trained = train(small, tmp_path / "m.nst", config).model
    assert trained.calibration["n_points"] == CONFIG.validation_points
    assert trained.calibration["n_snapshots"] == 2
    assert load_model(tmp_path / "m.nst").calibration == trained.calibration
    assert train(small, None, CONFIG).model.calibration == {}


def test_it_goes_on_from_the_base(base: DensityModel, large: Dataset, tmp_path: Path) -> None:
    result = finetune(base, large, tmp_path / "better.nst", TUNE)
    model = load_model(tmp_path / "better.nst")
    assert [path.name for path in tmp_path.iterdir()] == ["better.nst"]
    assert model.digest() == result.model.digest() != base.digest()
    np.testing.assert_array_equal(model.scaler.mean, base.scaler.mean)
    assert model.target == base.target
    assert model.descriptor.settings() == base.descriptor.settings()
    assert {z: t.digest() for z, t in model.radial.items()} == {13: base.radial[13].digest()}
    assert model.provenance["base"]["digest"] == base.digest() == result.base_digest
    assert model.provenance["data"]["dataset_digest"] == large.digest()
    volume = sum(large.structure(n).volume for n in large.snapshots("train"))
    assert model.provenance["training"]["effective_points"] == pytest.approx(volume / INDEPENDENT_VOLUME)
    assert result.training.validation_nrmse_percent < 0.95 * result.base_nrmse_percent
    assert result.base_nrmse_percent == result.training.history[0]["validation_nrmse_percent"]
    before, after = (evaluate(m, large, split="test")["nrmse_percent"] for m in (base, model))
    assert after < 0.95 * before
    summary = result.as_json()
    assert summary["base_validation_nrmse_percent"] == result.base_nrmse_percent
    assert (summary["frozen_layers"], summary["n_layers"]) == (result.frozen_layers, 2)
    assert result.remarks == []


def test_the_frozen_layer_of_the_base_is_that_of_the_model(base: DensityModel, large: Dataset) -> None:
    tuned = finetune(base, large, None, TUNE, freeze=1).model.network.tensors()
    for name, tensor in base.network.tensors().items():
        assert np.array_equal(tensor, tuned[name]) == ("layers.0" in name)


def test_the_same_call_after_an_interruption_gives_the_same_model(
    base: DensityModel, large: Dataset, tmp_path: Path
) -> None:
    config = TUNE.model_copy(update={"checkpoint_seconds": 0.0})

    def interrupted(stage: str, done: int, total: int) -> None:
        if stage == "training" and done >= 40:
            raise KeyboardInterrupt

    whole = finetune(base, large, None, config)
    with pytest.raises(KeyboardInterrupt):
        finetune(base, large, tmp_path / "m.nst", config, progress=interrupted)
    assert (tmp_path / ".m.nst.checkpoint").exists()
    assert not (tmp_path / "m.nst").exists()
    steps: list[int] = []

    def watch(stage: str, done: int, total: int) -> None:
        steps.append(done) if stage == "training" else None

    resumed = finetune(base, large, tmp_path / "m.nst", config, progress=watch)
    assert steps[0] >= 30
    assert resumed.model.digest() == whole.model.digest()
    assert [path.name for path in tmp_path.iterdir()] == ["m.nst"]


def test_a_coreset_will_do_and_its_descriptor_does_not_matter(
    base: DensityModel, large: Dataset, tmp_path: Path
) -> None:
    other = CONFIG.model_copy(update={"descriptor": {"name": "power_spectrum", "cutoff": 5.0}})
    tuned = []
    for config in (CONFIG, other):
        prune(large, tmp_path / "core.zarr", METHODS["random"](), 0.1, config)
        tuned.append(finetune(base, tmp_path / "core.zarr", None, TUNE))
    assert tuned[0].training.n_points == round(0.1 * 2 * 18 * 10 * 9)
    assert tuned[0].model.digest() == tuned[1].model.digest()
    assert tuned[0].training.validation_nrmse_percent < tuned[0].base_nrmse_percent
    assert tuned[0].model.provenance["data"]["coreset"]["name"] == "random"


def test_atomic_densities_are_those_of_the_base(
    base: DensityModel, small: Dataset, large: Dataset, tmp_path: Path
) -> None:
    own = small.radial[13]
    wider = {13: RadialDensity(13, 1.1 * own.r, own.rho / 1.1**3, own.n_electrons, {})}
    other = make_large(tmp_path / "other.zarr", small.radial, stored=wider)
    none = make_large(tmp_path / "none.zarr", small.radial, stored={})
    expected = finetune(base, large, None, TUNE).model.digest()
    assert finetune(base, other, None, TUNE).model.digest() == expected
    assert finetune(base, none, None, TUNE).model.digest() == expected
    assert wider[13].digest() != own.digest()


def test_without_validation_snapshots_it_says_what_decides(
    small: Dataset, large: Dataset, tmp_path: Path
) -> None:
    network = {"name": "ensemble", "members": 2, "member": TRAIN["network"]}
    own = train(small, None, CONFIG.model_copy(update={"network": network})).model
    unchecked = make_large(tmp_path / "d.zarr", small.radial, splits=("train",))
    result = finetune(own, unchecked, None, TUNE)
    assert np.isnan(result.training.validation_nrmse_percent)
    assert result.as_json()["base_validation_nrmse_percent"] is None
    assert "no validation snapshots" in result.notes[0]
    assert result.training.steps == 2 * 60
    assert result.model.calibration == own.calibration != {}
    checked = finetune(own, large, None, TUNE)
    assert checked.remarks == []
    assert checked.model.calibration != own.calibration


def test_without_validation_snapshots_few_points_get_few_steps(
    base: DensityModel, small: Dataset, tmp_path: Path
) -> None:
    data = make_large(tmp_path / "d.zarr", small.radial, splits=("train",))
    prune(data, tmp_path / "core.zarr", METHODS["random"](), 0.01, CONFIG)
    free = {k: v for k, v in TUNE.training.items() if k != "steps"}
    result = finetune(base, tmp_path / "core.zarr", None, TUNE.model_copy(update={"training": free}))
    # all points are in every batch: a pass is a step
    assert result.training.steps == UNCHECKED_PASSES
    assert finetune(base, tmp_path / "core.zarr", None, TUNE).training.steps == 60


def test_it_says_where_the_base_is_kept(base: DensityModel, large: Dataset) -> None:
    settings = {**TRAIN["training"], "learning_rate": 1e-30}
    result = finetune(base, large, None, TUNE.model_copy(update={"training": settings}))
    assert result.model.digest() == base.digest()
    assert "its weights are kept" in result.notes[0]


def test_other_physics_is_refused_and_other_k_points_are_named(
    base: DensityModel, small: Dataset, tmp_path: Path
) -> None:
    other = make_large(tmp_path / "a.zarr", small.radial, engine={**ENGINE, "functional": "another"})
    with pytest.raises(CompatibilityError, match=r"learned densities of none.*has another.*--force"):
        finetune(base, other, None, TUNE)
    forced = finetune(base, other, None, TUNE, force=True)
    assert forced.model.engine["functional"] == "another"
    unknown = make_large(tmp_path / "b.zarr", small.radial, engine=None)
    with pytest.raises(CompatibilityError, match=r"the data came from files.*--force"):
        finetune(base, unknown, None, TUNE)
    assert finetune(base, unknown, None, TUNE, force=True).model.engine == base.engine
    mesh = make_large(tmp_path / "c.zarr", small.radial, engine={**ENGINE, "k_points": [2, 2, 2]})
    gamma = DensityModel(**{**vars(base), "engine": {**ENGINE, "k_points": "gamma"}})
    (remark,) = finetune(gamma, mesh, None, TUNE).remarks
    assert remark.startswith("the data has k-points 2×2×2, the base model's had k-points gamma")
    loose = DensityModel(**{**vars(base), "engine": {}})
    (remark,) = finetune(loose, unknown, None, TUNE).remarks
    assert "was not checked" in remark


def test_elements_and_electrons_that_the_base_does_not_know_are_refused(
    base: DensityModel, small: Dataset, tmp_path: Path
) -> None:
    silicon = make_large(tmp_path / "si.zarr", small.radial, stored={}, number=14)
    with pytest.raises(UnknownElementError, match="never saw Si"):
        finetune(base, silicon, None, TUNE)
    core = make_large(tmp_path / "core.zarr", small.radial, factor=11 / 3)
    with pytest.raises(CompatibilityError, match="88 valence electrons, the model counts 24"):
        finetune(base, core, None, TUNE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"descriptor": {"name": "power_spectrum", "cutoff": 5.0}}, "another descriptor"),
        ({"target": "total"}, "target is difference"),
        ({"network": {"name": "mlp", "width": 13, "depth": 1}}, "keeps the network"),
        ({"training": {"step": 3}}, "unexpected keyword argument 'step'"),
    ],
)
def test_settings_that_would_change_the_base_are_refused(
    base: DensityModel, large: Dataset, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        finetune(base, large, None, Config.model_validate({**TRAIN, **change}))


def test_settings_that_say_what_the_base_is_are_fine(base: DensityModel, large: Dataset) -> None:
    same = CONFIG.model_copy(update={"training": TUNE.training})
    digests = [finetune(base, large, None, config).model.digest() for config in (same, TUNE)]
    assert digests[0] == digests[1]


def test_a_fit_in_closed_form_is_refused(small: Dataset, large: Dataset, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"network": {"name": "linear"}})
    save_model(train(small, None, config).model, tmp_path / "linear.nst")
    with pytest.raises(InputError, match="'linear' cannot be fine-tuned"):
        finetune(tmp_path / "linear.nst", large, None, TUNE)
    with pytest.raises(InputError, match="0 to 1 can be frozen, not 2"):
        finetune(train(small, None, CONFIG).model, large, None, TUNE, freeze=2)
