"""Whether a model and an engine speak of the same physics."""

from collections.abc import Iterator, Mapping
from typing import Any

from nearsight.engines.pseudopotential_engine import FILES_KEY
from nearsight.errors import CompatibilityError

#: what must agree for an energy of a predicted density to mean anything
_PHYSICS = ("pseudopotentials", "functional")


#: what may differ, and then shifts the energy
_SETTINGS = ("engine", "basis", "k_points", "smearing_kelvin")


def _same_files(first: Mapping[str, str] | None, second: Mapping[str, str] | None) -> bool | None:
    """Whether pseudopotential files agree for the elements that both have; None where one has no files."""
    if not first or not second:
        return None
    both = first.keys() & second.keys()
    return bool(both) and all(first[symbol] == second[symbol] for symbol in both)


def differing_settings(
    model: Mapping[str, Any] | None, engine: Mapping[str, Any] | None
) -> Iterator[tuple[str, Any, Any]]:
    """Each setting that both know and in which they differ: its name, the model's value, the engine's."""
    for key in _SETTINGS:
        if model and engine and key in model and key in engine and model[key] != engine[key]:
            yield key, model[key], engine[key]


def differences(model: Mapping[str, Any] | None, engine: Mapping[str, Any]) -> list[str]:
    """A line for each setting in which an engine is not that of a model's data."""
    return [
        f"the model's data has {key} {own}, the energy is taken with {other} and differs by it"
        for key, own, other in differing_settings(model, engine)
    ]


def require_same_physics(model: Mapping[str, Any] | None, engine: Mapping[str, Any]) -> None:
    """Compare the fingerprint of the engine behind a model's data with that of another engine.

    Raises
    ------
    CompatibilityError
        Pseudopotentials or functional differ, or the model's are unknown.
    """
    if not model:
        raise CompatibilityError(
            "the model's data came from files whose pseudopotentials and functional are unknown; "
            "if they are the engine's own, repeat with --force"
        )
    files = _same_files(model.get(FILES_KEY), engine.get(FILES_KEY))
    for key in _PHYSICS:
        same = model.get(key) == engine.get(key)
        if key == "pseudopotentials" and files is not None:
            same = files  # what lies there counts, not where
        if not same:
            raise CompatibilityError(
                f"the model learned densities with {key} '{model.get(key)}', the engine uses "
                f"'{engine.get(key)}': its energy would be meaningless; use the same, or --force"
            )
