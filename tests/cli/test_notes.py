"""What every result with a magnetic element must say goes from label to energy."""

import json

import pytest
from ase import Atoms
from ase.io import write
from typer.testing import CliRunner

from nearsight.cli.main import app

NOTE = "Fe treated without spin"
#: coarse on purpose: only words are looked at
SETTINGS = "max_iterations: 80\nmixing: 0.3\nsmearing_kelvin: 3000\ndensity_tolerance: 1.0e-3\n"
TRAIN = "training: {steps: 20, checks: 2}\nvalidation_points: 200\n"


def run(*arguments):
    found = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    return found.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notes")
    images = []
    for i, split in enumerate(("train", "validation")):
        atoms = Atoms("Fe", cell=[2.6, 2.6, 2.6 + 0.05 * i], pbc=True)
        atoms.info.update(trajectory=f"t{i}", split=split)
        images.append(atoms)
    write(folder / "fe.extxyz", images)
    write(folder / "one.extxyz", images[:1])
    (folder / "engine.yaml").write_text(SETTINGS)
    (folder / "train.yaml").write_text(TRAIN)
    run(
        "label", folder / "fe.extxyz", "-o", folder / "fe.zarr", "--config", folder / "engine.yaml",
        "--shape", "24,24,24", "--json", folder / "label.json", "--quiet",
    )  # fmt: skip
    run(
        "train", folder / "fe.zarr", "-o", folder / "fe.nst", "--config", folder / "train.yaml",
        "--json", folder / "train.json", "--quiet",
    )  # fmt: skip
    return folder


def test_label_says_so(folder):
    warnings = json.loads((folder / "label.json").read_text())["warnings"]
    assert any(text.startswith(NOTE) for text in warnings)


def test_train_says_so(folder):
    assert json.loads((folder / "train.json").read_text())["notes"][0].startswith(NOTE)


@pytest.mark.parametrize("name", ["fe.zarr", "fe.nst"])
def test_info_says_so(folder, name):
    assert NOTE in run("info", folder / name)


def test_evaluate_says_so(folder):
    run("evaluate", folder / "fe.nst", folder / "fe.zarr", "--json", folder / "evaluate.json", "--quiet")
    assert json.loads((folder / "evaluate.json").read_text())["notes"][0].startswith(NOTE)


def test_predict_says_so(folder):
    run(
        "predict", folder / "fe.nst", folder / "one.extxyz", "-o", folder / "fe.cube",
        "--json", folder / "predict.json", "--quiet",
    )  # fmt: skip
    assert json.loads((folder / "predict.json").read_text())["notes"][-1].startswith(NOTE)


def test_energy_follows_the_engine_of_the_data_and_says_so(folder):
    run(
        "energy", folder / "fe.nst", folder / "one.extxyz", "--json", folder / "energy.json", "--quiet",
    )  # fmt: skip
    found = json.loads((folder / "energy.json").read_text())
    assert found["notes"][0].startswith(NOTE)
    assert found["engine"]["smearing_kelvin"] == 3000


def test_info_of_structures_and_of_a_data_set_names_the_k_points(folder):
    assert "gamma" in run("info", folder / "fe.zarr")
    found = run("info", folder / "fe.extxyz")
    assert "structures" in found
    assert "what you choose" in found
