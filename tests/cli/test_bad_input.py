"""Bad input: one clear line on stderr, a non-zero exit code, nothing lost."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from nearsight.io.density import write_density
from nearsight.store import Dataset


def _npz(path: Path, **changes) -> Path:
    """A good snapshot file with one thing changed."""
    cell = 4.0 * np.eye(3)
    density = np.full((8, 8, 8), 3.0 / (4.0 / 0.529177210903) ** 3)
    content = {"positions": np.zeros((1, 3)), "cell": cell, "numbers": np.array([13]), "density": density}
    np.savez(path, **{**content, "n_electrons": 3.0, **changes})
    return path


def _structure(path: Path, atoms: Atoms) -> Path:
    ase.io.write(path, atoms, format="extxyz")
    return path


def test_missing_files(nearsight, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    for arguments in (
        ("label", f"{gone}.extxyz", "-o", tmp_path / "d.zarr"),
        ("import", f"{gone}.cube", "-o", tmp_path / "d.zarr"),
        ("train", f"{gone}.zarr", "-o", tmp_path / "m.nst"),
        ("prune", f"{gone}.zarr", "-o", tmp_path / "c.zarr"),
        ("info", gone),
        ("report", gone),
        ("sample", f"{gone}.yaml", "-o", tmp_path / "s.extxyz"),
    ):
        assert "gone" in nearsight(*arguments).error
    assert list(tmp_path.iterdir()) == []


def test_truncated_cube(pipeline: Path, nearsight, tmp_path: Path) -> None:
    data = Dataset.open(pipeline / "data.zarr")
    cube = tmp_path / "cut.cube"
    write_density(cube, data.structure(0), data.density(0))
    cube.write_text(cube.read_text()[:-5000])
    error = nearsight("import", cube, "-o", tmp_path / "d.zarr").error
    assert "cut.cube" in error
    assert not (tmp_path / "d.zarr").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"density": np.full((8, 8, 8), np.nan)}, "NaN"),
        ({"n_electrons": 7.0}, "electrons"),
        ({"cell": np.zeros((3, 3))}, "volume"),
        ({"numbers": np.array([250])}, "atomic number"),
        ({"positions": np.zeros((2, 3)), "numbers": np.array([13, 13])}, "apart"),
        ({"rho_saed": np.ones((4, 4, 4))}, "grid"),
    ],
    ids=["nan", "charge", "volume", "element", "overlap", "grid"],
)
def test_bad_snapshots(nearsight, tmp_path: Path, changes, says: str) -> None:
    file = _npz(tmp_path / "bad.npz", **changes)
    error = nearsight("import", file, "-o", tmp_path / "d.zarr").error
    assert says in error
    assert "bad.npz" in error
    assert not (tmp_path / "d.zarr").exists()


def test_good_snapshot_is_imported(nearsight, tmp_path: Path) -> None:
    ran = nearsight("import", _npz(tmp_path / "good.npz"), "-o", tmp_path / "d.zarr", "--json", "-")
    assert ran.code == 0, ran.err
    assert ran.json["done"] == [0]


def test_unphysical_structures(pipeline: Path, nearsight, tmp_path: Path) -> None:
    model = pipeline / "model.nst"
    flat = Atoms("Al", cell=[4, 4, 0], pbc=True)
    touching = Atoms("Al2", positions=[[0, 0, 0], [0, 0, 0.2]], cell=[6, 6, 6], pbc=True)
    for atoms, says in ((flat, "volume"), (touching, "apart"), (bulk("Cu", cubic=True), "Cu")):
        file = _structure(tmp_path / "s.xyz", atoms)
        assert says in nearsight("predict", model, file, "-o", tmp_path / "rho.cube").error
        assert not (tmp_path / "rho.cube").exists()


def test_label_records_a_failure_and_goes_on(nearsight, tmp_path: Path) -> None:
    good = bulk("Al", cubic=True, a=4.05)
    bad = Atoms("Al2", positions=[[0, 0, 0], [0, 0, 0.2]], cell=[4, 4, 4], pbc=True)
    ase.io.write(tmp_path / "s.extxyz", [bad, good], format="extxyz")
    ran = nearsight(
        "label", tmp_path / "s.extxyz", "-o", tmp_path / "d.zarr", "--shape", "16,16,16", "--json", "-"
    )
    assert ran.code == 4, ran.err
    assert ran.json["done"] == [1]
    assert "apart" in ran.json["failed"]["0"]
    assert [failure.number for failure in Dataset.open(tmp_path / "d.zarr").failures()] == [0]


def test_unknown_element_for_the_engine(nearsight, tmp_path: Path) -> None:
    file = _structure(tmp_path / "u.xyz", Atoms("U", cell=[5, 5, 5], pbc=True))
    assert "U" in nearsight("label", file, "-o", tmp_path / "d.zarr").error


def test_minimal_basis_is_refused(nearsight, pipeline: Path, tmp_path: Path) -> None:
    (tmp_path / "engine.yaml").write_text("basis: gth-szv-molopt-sr\n")
    ran = nearsight(
        "label",
        pipeline / "structures.extxyz",
        "-o",
        tmp_path / "d.zarr",
        "--config",
        tmp_path / "engine.yaml",
    )
    assert "minimal" in ran.error


@pytest.mark.parametrize("damage", ["foreign", "flipped", "truncated"])
def test_damaged_models(pipeline: Path, nearsight, tmp_path: Path, damage: str) -> None:
    content = bytearray((pipeline / "model.nst").read_bytes())
    if damage == "foreign":
        content = bytearray(b"not a model at all")
    elif damage == "flipped":
        content[-10] ^= 0xFF
    else:
        content = content[: len(content) // 2]
    (tmp_path / "bad.nst").write_bytes(content)
    error = nearsight("evaluate", tmp_path / "bad.nst", pipeline / "data.zarr").error
    assert "bad.nst" in error


def test_settings_that_do_not_exist(pipeline: Path, nearsight, tmp_path: Path) -> None:
    for text, says in (
        ("traning: {steps: 10}\n", "traning"),
        ("training: {step: 10}\n", "step"),
        ("training: {steps: -1}\n", "steps"),
        ("network: {name: nope}\n", "nope"),
        ("network: {name: mlp, output: relu}\n", "ReLU"),
        ("descriptor: {name: power_spectrum, cutoff: -1}\n", "cut"),
        ("- 1\n", "settings"),
        ("a: [\n", "YAML"),
    ):
        (tmp_path / "bad.yaml").write_text(text)
        ran = nearsight(
            "train", pipeline / "data.zarr", "-o", tmp_path / "m.nst", "--config", tmp_path / "bad.yaml"
        )
        assert says in ran.error
    assert not (tmp_path / "m.nst").exists()


def test_options_out_of_range(pipeline: Path, nearsight, tmp_path: Path) -> None:
    data, core = pipeline / "data.zarr", tmp_path / "c.zarr"
    assert "(0, 1]" in nearsight("prune", data, "-o", core, "--keep", 2).error
    assert "nope" in nearsight("prune", data, "-o", core, "--method", "nope").error
    assert "nope" in nearsight("label", pipeline / "structures.extxyz", "-o", core, "--engine", "nope").error
    assert "shape" in nearsight("predict", pipeline / "model.nst", pipeline / "structures.extxyz", "-o",
                                tmp_path / "rho.cube", "--shape", "1,2").error  # fmt: skip
    assert "--keep" in nearsight("prune", data, "-o", core, "--keep", "abc").error
    assert "--nope" in nearsight("prune", data, "-o", core, "--nope").error
    assert "output" in nearsight("prune", data).error
    assert "nope" in nearsight("nope").error
    assert "--seed" in nearsight("prune", data, "-o", core, "--seed", "-1").error
    assert (
        "spacing" in nearsight("label", pipeline / "structures.extxyz", "-o", core, "--spacing", "-1").error
    )
    assert not core.exists()


def test_an_interruption_is_one_line(pipeline: Path, nearsight, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nearsight.workflows.info.describe", interrupt)
    ran = nearsight("info", pipeline / "data.zarr")
    assert ran.code == 130
    assert "run the same command again" in ran.error


def test_json_that_cannot_be_written_leaves_nothing(pipeline: Path, nearsight, tmp_path: Path) -> None:
    ran = nearsight("info", pipeline / "data.zarr", "--json", tmp_path / "no" / "such" / "folder.json")
    assert "folder" in ran.error
    assert list(tmp_path.iterdir()) == []


def test_help_is_no_error(nearsight) -> None:
    assert nearsight("--help").code == 0
    assert "sample" in nearsight().out


def test_energy_refuses_another_functional(pipeline: Path, nearsight, tmp_path: Path) -> None:
    (tmp_path / "engine.yaml").write_text("functional: LDA\npseudopotential: gth-pade\n")
    structure = _structure(tmp_path / "s.xyz", bulk("Al", cubic=True, a=4.05))
    ran = nearsight("energy", pipeline / "model.nst", structure, "--config", tmp_path / "engine.yaml")
    assert "--force" in ran.error


def test_train_on_something_else(pipeline: Path, nearsight, tmp_path: Path) -> None:
    assert "data set" in nearsight("train", pipeline / "model.nst", "-o", tmp_path / "m.nst").error
    assert "data set" in nearsight("train", tmp_path, "-o", tmp_path / "m.nst").error


def test_energy_refuses_the_density_of_other_positions(pipeline: Path, nearsight, tmp_path: Path) -> None:
    data = Dataset.open(pipeline / "data.zarr")
    write_density(tmp_path / "rho.npz", data.structure(0), data.density(0), n_electrons=12)
    other = _structure(tmp_path / "other.xyz", data.structure(3).to_ase())
    assert "atoms" in nearsight("energy", "--density", tmp_path / "rho.npz", other).error
