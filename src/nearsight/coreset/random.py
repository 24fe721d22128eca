"""`Uniform`: every point equally likely; the baseline that a method has to beat."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nearsight.coreset.protocol import METHODS, Candidates, Selection, checked_count


@METHODS.register("random")
@dataclass(frozen=True)
class Uniform:
    """Keep points at random, without replacement."""

    name: ClassVar[str] = "random"

    @property
    def needs(self) -> frozenset[str]:
        """Nothing."""
        return frozenset()

    def select(self, candidates: Candidates, n_keep: int, rng: np.random.Generator) -> Selection:
        """See `SelectionMethod.select`."""
        n_keep = checked_count(n_keep, candidates.n_points)
        return Selection(rng.choice(candidates.n_points, size=n_keep, replace=False, shuffle=False))
