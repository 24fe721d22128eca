"""Calibrating on validation points, and evaluating with uncertainty: what is kept, shown and drawn."""

import json
import sys
import xml.etree.ElementTree as ET
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from synthetic_study import TRAIN, make_data  # type: ignore[import-not-found]

from nearsight.cli.main import app
from nearsight.errors import InputError
from nearsight.inference.predictor import predict_density
from nearsight.metrics.calibration import Means
from nearsight.model.calibration import Calibration
from nearsight.model.density_model import DensityModel
from nearsight.model.file import load_model, save_model
from nearsight.report.calibration_figure import calibration_svg, write_calibration_figure
from nearsight.store import Dataset
from nearsight.workflows.calibrate import calibrated, stated_points
from nearsight.workflows.config import Config
from nearsight.workflows.evaluate import evaluate
from nearsight.workflows.material import describe_validation
from nearsight.workflows.train import train

ENSEMBLE = {"name": "ensemble", "members": 3, "member": TRAIN["network"]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_data(tmp_path_factory.mktemp("data") / "data.zarr")


@pytest.fixture(scope="module")
def raw(data: Dataset) -> DensityModel:
    """An ensemble as it is trained, not calibrated."""
    model = train(data, None, Config.model_validate({**TRAIN, "network": ENSEMBLE})).model
    provenance = {k: v for k, v in model.provenance.items() if k != "calibration"}
    return replace(model, calibration={}, provenance=provenance)


@pytest.fixture(scope="module")
def plain(data: Dataset) -> DensityModel:
    return train(data, None, Config.model_validate(TRAIN)).model


@pytest.fixture(scope="module")
def model(raw: DensityModel, data: Dataset) -> DensityModel:
    return calibrated(raw, describe_validation(data, raw.descriptor, 800, 0))


@pytest.fixture(scope="module")
def found(model: DensityModel, data: Dataset) -> dict:
    return evaluate(model, data, split="test")


def test_calibration_is_kept_with_its_record(raw: DensityModel, model: DensityModel, tmp_path: Path) -> None:
    kept = Calibration.from_dict(model.calibration)
    assert (kept.n_points, kept.n_snapshots) == (800, 2)
    assert kept.noise > 0, "the members of this ensemble state no aleatoric variance"
    record = model.provenance["calibration"]
    assert record["snapshots"] == [3, 4]
    assert record["coverage_before"][0] < record["coverage_after"][0]
    assert 0.68 < record["coverage_after"][0] < 0.75
    assert raw.calibration == {}
    assert model.digest() == raw.digest(), "the density is the same"
    save_model(model, tmp_path / "model.nst")
    assert load_model(tmp_path / "model.nst").calibration == model.calibration


def test_training_calibrates(data: Dataset) -> None:
    trained = train(data, None, Config.model_validate({**TRAIN, "network": ENSEMBLE})).model
    assert trained.calibration["n_snapshots"] == 2


def test_calibrating_again_changes_nothing(model: DensityModel, data: Dataset) -> None:
    table = describe_validation(data, model.descriptor, 800, 0)
    assert calibrated(model, table).calibration == model.calibration


def test_nothing_to_calibrate(raw: DensityModel, plain: DensityModel, data: Dataset) -> None:
    table = describe_validation(data, raw.descriptor, 50, 0)
    assert table is not None
    assert calibrated(raw, None) is raw
    assert calibrated(raw, table.take(np.empty(0, int))) is raw
    assert calibrated(plain, table) is plain


def test_stated_points_are_what_the_model_predicts(raw: DensityModel, data: Dataset) -> None:
    table = describe_validation(data, raw.descriptor, 300, 0)
    assert table is not None
    stated = stated_points(raw, table)
    own = raw.predict_uncertain_points(table.features, table.rho_saed)
    order = np.argsort(table.points.snapshot, kind="stable")
    np.testing.assert_allclose(
        stated.errors * raw.target.scale, (table.density - own.density)[order], atol=1e-3 * raw.target.scale
    )
    np.testing.assert_allclose(np.sqrt(stated.epistemic) * raw.target.scale, own.epistemic[order], rtol=0.05)
    np.testing.assert_array_equal(stated.snapshots, table.points.snapshot[order])


def test_evaluate_holds_the_calibration_of_all_and_each(found: dict) -> None:
    whole = found["calibration"]
    assert {f.name for f in fields(Means)} <= set(whole)
    assert whole["n_snapshots"] == len(found["per_snapshot"]) == 4
    single = [s["calibration"]["coverage_2"] for s in found["per_snapshot"]]
    assert whole["coverage_2"] == pytest.approx(np.mean(single))
    low, high = whole["intervals"]["coverage_2"]
    assert min(single) <= low <= whole["coverage_2"] <= high <= max(single)
    assert whole["bootstrap"]["over"] == "snapshots"
    assert whole["recalibration"]["n_snapshots"] == 2
    json.dumps(found)


def test_trajectories_are_apart(found: dict) -> None:
    groups = {group["trajectory"]: group for group in found["per_trajectory"]}
    assert {name: group["n_snapshots"] for name, group in groups.items()} == {
        "test-a": 2,
        "test-b": 1,
        "strange": 1,
    }
    pair = [s for s in found["per_snapshot"] if s["trajectory"] == "test-a"]
    assert groups["test-a"]["nrmse_percent"] == pytest.approx(np.mean([s["nrmse_percent"] for s in pair]))
    mean = np.mean([s["calibration"]["mean_epistemic"] for s in pair])
    assert groups["test-a"]["calibration"]["mean_epistemic"] == pytest.approx(mean)


def test_the_figures_are_of_the_density_that_is_predicted(
    model: DensityModel, data: Dataset, found: dict
) -> None:
    number = found["per_snapshot"][0]["snapshot"]
    reference = data.density(number)
    predicted = predict_density(model, data.structure(number), reference.grid, uncertainty=True)
    assert predicted.aleatoric is not None
    assert predicted.epistemic is not None
    sigma = np.hypot(predicted.aleatoric.values, predicted.epistemic.values)
    inside = np.abs(reference.values - predicted.density.values) <= sigma
    assert found["per_snapshot"][0]["calibration"]["coverage_1"] == pytest.approx(inside.mean())


def test_a_plain_model_has_no_calibration(plain: DensityModel, data: Dataset, tmp_path: Path) -> None:
    found = evaluate(plain, data, split="validation")
    assert found["calibration"] is None
    assert found["per_snapshot"][0]["calibration"] is None
    assert found["per_trajectory"][0]["calibration"] is None
    with pytest.raises(InputError, match="states no uncertainty"):
        evaluate(plain, data, figure=tmp_path / "figure.svg")


def test_the_figure_is_an_svg_by_itself(model: DensityModel, data: Dataset, tmp_path: Path) -> None:
    found = evaluate(model, data, split="test", figure=tmp_path / "figure.svg")
    root = ET.fromstring((tmp_path / "figure.svg").read_text())
    words = " ".join("".join(element.itertext()) for element in root.iter() if element.tag.endswith("text"))
    for name in (
        "nominal coverage (%)",
        "observed coverage (%)",
        "e/bohr³",
        "mean |error|",
        "of 4 snapshots",
    ):
        assert name in words
    size = [float(number) for number in root.attrib["viewBox"].split()[2:]]
    for element in root.iter():
        if element.tag.endswith("circle"):
            assert 0 < float(element.attrib["cx"]) < size[0]
            assert 0 < float(element.attrib["cy"]) < size[1]
    single = found | {"per_snapshot": found["per_snapshot"][:1]}
    assert "single snapshots" in words
    assert "single snapshots" not in calibration_svg(single, "one")


def test_the_page_has_the_trajectories(found: dict, tmp_path: Path) -> None:
    write_calibration_figure(found, tmp_path / "figure.html", "A < B")
    text = (tmp_path / "figure.html").read_text()
    assert "strange" in text
    assert "A &lt; B" in text
    with pytest.raises(InputError, match=r"neither \.svg nor \.html"):
        write_calibration_figure(found, tmp_path / "figure.png", "")
    with pytest.raises(InputError, match="no calibration"):
        write_calibration_figure({"calibration": None}, tmp_path / "figure.svg", "")


def test_the_command_says_it_and_draws_it(model: DensityModel, data: Dataset, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model.nst")
    arguments = ["evaluate", tmp_path / "model.nst", data.path, "--split", "test"]
    arguments += ["--figure", tmp_path / "figure.svg", "--json", tmp_path / "result.json"]
    ran = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert ran.exit_code == 0
    for words in ("within 1, 2, 3 σ", "CRPS", "rank correlation", "strange"):
        assert words in ran.output
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["calibration"]["intervals"]["nll"][0] < result["calibration"]["nll"]
    assert (tmp_path / "figure.svg").exists()
