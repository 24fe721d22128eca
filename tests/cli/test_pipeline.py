"""The commands of the contract, artefact to artefact, on real Kohn–Sham data."""

from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest

from nearsight.atomic.superposition import superpose
from nearsight.io import read_snapshot
from nearsight.io.density import write_density, write_snapshot
from nearsight.model.file import load_model
from nearsight.store import Dataset, read_coreset


def test_label_gives_whole_trajectories_to_one_split(pipeline: Path) -> None:
    data = Dataset.open(pipeline / "data.zarr")
    assert len(data) == 4
    assert data.trajectories() == {"test-a": "test", "train-a": "train", "validation-a": "validation"}
    snapshot = data.snapshot(0)
    assert snapshot.density.integrate() == pytest.approx(12, abs=1e-3)
    assert snapshot.forces is not None
    assert np.abs(snapshot.forces).max() > 1e-4
    assert data.engine is not None
    assert data.engine["spin"] == "unpolarised"


def test_label_again_does_nothing_again(pipeline: Path, nearsight) -> None:
    ran = nearsight(
        "label",
        pipeline / "structures.extxyz",
        "-o",
        pipeline / "data.zarr",
        "--shape",
        "16,16,16",
        "--json",
        "-",
    )
    assert ran.code == 0
    assert ran.json["done"] == []
    assert ran.json["skipped"] == [0, 1, 2, 3]


def test_coreset_holds_training_points_only(pipeline: Path) -> None:
    coreset = read_coreset(pipeline / "core.zarr")
    data = Dataset.open(pipeline / "data.zarr")
    assert len(coreset.training) == round(0.2 * 2 * 16**3)
    assert set(np.unique(coreset.points.snapshot)) <= set(data.snapshots("train"))
    assert set(np.unique(coreset.validation.points.snapshot)) == set(data.snapshots("validation"))
    first = int(coreset.points.snapshot[0])
    rows = coreset.points.snapshot == first
    stored = data.density(first).values.ravel()[coreset.points.index[rows]]
    np.testing.assert_array_equal(coreset.density[rows], stored)


def test_same_seed_same_coreset(pipeline: Path, nearsight, tmp_path: Path) -> None:
    arguments = ("--method", "ccs", "--keep", 0.2, "--config", pipeline / "train.yaml", "--quiet")
    ran = nearsight("prune", pipeline / "data.zarr", "-o", tmp_path / "again.zarr", *arguments)
    assert ran.code == 0, ran.err
    first, again = read_coreset(pipeline / "core.zarr"), read_coreset(tmp_path / "again.zarr")
    np.testing.assert_array_equal(first.points.index, again.points.index)


def test_evaluate_gives_the_contract_keys(pipeline: Path, nearsight) -> None:
    ran = nearsight(
        "evaluate", pipeline / "model.nst", pipeline / "data.zarr", "--split", "test", "--json", "-"
    )
    assert ran.code == 0, ran.err
    result = ran.json
    assert len(result["per_snapshot"]) == 1
    assert result["nrmse_percent"] == pytest.approx(result["per_snapshot"][0]["nrmse_percent"])
    assert 0 < result["nmae_percent"] < 12
    every = nearsight("evaluate", pipeline / "model.nst", pipeline / "data.zarr", "--json", "-").json
    assert len(every["per_snapshot"]) == 4


def test_evaluate_takes_energies(pipeline: Path, nearsight) -> None:
    ran = nearsight(
        "evaluate",
        pipeline / "model.nst",
        pipeline / "data.zarr",
        "--split",
        "test",
        "--energies",
        "--json",
        "-",
    )
    assert ran.code == 0, ran.err
    assert 0 < ran.json["energy_error_ha_per_atom"] < 5e-3


def test_training_on_a_coreset_beats_superposed_atoms(pipeline: Path) -> None:
    model = load_model(pipeline / "model.nst")
    assert model.target.kind == "difference"
    assert model.valence == {13: 3.0}
    history = model.provenance["training"]
    assert history["points"] == round(0.2 * 2 * 16**3)


@pytest.mark.parametrize("name", ["rho.cube", "rho.npz", "rho.zarr"])
def test_predict_writes_what_can_be_read(pipeline: Path, nearsight, tmp_path: Path, name: str) -> None:
    structure = tmp_path / "cell.xyz"
    ase.io.write(structure, ase.io.read(pipeline / "structures.extxyz", index=-1), format="extxyz")
    ran = nearsight(
        "predict",
        pipeline / "model.nst",
        structure,
        "-o",
        tmp_path / name,
        "--shape",
        "12,12,18",
        "--json",
        "-",
    )
    assert ran.code == 0, ran.err
    snapshot = read_snapshot(tmp_path / name)
    assert snapshot.density.grid.shape == (12, 12, 18)
    assert snapshot.density.integrate() == pytest.approx(12, rel=1e-5)
    assert snapshot.density.values.min() >= 0


def test_energy_of_a_prediction_is_near_the_label(pipeline: Path, nearsight, tmp_path: Path) -> None:
    structure = tmp_path / "cell.xyz"
    ase.io.write(structure, ase.io.read(pipeline / "structures.extxyz", index=-1), format="extxyz")
    ran = nearsight("energy", pipeline / "model.nst", structure, "--json", "-")
    assert ran.code == 0, ran.err
    label = Dataset.open(pipeline / "data.zarr").info(3).energy
    assert label is not None
    assert ran.json["free_energy_ha"] == pytest.approx(label, abs=4 * 5e-3)


def test_energy_of_a_density_file_is_its_label(pipeline: Path, nearsight, tmp_path: Path) -> None:
    data = Dataset.open(pipeline / "data.zarr")
    write_density(tmp_path / "rho.npz", data.structure(3), data.density(3), n_electrons=12)
    ase.io.write(tmp_path / "cell.xyz", data.structure(3).to_ase(), format="extxyz")
    ran = nearsight("energy", "--density", tmp_path / "rho.npz", tmp_path / "cell.xyz", "--json", "-")
    assert ran.code == 0, ran.err
    assert ran.json["free_energy_ha"] == pytest.approx(data.info(3).energy, abs=1e-6)


def test_study_and_report(pipeline: Path, nearsight, tmp_path: Path) -> None:
    train = (pipeline / "train.yaml").read_text().replace("\n", "\n  ")
    (tmp_path / "study.yaml").write_text(
        f"methods: [random, importance]\nkeep: [0.1]\nseeds: 2\nfull_seeds: 1\ntrain:\n  {train}"
    )
    arguments = (
        "study",
        pipeline / "data.zarr",
        "-o",
        tmp_path / "study",
        "--config",
        tmp_path / "study.yaml",
    )
    ran = nearsight(*arguments, "--json", "-")
    assert ran.code == 0, ran.err
    study = ran.json
    assert [run["id"] for run in study["runs"]] == [
        "all-1-s0", "random-0.1-s0", "random-0.1-s1", "importance-0.1-s0", "importance-0.1-s1",
    ]  # fmt: skip
    assert study["baseline"]["mean"]["nrmse_percent"] > study["runs"][0]["nrmse_percent"] > 0
    stamp = (tmp_path / "study/models/all-1-s0.nst").stat().st_mtime_ns
    again = nearsight(*arguments, "--json", "-")
    assert (tmp_path / "study/models/all-1-s0.nst").stat().st_mtime_ns == stamp
    assert again.json["runs"] == study["runs"]
    ran = nearsight("report", tmp_path / "study", "-o", tmp_path / "report.html")
    assert ran.code == 0, ran.err
    assert (tmp_path / "report.html").stat().st_size > 1_000_000


def test_info_knows_every_artefact(pipeline: Path, nearsight) -> None:
    kinds = {
        name: nearsight("info", pipeline / name, "--json", "-").json["kind"]
        for name in ("data.zarr", "core.zarr", "model.nst")
    }
    assert kinds == {"data.zarr": "data set", "core.zarr": "coreset", "model.nst": "model"}


PAPER = """
target: total
descriptor: {name: local_frame, n_neighbours: 8}
network: {name: mlp, width: 24, depth: 2, activation: relu, output: relu}
training: {steps: 200, batch: 512, checks: 10, threads: 1}
scoring: {initialisations: 1, steps: 20}
validation_points: 1000
"""


def test_the_first_paper_s_choices_go_all_the_way(pipeline: Path, nearsight, tmp_path: Path) -> None:
    """Total density, ReLU output, local frame: pruned by GraNd, trained, predicted, an energy taken."""
    (tmp_path / "paper.yaml").write_text(PAPER)
    config = ("--config", tmp_path / "paper.yaml", "--quiet")
    core, model = tmp_path / "core.zarr", tmp_path / "model.nst"
    ran = nearsight(
        "prune", pipeline / "data.zarr", "-o", core, "--method", "importance", "--keep", 0.5, *config
    )
    assert ran.code == 0, ran.err
    assert nearsight("train", core, "-o", model, *config).code == 0
    loaded = load_model(model)
    assert (loaded.target.kind, loaded.target.shift) == ("total", 0.0)
    ase.io.write(
        tmp_path / "cell.xyz", ase.io.read(pipeline / "structures.extxyz", index=-1), format="extxyz"
    )
    ran = nearsight("energy", model, tmp_path / "cell.xyz", "--json", "-")
    assert ran.code == 0, ran.err
    assert ran.json["clipped_charge"] == 0
    assert ran.json["free_energy_ha_per_atom"] == pytest.approx(-2.05, abs=0.05)


def test_imported_files_train_a_model_of_the_total_density(pipeline: Path, nearsight, tmp_path: Path) -> None:
    data = Dataset.open(pipeline / "data.zarr")
    for number in (0, 1):
        write_density(tmp_path / f"{number}.cube", data.structure(number), data.density(number))
    files = [tmp_path / "0.cube", tmp_path / "1.cube"]
    assert nearsight("import", *files, "-o", tmp_path / "d.zarr", "--quiet").code == 0
    arguments = ("-o", tmp_path / "m.nst", "--config", pipeline / "train.yaml", "--json", "-")
    ran = nearsight("train", tmp_path / "d.zarr", *arguments)
    assert ran.code == 0, ran.err
    assert ran.json["validation_nrmse_percent"] is None
    model = load_model(tmp_path / "m.nst")
    assert model.target.kind == "total"
    assert model.valence[13] == pytest.approx(3, abs=1e-3)
    ran = nearsight(
        "predict", tmp_path / "m.nst", tmp_path / "0.cube", "-o", tmp_path / "rho.npz", "--json", "-"
    )
    assert ran.code == 0, ran.err
    assert ran.json["n_electrons"] == pytest.approx(12, abs=1e-2)
    ase.io.write(tmp_path / "cell.xyz", data.structure(0).to_ase(), format="extxyz")
    assert "--force" in nearsight("energy", tmp_path / "m.nst", tmp_path / "cell.xyz").error


def test_superposed_atoms_that_come_with_files_make_the_difference(
    pipeline: Path, nearsight, tmp_path: Path
) -> None:
    data = Dataset.open(pipeline / "data.zarr")
    for number in (0, 1):
        saed = superpose(data.structure(number), data.grid(number), data.radial)
        snapshot = replace(data.snapshot(number), rho_saed=saed)
        write_snapshot(tmp_path / f"{number}.npz", snapshot)
    files = [tmp_path / "0.npz", tmp_path / "1.npz"]
    assert nearsight("import", *files, "-o", tmp_path / "d.zarr", "--quiet").code == 0
    fitted, free = Dataset.open(tmp_path / "d.zarr").radial[13], data.radial[13]
    assert fitted.n_electrons == pytest.approx(3)
    again = superpose(data.structure(0), data.grid(0), {13: fitted})
    saed = superpose(data.structure(0), data.grid(0), {13: free})
    assert np.abs((again - saed).values).mean() < 0.02 * saed.values.mean()
    ran = nearsight(
        "train", tmp_path / "d.zarr", "-o", tmp_path / "m.nst", "--config", pipeline / "train.yaml", "--quiet"
    )
    assert ran.code == 0, ran.err
    assert load_model(tmp_path / "m.nst").target.kind == "difference"
