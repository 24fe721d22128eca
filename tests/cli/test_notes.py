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


def test_energy_with_a_settings_file_keeps_the_smearing_of_the_data_unless_it_says_otherwise(folder):
    (folder / "mixing.yaml").write_text("mixing: 0.2\n")
    (folder / "cold.yaml").write_text("smearing_kelvin: 500\n")
    found = {}
    for name in ("mixing", "cold"):
        run(
            "energy", folder / "fe.nst", folder / "one.extxyz", "--config", folder / f"{name}.yaml",
            "--json", folder / f"{name}.json", "--quiet",
        )  # fmt: skip
        found[name] = json.loads((folder / f"{name}.json").read_text())
    assert found["mixing"]["engine"]["smearing_kelvin"] == 3000
    assert found["cold"]["engine"]["smearing_kelvin"] == 500
    assert not any("smearing_kelvin" in note for note in found["mixing"]["notes"])
    assert any("smearing_kelvin 3000" in note for note in found["cold"]["notes"])


def test_energy_says_which_of_several_structures_it_takes(folder):
    run(
        "energy", folder / "fe.nst", folder / "fe.extxyz", "--json", folder / "several.json", "--quiet",
    )  # fmt: skip
    notes = json.loads((folder / "several.json").read_text())["notes"]
    assert any("holds 2 structures; the last one is used" in note for note in notes)
