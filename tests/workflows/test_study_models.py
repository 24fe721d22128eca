"""Models that need no steps, in a study; and a network that learns from one."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from synthetic_study import TRAIN, make_data  # type: ignore[import-not-found]

from nearsight.errors import InputError
from nearsight.model.file import load_model
from nearsight.store import Dataset
from nearsight.workflows.config import Config, StudyConfig
from nearsight.workflows.evaluate import evaluate
from nearsight.workflows.study import run_study
from nearsight.workflows.train import train

KERNEL = {"name": "gaussian_process", "choose_on": 100, "metric_rounds": 0}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_data(tmp_path_factory.mktemp("data") / "data.zarr")


def test_a_study_of_networks_and_kernels(data: Dataset, tmp_path: Path) -> None:
    settings = {
        "methods": ["random"],
        "keep": [0.05],
        "seeds": 1,
        "models": {"mlp": TRAIN["network"], "kernel": KERNEL},
        "full": {"seeds": 1, "models": ["mlp"]},
        "coverage": False,
        "train": TRAIN,
    }
    study = run_study(data, tmp_path, StudyConfig.model_validate(settings), jobs=1)
    full, network, kernel = study["runs"]
    assert (kernel["model"], kernel["schedule"], kernel["steps"]) == ("kernel", "direct", 0)
    # the same points
    assert kernel["n_points"] == network["n_points"] == 198
    assert kernel["seconds"]["describe"] == network["seconds"]["describe"]
    assert 0 < kernel["validation_nrmse_percent"] < full["validation_nrmse_percent"]
    (excess,) = [entry for entry in study["excess"] if entry["model"] == "kernel"]
    assert (excess["full_model"], excess["full_schedule"]) == ("mlp", "steps")
    assert excess["e_over_f"] == pytest.approx(
        np.sqrt(np.mean([r["nrmse_percent"] ** 2 for r in kernel["per_snapshot"]]))
        / np.sqrt(np.mean([r["nrmse_percent"] ** 2 for r in full["per_snapshot"]]))
    )


def test_a_network_learns_from_a_teacher(data: Dataset, tmp_path: Path) -> None:
    own = Config.model_validate({**TRAIN, "network": {**KERNEL, "max_exact": 200, "inducing": 100}})
    train(data, tmp_path / "teacher.nst", own)
    student = Config.model_validate({key: TRAIN[key] for key in TRAIN if key != "descriptor"})
    train(data, tmp_path / "student.nst", student, teacher=tmp_path / "teacher.nst")
    teacher, taught = load_model(tmp_path / "teacher.nst"), load_model(tmp_path / "student.nst")
    assert taught.network.settings.as_dict()["network"] == "mlp"
    assert taught.descriptor.settings() == teacher.descriptor.settings()
    assert taught.provenance["teacher"]["digest"] == teacher.digest()
    plain = train(data, tmp_path / "plain.nst", Config.model_validate(TRAIN))
    errors = [evaluate(model, data, split="test")["nrmse_percent"] for model in (taught, plain.model)]
    assert 0.3 < errors[0] / errors[1] < 1.5
    assert taught.digest() != plain.model.digest()


def test_an_ensemble_leaves_no_checkpoints(data: Dataset, tmp_path: Path) -> None:
    network = {"name": "ensemble", "members": 2, "member": TRAIN["network"]}
    config = Config.model_validate({**TRAIN, "network": network, "checkpoint_seconds": 0})
    assert train(data, tmp_path / "model.nst", config).steps == 2 * 60
    assert [path.name for path in tmp_path.iterdir()] == ["model.nst"]


def test_a_student_cannot_have_another_descriptor_or_target(data: Dataset, tmp_path: Path) -> None:
    train(data, tmp_path / "teacher.nst", Config.model_validate(TRAIN))
    for change, says in (
        ({"descriptor": {"name": "power_spectrum", "cutoff": 5.0}}, "descriptor"),
        ({"target": "total"}, "target"),
    ):
        config = Config.model_validate({**TRAIN, **change})
        with pytest.raises(InputError, match=says):
            train(data, None, config, teacher=tmp_path / "teacher.nst")
