"""The shorthand of recipe files: sizes, common settings, one trajectory for each value.

Plain mappings in, plain mappings out; what they mean is checked afterwards.
"""

from collections.abc import Iterator, Mapping
from typing import Any

#: what trajectories have in common
_COMMON = ("structure", "dynamics")


def at_size(content: Mapping[str, Any], size: str | None) -> dict[str, Any]:
    """The recipe at one of its sizes.

    What a size says goes over what the recipe says, key by key in ``structure``, ``dynamics`` and
    ``engine``. A recipe without sizes is what it is.

    Parameters
    ----------
    content : mapping
        What the file holds.
    size : str, optional
        ``demo`` unless given.

    Raises
    ------
    ValueError
        A size that the recipe does not have.
    """
    sizes = content.get("sizes")
    rest = {key: value for key, value in content.items() if key != "sizes"}
    if sizes is None:
        if size not in (None, "demo"):
            raise ValueError(f"the recipe has one size only, no '{size}'")
        return rest
    chosen = size or "demo"
    if not isinstance(sizes, Mapping) or not isinstance(sizes.get(chosen), Mapping):
        known = ", ".join(map(str, sizes)) if isinstance(sizes, Mapping) else "none"
        raise ValueError(f"the recipe has no size '{chosen}'; it has: {known}")
    return merged(rest, sizes[chosen]) | {"size": chosen}


def with_common(content: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe with its common settings given to every trajectory, and ``each`` written out."""
    common = {key: content[key] for key in _COMMON if key in content}
    rest = {key: value for key, value in content.items() if key not in common}
    written_out = [one for entry in content["trajectories"] for one in _each(entry)]
    return rest | {"trajectories": [merged(common, one) for one in written_out]}


def merged(common: Mapping[str, Any], own: Any) -> Any:
    """Own keys over the common ones, one level deep; another kind of structure starts afresh."""
    if not isinstance(own, Mapping):
        return own
    result = dict(common) | dict(own)
    for key in common:
        below = own.get(key)
        if isinstance(below, Mapping) and isinstance(common[key], Mapping):
            afresh = below.get("kind", common[key].get("kind")) != common[key].get("kind")
            result[key] = dict(below) if afresh else dict(common[key]) | dict(below)
    return result


def _each(entry: Any) -> Iterator[Any]:
    """One trajectory for every value of ``each: {structure.name: [...]}``, named after the value.

    A mapping of names to values in place of a list gives the names.
    """
    if not isinstance(entry, Mapping) or "each" not in entry:
        yield entry
        return
    each = entry["each"]
    if not isinstance(each, Mapping) or len(each) != 1:
        raise ValueError("'each' takes one key such as structure.name, with a list of values")
    path, values = next(iter(each.items()))
    room, _, key = str(path).partition(".")
    if room not in _COMMON or not key or not isinstance(values, list | Mapping) or not values:
        raise ValueError(f"'each' takes structure.KEY or dynamics.KEY with a list of values, not '{path}'")
    named = values.items() if isinstance(values, Mapping) else ((value, value) for value in values)
    rest = {k: v for k, v in entry.items() if k != "each"}
    for name, value in named:
        changed = dict(entry.get(room) or {}) | {key: value}
        yield rest | {"name": f"{entry.get('name')}-{name}", room: changed}
