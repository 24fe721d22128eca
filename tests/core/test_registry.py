from collections import OrderedDict
from importlib.metadata import EntryPoint

import pytest

from nearsight import registry
from nearsight.errors import NearsightError, UnknownNameError
from nearsight.registry import Registry


@pytest.fixture
def fruit(monkeypatch: pytest.MonkeyPatch) -> Registry[object]:
    """A registry with one plug-in that works, one that does not import, and one whose name is taken."""
    points = [
        EntryPoint("pear", "collections:OrderedDict", "test.fruit"),
        EntryPoint("plum", "no_such_module_anywhere:plum", "test.fruit"),
        EntryPoint("apple", "no_such_module_anywhere:apple", "test.fruit"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "test.fruit" else [])
    fruit: Registry[object] = Registry("fruit", "test.fruit")
    fruit.register("apple")("an apple")
    return fruit


def test_register_returns_its_item_and_files_it(fruit: Registry[object]) -> None:
    class Quince:
        pass

    assert fruit.register("quince")(Quince) is Quince
    assert fruit["quince"] is Quince


def test_a_name_is_taken_only_once(fruit: Registry[object]) -> None:
    with pytest.raises(UnknownNameError, match="fruit 'apple' is registered twice"):
        fruit.register("apple")("another apple")
    assert fruit["apple"] == "an apple"


def test_iteration_and_membership_cover_plug_ins(fruit: Registry[object]) -> None:
    assert list(fruit) == ["apple", "pear", "plum"]
    assert "pear" in fruit
    assert "fig" not in fruit


def test_an_unknown_name_is_answered_with_the_known_ones(fruit: Registry[object]) -> None:
    with pytest.raises(UnknownNameError, match="unknown fruit 'fig'; known: apple, pear, plum"):
        fruit["fig"]
    with pytest.raises(UnknownNameError, match="known: none"):
        Registry("fruit", "test.nothing")["fig"]


def test_a_plug_in_is_loaded_when_asked_for(fruit: Registry[object]) -> None:
    assert fruit["pear"] is OrderedDict
    assert fruit["pear"] is OrderedDict  # the second time from the registry itself


def test_a_plug_in_cannot_take_the_place_of_what_is_registered(fruit: Registry[object]) -> None:
    assert fruit["apple"] == "an apple"


def test_a_broken_plug_in_is_named_in_one_line_and_hurts_no_other(fruit: Registry[object]) -> None:
    with pytest.raises(NearsightError, match=r"fruit 'plum' .* does not import") as caught:
        fruit["plum"]
    assert "\n" not in str(caught.value)
    assert fruit["apple"] == "an apple"
