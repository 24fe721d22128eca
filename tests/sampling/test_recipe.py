from pathlib import Path

import numpy as np
import pytest

from nearsight.errors import InputError, StructureError
from nearsight.sampling import Recipe, engine_settings, read_recipe, sample_trajectory

GOOD = """
name: mine
structure: {kind: crystal, formula: Al, lattice: fcc, a: 4.05, cubic: true}
dynamics: {calculator: emt, temperature_kelvin: 300, equilibration: 4, interval: 2}
trajectories:
  - {name: cold, split: train, frames: 2}
  - {name: hot, split: test, dynamics: {temperature_kelvin: 900}, structure: {a: 4.10}}
  - {name: wet, split: validation, structure: {kind: water, molecules: 2, density: 0.5}, dynamics: null}
"""


def _read(tmp_path: Path, text: str) -> Recipe:
    (tmp_path / "mine.yaml").write_text(text)
    return read_recipe(tmp_path / "mine.yaml")


def test_top_level_fills_in_key_by_key(tmp_path: Path) -> None:
    cold, hot, wet = _read(tmp_path, GOOD).trajectories
    assert cold.dynamics is not None
    assert hot.dynamics is not None
    assert (cold.dynamics.temperature_kelvin, hot.dynamics.temperature_kelvin) == (300.0, 900.0)
    assert (cold.dynamics.interval, hot.dynamics.interval) == (2, 2)
    assert (cold.structure.kind, hot.structure.kind, wet.structure.kind) == ("crystal", "crystal", "water")
    assert hot.structure.model_dump()["a"] == 4.10
    assert wet.dynamics is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("split: test", "split: holdout"), "'trajectories.1.split'"),
        (("interval: 2", "intervall: 2"), "'trajectories.0.dynamics.intervall'"),
        (("equilibration: 4", "equilibration: -4"), "'trajectories.0.dynamics.equilibration'"),
        (("a: 4.05", "a: wide"), "'trajectories.0.structure.crystal.a'"),
        (("kind: water", "kind: ice"), "'trajectories.2.structure'"),
        (("name: hot", "name: cold"), "used twice"),
        (("name: hot", "name: 1 hot"), "must start with a letter"),
        (("name: mine", "title: mine"), "'title': unknown key"),
        (("name: mine\n", ""), "'name': Field required"),
        (("formula: Al, ", "formulla: Al, "), "crystal.formulla': unknown key"),
        (("formula: Al, ", ""), "'trajectories.0.structure.crystal.formula'"),
        (("trajectories:", "trajectories: []\nmore:"), "'more': unknown key"),
        (("name: mine", "name: ["), "is no valid YAML"),
    ],
)
def test_wrong_keys_in_one_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(InputError, match=message) as caught:
        _read(tmp_path, GOOD.replace(*change))
    assert "\n" not in str(caught.value)
    assert "mine.yaml" in str(caught.value)


def test_missing_and_odd_files(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"there is no recipe 'nothing'; give a YAML file or one of: .*al32-demo"
    ):
        read_recipe("nothing")
    for text in ("- 1\n- 2\n", "just words", ""):
        with pytest.raises(InputError, match="must hold 'name'"):
            _read(tmp_path, text)
    with pytest.raises(InputError, match="there is no recipe"):
        read_recipe(tmp_path)


def test_a_file_comes_before_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_recipe("al32-demo").name == "al32-demo"
    (tmp_path / "al32-demo").write_text(GOOD)
    assert read_recipe("al32-demo").name == "mine"


def test_the_demo_is_what_the_issue_asks_for() -> None:
    trajectories = read_recipe("al32-demo").trajectories
    facts = [(t.split, t.frames, t.dynamics.temperature_kelvin) for t in trajectories if t.dynamics]
    assert facts == [
        *(
            ("train", frames, t)
            for frames, t in ((4, 300.0), (3, 900.0), (3, 900.0), (5, 1500.0), (5, 1500.0))
        ),
        *(("validation", 1, t) for t in (600.0, 1200.0)),
        *(("test", 1, t) for t in (300.0, 900.0, 1500.0)),
    ]
    assert all(len(t.structure.build(np.random.default_rng(0))) == 32 for t in trajectories)


def test_frames_carry_what_the_data_set_needs(tmp_path: Path) -> None:
    cold, _, wet = _read(tmp_path, GOOD).trajectories
    frames = list(sample_trajectory(cold, "mine", np.random.default_rng(1)))
    assert [(f.label, f.trajectory, f.split) for f in frames] == [
        ("cold/0000", "cold", "train"),
        ("cold/0001", "cold", "train"),
    ]
    assert [f.info["frame"] for f in frames] == [0, 1]
    assert frames[0].info["temperature_K"] == 300.0
    assert frames[0].info["recipe"] == "mine"
    assert {"kinetic_K", "equilibration_K"} <= set(frames[0].info)
    (water,) = sample_trajectory(wet, "mine", np.random.default_rng(1))
    assert water.structure.formula == "H4O2"
    assert "temperature_K" not in water.info


def test_atoms_on_top_of_each_other_are_refused(tmp_path: Path) -> None:
    cold = _read(tmp_path, GOOD.replace("a: 4.05", "a: 0.4")).trajectories[0]
    cold = cold.model_copy(update={"dynamics": None})
    with pytest.raises(StructureError, match="on top of each other"):
        list(sample_trajectory(cold, "mine", np.random.default_rng(1)))


SIZES = """
name: sized
engine: {name: lcao, k_points: {spacing: 0.3}, mixing: 0.4}
structure: {kind: crystal, formula: Al, lattice: fcc, a: 4.05}
sizes:
  demo:
    trajectories: [{name: only, split: train}]
  paper:
    engine: {mixing: 0.2}
    structure: {repeat: [2, 2, 2]}
    trajectories:
      - {name: each, split: train, each: {structure.a: [4.0, 4.1]}}
      - name: named
        split: test
        each: {structure.strain: {none: [0, 0, 0, 0, 0, 0], up: [0.05, 0, 0, 0, 0, 0]}}
"""


def _sized(tmp_path: Path, size: str | None, text: str = SIZES) -> Recipe:
    (tmp_path / "sized.yaml").write_text(text)
    return read_recipe(tmp_path / "sized.yaml", size)


def test_a_recipe_has_sizes(tmp_path: Path) -> None:
    demo, paper = _sized(tmp_path, None), _sized(tmp_path, "paper")
    assert (demo.size, paper.size) == ("demo", "paper")
    assert demo == _sized(tmp_path, "demo")
    assert [t.structure.model_dump()["repeat"] for t in demo.trajectories] == [(1, 1, 1)]
    assert {t.structure.model_dump()["repeat"] for t in paper.trajectories} == {(2, 2, 2)}
    with pytest.raises(InputError, match=r"no size 'huge'; it has: demo, paper"):
        _sized(tmp_path, "huge")
    with pytest.raises(InputError, match="one size only, no 'paper'"):
        _sized(tmp_path, "paper", GOOD)


def test_each_writes_trajectories_out(tmp_path: Path) -> None:
    trajectories = _sized(tmp_path, "paper").trajectories
    assert [t.name for t in trajectories] == ["each-4.0", "each-4.1", "named-none", "named-up"]
    assert [t.structure.model_dump()["a"] for t in trajectories] == [4.0, 4.1, 4.05, 4.05]
    assert trajectories[3].structure.model_dump()["strain"][0] == 0.05
    for wrong in ("{structure.a: 4.0}", "{a: [4.0]}", "{structure.a: [4], structure.c: [4]}", "[4.0]"):
        with pytest.raises(InputError, match="'each' takes"):
            _sized(tmp_path, "paper", SIZES.replace("{structure.a: [4.0, 4.1]}", wrong))


def test_the_engine_goes_with_the_recipe(tmp_path: Path) -> None:
    assert engine_settings(_sized(tmp_path, "demo")) == (
        "lcao",
        {"k_points": {"spacing": 0.3}, "mixing": 0.4},
    )
    assert engine_settings(tmp_path / "sized.yaml", "paper")[1]["mixing"] == 0.2
    assert engine_settings("al32-demo") == ("lcao", {})
