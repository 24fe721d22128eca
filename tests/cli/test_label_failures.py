"""``nearsight label`` on bad input: what failed is listed, what could be done is there, exit codes tell."""

import json
import sys
from pathlib import Path
from typing import Any

import ase.io
import pytest
import yaml
from ase import Atoms
from ase.build import bulk

sys.path.insert(0, str(Path(__file__).parent.parent / "workflows"))

from probe_engine import structures  # type: ignore[import-not-found]

from nearsight.store import Dataset


@pytest.fixture
def label(nearsight, tmp_path: Path):
    """Label atoms with settings of an engine; the data set is ``d.zarr``."""

    def run(atoms: list[Atoms], *options: object, engine: str = "lcao", **settings: Any):
        (tmp_path / "notes").mkdir(exist_ok=True)
        if engine == "probe":
            settings["notes"] = str(tmp_path / "notes")
        ase.io.write(tmp_path / "s.extxyz", atoms, format="extxyz")
        (tmp_path / "e.yaml").write_text(yaml.safe_dump(settings))
        source, output = tmp_path / "s.extxyz", tmp_path / "d.zarr"
        return nearsight(
            "label", source, "-o", output, "--engine", engine, "--config", tmp_path / "e.yaml", *options
        )

    return run


def test_some_fail(label, nearsight, tmp_path: Path) -> None:
    atoms, fate = structures("Al", "Cu", "Ag", "Al"), {"Cu4": "unconverged", "Ag4": "raise", "Al4": "warn"}
    ran = label(atoms, "--json", tmp_path / "r.json", engine="probe", fate=fate)
    assert ran.code == 4
    assert "2 of the 4 snapshots" in ran.err.splitlines()[-1]
    assert "not converged after 3 iterations" in ran.err.splitlines()[-1]
    assert ran.err.count("the grid is coarse") == 1
    for word in ("failures", "Cu4", "convergence", "Ag4", "licence server does not answer"):
        assert word in ran.out
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["done"] == [0, 3]
    assert list(result["failed"]) == ["1", "2"]
    assert result["failures"][0] == {
        "number": 1,
        "label": "s/0001",
        "formula": "Cu4",
        "kind": "convergence",
        "message": "not converged after 3 iterations; try more mixing",
        "tries": 1,
    }
    assert result["warnings"] == {"the grid is coarse": [0, 3]}
    assert nearsight("info", tmp_path / "d.zarr", "--json", "-").json["failures"] == 2
    quiet = label(atoms, "--quiet", engine="probe", fate=fate)
    assert quiet.code == 4
    assert "2 of the 4" in quiet.error
    assert quiet.out == ""
    assert label(atoms, "--quiet", engine="probe").code == 0
    assert Dataset.open(tmp_path / "d.zarr").numbers() == [0, 1, 2, 3]


def test_all_fail(label, tmp_path: Path) -> None:
    """The exit code is that of the first failure; no store is left bound to bad settings."""
    for fate, code in (("unconverged", 3), ("raise", 1)):
        ran = label(structures("Al", "Al"), "--json", tmp_path / "r.json", engine="probe", fate={"Al4": fate})
        assert ran.code == code
        assert "none of the 2 snapshots" in ran.error
        assert len(json.loads((tmp_path / "r.json").read_text())["failures"]) == 2
        assert not (tmp_path / "d.zarr").exists()


def test_bad_options(label, tmp_path: Path) -> None:
    for options, says in (
        (("--jobs", 0), "--jobs"),
        (("--jobs", 2, "--scheduler", "tcp://a:1"), "not both"),
        (("--scheduler", "nope"), "tcp://node7:8786"),
        (("--retries", -1), "--retries"),
        (("--timeout", 0), "--timeout"),
        (("--threads", 0), "--threads"),
        (("--memory", 0), "--memory"),
    ):
        ran = label(structures("Al"), *options, engine="probe")
        assert says in ran.error
        assert ran.code == 2
    assert not (tmp_path / "d.zarr").exists()


ALUMINIUM = bulk("Al", cubic=True, a=4.05)
TOUCHING = Atoms("Al2", positions=[[0, 0, 0], [0, 0, 0.2]], cell=[4, 4, 4], pbc=True)


@pytest.mark.parametrize(
    ("atoms", "settings", "code", "says"),
    [
        (TOUCHING, {}, 2, "0.378 bohr apart"),
        (Atoms("U", cell=[5, 5, 5], pbc=True), {}, 2, "U"),
        (ALUMINIUM, {"basis": "nope"}, 2, "basis 'nope'"),
        (ALUMINIUM, {"pseudopotential": "nope"}, 2, "nope"),
        (ALUMINIUM, {"max_iterations": 1}, 3, "converge"),
        (Atoms("Al", cell=[4, 4, 4], pbc=True), {"smearing_kelvin": 0}, 2, "odd number"),
        (bulk("Fe", cubic=True), {}, 2, "without spin"),
    ],
    ids=["overlap", "element", "basis", "pseudopotential", "unconverged", "odd", "magnetic"],
)
def test_the_embedded_engine_refuses(label, tmp_path: Path, atoms, settings, code: int, says: str) -> None:
    ran = label([atoms], "--shape", "16,16,16", **settings)
    assert says in ran.error
    assert ran.code == code
    assert not (tmp_path / "d.zarr").exists()


def test_a_coarse_grid_is_warned_of_once(label, tmp_path: Path) -> None:
    ran = label([ALUMINIUM, ALUMINIUM], "--shape", "14,14,14", "--json", tmp_path / "r.json")
    assert ran.code == 0
    assert len(ran.err.splitlines()) == 1
    assert "warning (2 snapshots, first 0): the grid" in ran.err
    (text,) = json.loads((tmp_path / "r.json").read_text())["warnings"]
    assert Dataset.open(tmp_path / "d.zarr").snapshot(1).provenance["warnings"] == [text]


def test_the_magnetic_structure_is_named(label) -> None:
    ran = label([ALUMINIUM, bulk("Fe", cubic=True)])
    assert "s.extxyz, structure 1: magnetic moments" in ran.error
