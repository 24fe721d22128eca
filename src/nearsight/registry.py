"""A typed registry: names to objects, filled by decorators and by entry points.

A string is resolved once, in ``cli/`` or a configuration file; everything below works with objects.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from nearsight.errors import NearsightError, UnknownNameError

T = TypeVar("T")
U = TypeVar("U")


class Registry(Generic[T]):
    """Names of one kind of thing.

    Other packages add theirs through an entry point, which is loaded when its name is first asked
    for: a plug-in that does not import hurts nobody who does not use it.

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

    def register(self, name: str) -> Callable[[U], U]:
        """Return a decorator that files an object under `name`; a name is taken only once."""

        def decorate(item: U) -> U:
            if name in self._items:
                raise UnknownNameError(f"the {self.kind} '{name}' is registered twice")
            self._items[name] = item  # type: ignore[assignment]
            return item

        return decorate

    def __getitem__(self, name: str) -> T:
        if name not in self._items:
            if name not in self._plug_ins:
                raise UnknownNameError(f"unknown {self.kind} '{name}'; known: {', '.join(self) or 'none'}")
            self._items[name] = self._load(self._plug_ins[name])
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        return name in self._items or name in self._plug_ins

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._items, *self._plug_ins}))

    @cached_property
    def _plug_ins(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}

    def _load(self, point: EntryPoint) -> T:
        try:
            item: T = point.load()
        except Exception as error:  # whatever another package's import may raise
            raise NearsightError(
                f"the {self.kind} '{point.name}' ({point.value}) does not import: {error}; "
                "update or uninstall the package it comes from"
            ) from error
        return item
