import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from nearsight.errors import InputError
from nearsight.io import read_frames
from nearsight.sampling import Recipe
from nearsight.workflows.sample import sample

CRYSTAL = {"kind": "crystal", "formula": "Al", "lattice": "fcc", "a": 4.05, "cubic": True}
DYNAMICS = {"temperature_kelvin": 600, "equilibration": 10, "interval": 5}


def _recipe(*names: str) -> Recipe:
    trajectories = [{"name": name, "split": "train", "frames": 2} for name in names]
    return Recipe.model_validate(
        {"name": "r", "structure": CRYSTAL, "dynamics": DYNAMICS, "trajectories": trajectories}
    )


def test_writes_all_frames_and_reports(tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    result = sample(
        _recipe("one", "two"), tmp_path / "s.extxyz", seed=3, progress=lambda *call: calls.append(call)
    )
    frames = read_frames(tmp_path / "s.extxyz")
    assert [f.label for f in frames] == ["one/0000", "one/0001", "two/0000", "two/0001"]
    assert all(f.info["temperature_K"] == 600 for f in frames)
    assert result.n_frames == 4
    assert [(t.name, t.n_frames, t.temperature_kelvin) for t in result.trajectories] == [
        ("one", 2, 600.0),
        ("two", 2, 600.0),
    ]
    assert calls == [("sampling", i, 4) for i in range(5)]
    assert os.listdir(tmp_path) == ["s.extxyz"]


def test_trajectories_are_independent_and_repeatable(tmp_path: Path) -> None:
    def positions(recipe: Recipe, seed: int) -> dict[str, np.ndarray]:
        sample(recipe, tmp_path / "s.extxyz", seed=seed)
        return {f.label: f.structure.positions for f in read_frames(tmp_path / "s.extxyz")}

    both, alone, other = (
        positions(_recipe("one", "two"), 0),
        positions(_recipe("two"), 0),
        positions(_recipe("two"), 1),
    )
    np.testing.assert_array_equal(both["two/0000"], alone["two/0000"])
    assert np.abs(both["two/0000"] - both["one/0000"]).max() > 1e-2
    assert np.abs(alone["two/0000"] - other["two/0000"]).max() > 1e-2


def test_a_shipped_recipe_by_name(tmp_path: Path) -> None:
    result = sample("water2-tiny", tmp_path / "w.extxyz")
    assert result.n_frames == 5
    assert {f.split for f in read_frames(tmp_path / "w.extxyz")} == {"train", "validation", "test"}
    assert result.trajectories[0].temperature_kelvin is None


def test_nothing_is_written_where_a_recipe_fails(tmp_path: Path) -> None:
    iron = Recipe.model_validate(
        {
            "name": "r",
            "structure": CRYSTAL | {"formula": "Fe"},
            "dynamics": DYNAMICS,
            "trajectories": [{"name": "one", "split": "train"}],
        }
    )
    with pytest.raises(InputError, match="gives no forces for Fe"):
        sample(iron, tmp_path / "s.extxyz")
    assert not list(tmp_path.iterdir())


def test_sizes_notes_and_distances(tmp_path: Path) -> None:
    content = {
        "name": "sized",
        "note": "of one kind only",
        "structure": CRYSTAL | {"rattle": 0.1},
        "sizes": {
            "demo": {"trajectories": [{"name": "small", "split": "train", "frames": 2}]},
            "paper": {
                "structure": {"repeat": [2, 1, 1]},
                "trajectories": [{"name": "one", "split": "train"}, {"name": "two", "split": "test"}],
            },
        },
    }
    (tmp_path / "sized.yaml").write_text(yaml.safe_dump(content))
    demo = sample(tmp_path / "sized.yaml", tmp_path / "d.extxyz")
    paper = sample(tmp_path / "sized.yaml", tmp_path / "p.extxyz", size="paper")
    assert (demo.size, paper.size) == ("demo", "paper")
    assert [t.n_atoms for t in demo.trajectories + paper.trajectories] == [4, 8, 8]
    frames = read_frames(tmp_path / "p.extxyz")
    assert {(f.info["size"], f.info["note"]) for f in frames} == {("paper", "of one kind only")}
    assert demo.decorrelation.train_to_test is None
    assert demo.decorrelation.consecutive == pytest.approx(np.sqrt(6) * 0.1, rel=0.5)
    assert paper.decorrelation.train_to_test == pytest.approx(np.sqrt(6) * 0.1, rel=0.5)
    assert not demo.warnings


def test_what_is_not_equilibrated_is_said(tmp_path: Path) -> None:
    result = sample(_recipe("hasty"), tmp_path / "s.extxyz")
    assert result.warnings == [
        "trajectory hasty is not equilibrated: too few steps to tell; more 'equilibration' steps help"
    ]
    assert {f.info["not_equilibrated"] for f in read_frames(tmp_path / "s.extxyz")} == {
        "too few steps to tell"
    }
