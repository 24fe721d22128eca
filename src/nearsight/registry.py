"""A typed registry: names to objects, filled by decorators and by entry points.

A string is resolved once, in ``cli/`` or a configuration file; everything below works with objects.
"""

from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from nearsight.errors import UnknownNameError

T = TypeVar("T")
U = TypeVar("U")


class Registry(Generic[T]):
    """Names of one kind of thing.

    Parameters
    ----------
    kind : str
        What is registered, in the singular, for messages ("engine", "descriptor").
    group : str
        Entry-point group through which other packages add theirs (``nearsight.engines``).
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.group = group
        self._items: dict[str, T] = {}
        self._entry_points_loaded = False

    def register(self, name: str) -> Callable[[U], U]:
        """Return a decorator that files an object under `name`; a name is taken only once."""

        def decorate(item: U) -> U:
            if name in self._items:
                raise UnknownNameError(f"the {self.kind} '{name}' is registered twice")
            self._items[name] = item  # type: ignore[assignment]
            return item

        return decorate

    def __getitem__(self, name: str) -> T:
        self._load_entry_points()
        try:
            return self._items[name]
        except KeyError:
            known = ", ".join(sorted(self._items)) or "none"
            raise UnknownNameError(f"unknown {self.kind} '{name}'; known: {known}") from None

    def __contains__(self, name: object) -> bool:
        self._load_entry_points()
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        self._load_entry_points()
        return iter(sorted(self._items))

    def _load_entry_points(self) -> None:
        if self._entry_points_loaded:
            return
        self._entry_points_loaded = True
        for point in entry_points(group=self.group):
            if point.name not in self._items:
                self._items[point.name] = point.load()
