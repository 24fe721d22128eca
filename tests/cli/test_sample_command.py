from pathlib import Path

import yaml

from nearsight.io import read_frames

HASTY = {
    "name": "hasty",
    "structure": {"kind": "crystal", "formula": "Al", "lattice": "fcc", "a": 4.05, "cubic": True},
    "dynamics": {"temperature_kelvin": 600, "equilibration": 6},
    "trajectories": [{"name": "train-a", "split": "train"}, {"name": "test-a", "split": "test"}],
}


def test_a_size_and_what_is_told(nearsight, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ran = nearsight("sample", "si-allotropes", "-o", tmp_path / "si.extxyz", "--size", "demo", "--json", "-")
    assert ran.code == 0
    told = ran.json
    assert (told["recipe"], told["size"]) == ("si-allotropes", "demo")
    assert told["n_frames"] == len(read_frames(tmp_path / "si.extxyz")) >= 12
    assert told["decorrelation"]["train_to_test"] is None
    assert told["warnings"] == []


def test_warnings_and_distances_are_shown(nearsight, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "hasty.yaml").write_text(yaml.safe_dump(HASTY))
    ran = nearsight("sample", tmp_path / "hasty.yaml", "-o", tmp_path / "al.extxyz")
    assert ran.code == 0
    assert "warning: trajectory train-a is not equilibrated: too few steps to tell" in ran.err
    assert "RMS displacement, test frames to the nearest training frame" in ran.out


def test_a_size_that_is_not_there(nearsight, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ran = nearsight("sample", "al", "-o", tmp_path / "al.extxyz", "--size", "huge")
    assert "al: the recipe has no size 'huge'; it has: demo, paper" in ran.error
    ran = nearsight("sample", "water10", "-o", tmp_path / "w.extxyz", "--size", "paper")
    assert "the recipe has one size only, no 'paper'" in ran.error
    assert not list(tmp_path.iterdir())
