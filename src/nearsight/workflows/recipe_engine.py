"""Which engine a file of structures asks to be labelled with: what its recipe said."""

from collections.abc import Mapping, Sequence
from typing import Any

from nearsight.errors import InputError
from nearsight.io.extxyz import Frame
from nearsight.provenance import digest

#: info key under which `sample` writes a recipe's ``engine`` block
ENGINE_KEY = "label_with"
#: settings that mean the same to every engine and depend on the material, not on the engine
SHARED_SETTINGS = ("k_points", "smearing_kelvin")


def recipe_engine(frames: Sequence[Frame]) -> tuple[str, dict[str, Any]] | None:
    """Name and settings of the engine that the recipe of these frames chose; None where none did.

    Raises
    ------
    InputError
        Frames of several recipes that disagree, or something that is no engine block.
    """
    found = {digest(frame.info.get(ENGINE_KEY)): frame.info.get(ENGINE_KEY) for frame in frames}
    if len(found) > 1:
        raise InputError(
            "the structures come from recipes that name different engine settings; label each recipe's apart"
        )
    choice = next(iter(found.values()), None)
    if choice is None:
        return None
    if not isinstance(choice, Mapping) or not isinstance(choice.get("name"), str):
        raise InputError(
            f"'{ENGINE_KEY}' of the structures must be an engine's name and settings, not {choice!r}"
        )
    settings = dict(choice)
    return settings.pop("name"), settings
