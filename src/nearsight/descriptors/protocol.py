"""What a descriptor is: the neighbourhood of a point turned into a vector of numbers."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from nearsight.structure import Structure


class Evaluator(Protocol):
    """A descriptor made ready for one structure (its cell list is built)."""

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Features at Cartesian points (m, 3) in bohr: shape (m, n_features), float32, C order.

        Points may lie anywhere; they are wrapped into the cell. Memory grows with m alone: callers
        stream blocks. Consecutive points that are near each other in space are cheaper.
        """
        ...


@runtime_checkable
class Descriptor(Protocol):
    """A frozen description of a descriptor; `nearsight.descriptors.conformance` holds its suite."""

    #: registered name
    name: str
    #: atomic numbers it tells apart, ascending
    species: tuple[int, ...]

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        ...

    def settings(self) -> dict[str, Any]:
        """JSON-ready settings from which `from_settings` builds an equal descriptor."""
        ...

    def prepare(self, structure: Structure) -> Evaluator:
        """Build the cell list of a structure; raises `UnknownElementError` for an atom outside
        `species`.
        """
        ...
