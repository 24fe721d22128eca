from importlib.util import find_spec

import numpy as np
import pytest

from nearsight.neighbours import closest_pair
from nearsight.provenance import generator
from nearsight.sampling import Recipe, Trajectory, engine_settings, read_recipe, shipped_recipes
from nearsight.structure import Structure

#: what the structures of a kind are built with
NEEDS = {"dislocation": "matscipy", "grain_boundary": "pymatgen"}
SIZED = ["al", "al-dislocations", "al-grain-boundaries", "al-strain", "al-vacancies", "crfeconi", "elements"]
SIZED += ["g2-molecules", "si-allotropes", "sige", "sigesn", "water"]
PLAIN = ["al31-vacancy", "al32-demo", "water10", "water2-tiny"]


def _build(trajectory: Trajectory, recipe: Recipe) -> Structure:
    spec = trajectory.structure
    needed = NEEDS.get(spec.kind, "sqsgenerator" if getattr(spec, "order", "") == "quasi-random" else None)
    if needed and find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    return Structure.from_ase(spec.build(generator(0, recipe.name, trajectory.name)))


def test_every_material_is_there() -> None:
    assert list(shipped_recipes()) == sorted(SIZED + PLAIN)


@pytest.mark.parametrize("size", ["demo", "paper"])
@pytest.mark.parametrize("name", SIZED)
def test_recipes_are_sound(name: str, size: str) -> None:
    recipe = read_recipe(name, size)
    assert (recipe.name, recipe.size) == (name, size)
    assert recipe.description
    engine, settings = engine_settings(recipe)
    assert engine == "lcao"
    assert settings
    assert "test" in {t.split for t in recipe.trajectories}


@pytest.mark.parametrize("name", PLAIN)
def test_older_recipes_are_as_they_were(name: str) -> None:
    recipe = read_recipe(name)
    assert (recipe.name, recipe.size, recipe.note) == (name, None, "")
    assert engine_settings(recipe) == ("lcao", {})
    for trajectory in recipe.trajectories:
        assert _build(trajectory, recipe).n_atoms > 0


@pytest.mark.parametrize("name", SIZED)
def test_demo_structures_can_be_built(name: str) -> None:
    recipe = read_recipe(name)
    for trajectory in recipe.trajectories:
        structure = _build(trajectory, recipe)
        assert structure.n_atoms <= 72
        pair = closest_pair(structure, 6.0)
        assert pair is None or pair[0] > (1.3 if 1 in structure.species else 2.0)  # bohr


@pytest.mark.parametrize("name", SIZED)
def test_a_seed_makes_a_structure(name: str) -> None:
    recipe = read_recipe(name)
    first = recipe.trajectories[0]
    np.testing.assert_array_equal(_build(first, recipe).positions, _build(first, recipe).positions)


@pytest.mark.parametrize("name", [n for n in SIZED if n not in ("al-dislocations", "al-grain-boundaries")])
def test_no_element_is_new_in_the_test(name: str) -> None:
    """A model knows the elements of its training alone; whole trajectories go to one split."""
    recipe = read_recipe(name)
    seen = {"train": set(), "validation": set(), "test": set()}  # type: dict[str, set[int]]
    for trajectory in recipe.trajectories:
        seen[trajectory.split] |= set(_build(trajectory, recipe).species)
    assert seen["train"]
    assert seen["validation"] | seen["test"] <= seen["train"]


def test_sizes_of_the_papers() -> None:
    def sizes(name: str) -> set[int]:
        recipe = read_recipe(name, "paper")
        return {_build(t, recipe).n_atoms for t in recipe.trajectories}

    assert sizes("al") == {32, 108, 256, 500, 1372}
    assert {64, 128, 216, 512} <= sizes("sige")


def test_compositions_and_molecules_of_the_papers() -> None:
    shares = [
        t.structure.model_dump()["composition"]["Ge"] for t in read_recipe("sige", "paper").trajectories
    ]
    assert (min(shares), max(shares)) == (0.4, 0.6)
    molecules = [t.structure.model_dump()["name"] for t in read_recipe("g2-molecules", "paper").trajectories]
    assert len(set(molecules)) == len(molecules) == 119
    assert len({t.structure.model_dump()["name"] for t in read_recipe("si-allotropes").trajectories}) >= 12
    strains = [t.structure.model_dump()["strain"] for t in read_recipe("al-strain").trajectories]
    assert (min(min(s) for s in strains), max(max(s) for s in strains)) == (-0.05, 0.05)


def test_the_missing_spin_is_said() -> None:
    for size in ("demo", "paper"):
        recipe = read_recipe("crfeconi", size)
        assert "without spin" in recipe.note
        assert "without spin" in recipe.description
