"""``nearsight finetune``: its contract, on real Kohn–Sham data."""

from pathlib import Path

import numpy as np
import pytest

from nearsight.model.file import load_model
from nearsight.store import Dataset
from nearsight.workflows.finetune import FROZEN_LAYERS

TUNE = "training: {steps: 60, batch: 512, checks: 6, threads: 1}\nvalidation_points: 1000\n"


@pytest.fixture
def tune(tmp_path: Path) -> Path:
    path = tmp_path / "tune.yaml"
    path.write_text(TUNE)
    return path


def test_finetune_writes_a_model_and_its_figures(
    pipeline: Path, nearsight, tmp_path: Path, tune: Path
) -> None:
    arguments = ("finetune", pipeline / "model.nst", pipeline / "data.zarr", "--config", tune)
    ran = nearsight(*arguments, "-o", tmp_path / "better.nst", "--json", "-")
    assert ran.code == 0, ran.err
    base, model = load_model(pipeline / "model.nst"), load_model(tmp_path / "better.nst")
    assert ran.json["model_digest"] == model.digest()
    assert ran.json["base_digest"] == base.digest() == model.provenance["base"]["digest"]
    assert ran.json["n_points"] == 2 * 16**3
    assert (ran.json["frozen_layers"], ran.json["n_layers"]) == (FROZEN_LAYERS, 3)
    assert ran.json["validation_nrmse_percent"] <= ran.json["base_validation_nrmse_percent"]
    again = nearsight(*arguments, "-o", tmp_path / "again.nst", "--quiet")
    assert (again.code, again.out) == (0, "")
    assert load_model(tmp_path / "again.nst").digest() == model.digest()
    other = nearsight(*arguments, "-o", tmp_path / "other.nst", "--seed", 1, "--quiet")
    assert other.code == 0
    assert load_model(tmp_path / "other.nst").digest() != model.digest()


def test_freeze_leaves_the_first_layers(pipeline: Path, nearsight, tmp_path: Path, tune: Path) -> None:
    ran = nearsight(
        "finetune", pipeline / "model.nst", pipeline / "core.zarr", "-o", tmp_path / "m.nst",
        "--freeze", 2, "--config", tune,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "2 of 3" in ran.out
    base, model = load_model(pipeline / "model.nst"), load_model(tmp_path / "m.nst")
    new = model.network.tensors()
    for name, tensor in base.network.tensors().items():
        assert np.array_equal(tensor, new[name]) == (not name.startswith("layers.2")), name


def test_data_without_validation_says_what_decides(
    pipeline: Path, nearsight, tmp_path: Path, tune: Path
) -> None:
    whole = Dataset.open(pipeline / "data.zarr")
    part = Dataset.create(tmp_path / "part.zarr", engine=whole.engine, radial=whole.radial)
    part.write(0, whole.snapshot(0), label="0", trajectory="t", split="train")
    ran = nearsight(
        "finetune",
        pipeline / "model.nst",
        part.path,
        "-o",
        tmp_path / "m.nst",
        "--config",
        tune,
        "--json",
        "-",
    )
    assert ran.code == 0, ran.err
    assert ran.json["validation_nrmse_percent"] is None
    assert ran.json["base_validation_nrmse_percent"] is None
    assert any("all 60 steps" in note for note in ran.json["notes"])


def test_what_cannot_be_done_is_one_line(pipeline: Path, nearsight, tmp_path: Path) -> None:
    model, data, output = pipeline / "model.nst", pipeline / "data.zarr", tmp_path / "m.nst"
    ran = nearsight("finetune", model, data, "-o", output, "--freeze", 3)
    assert "of the network's 3 layers, 0 to 2 can be frozen, not 3" in ran.error
    assert ran.code == 2
    (tmp_path / "other.yaml").write_text("network: {name: mlp, width: 99}\n")
    ran = nearsight("finetune", model, data, "-o", output, "--config", tmp_path / "other.yaml")
    assert "keeps the network of the base model" in ran.error
    assert "does not exist" in nearsight("finetune", model, tmp_path / "none.zarr", "-o", output).error
    assert ".nst" in nearsight("finetune", tmp_path / "none.nst", data, "-o", output).error
    whole = Dataset.open(data)
    assert whole.engine is not None
    other = Dataset.create(
        tmp_path / "lda.zarr", engine={**whole.engine, "functional": "LDA"}, radial=whole.radial
    )
    other.write(0, whole.snapshot(0), label="0", trajectory="t", split="train")
    ran = nearsight("finetune", model, other.path, "-o", output)
    assert "densities of PBE" in ran.error
    assert "--force" in ran.error
    assert not output.exists()
