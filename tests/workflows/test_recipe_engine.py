"""Structures carry the engine settings of their recipe, and `label` follows them unless told otherwise."""

import numpy as np
import pytest

from nearsight.cli.resolve import engine_to_label
from nearsight.errors import InputError
from nearsight.io.extxyz import Frame, read_frames
from nearsight.sampling.recipe import Recipe
from nearsight.structure import Structure
from nearsight.workflows.recipe_engine import ENGINE_KEY, recipe_engine
from nearsight.workflows.sample import sample

CRYSTAL = {"kind": "crystal", "formula": "Al", "lattice": "fcc", "a": 4.05}
TRAJECTORIES = [{"name": "train", "split": "train"}]
ENGINE = {"name": "lcao", "k_points": {"spacing": 0.3}, "mixing": 0.25}


def sampled(folder, **extra):
    recipe = Recipe.model_validate(
        {"name": "small", "structure": CRYSTAL, "trajectories": TRAJECTORIES, **extra}
    )
    path = folder / "small.extxyz"
    sample(recipe, path)
    return read_frames(path)


def frame(choice):
    structure = Structure(5 * np.eye(3), np.zeros((1, 3)), np.array([13]))
    return Frame(structure, "a", "a", "train", {} if choice is None else {ENGINE_KEY: choice})


def test_the_settings_go_through_the_file(tmp_path):
    frames = sampled(tmp_path, engine=ENGINE)
    assert recipe_engine(frames) == ("lcao", {"k_points": {"spacing": 0.3}, "mixing": 0.25})
    assert engine_to_label(None, None, frames).fingerprint()["k_points"] == {"spacing": 0.3}


def test_a_recipe_without_an_engine_leaves_the_default(tmp_path):
    frames = sampled(tmp_path)
    assert recipe_engine(frames) is None
    assert engine_to_label(None, None, frames).fingerprint()["k_points"] == "gamma"


def test_what_a_person_names_comes_first_key_by_key(tmp_path):
    frames = sampled(tmp_path, engine=ENGINE)
    config = tmp_path / "engine.yaml"
    config.write_text("smearing_kelvin: 500")
    found = engine_to_label(None, config, frames).fingerprint()
    assert (found["smearing_kelvin"], found["k_points"]) == (500, {"spacing": 0.3})
    config.write_text("k_points: [2, 1, 1]")
    assert engine_to_label("lcao", config, frames).fingerprint()["k_points"] == [2, 1, 1]


def test_another_engine_keeps_what_the_material_needs(tmp_path):
    """k-points, that is; not the mixing, which is the other engine's."""
    frames = sampled(tmp_path, engine=ENGINE)
    engine = engine_to_label("planewave", None, frames)
    assert engine.name == "planewave"
    assert engine.fingerprint()["k_points"] == {"spacing": 0.3}
    assert engine.settings.mixing != 0.25


def test_recipes_that_disagree_are_refused():
    with pytest.raises(InputError, match="label each recipe's apart"):
        recipe_engine([frame({"name": "lcao"}), frame(None)])


@pytest.mark.parametrize("choice", ["lcao", {"k_points": 1}, {"name": 3}])
def test_something_else_is_refused(choice):
    with pytest.raises(InputError, match="engine's name and settings"):
        recipe_engine([frame(choice)])
