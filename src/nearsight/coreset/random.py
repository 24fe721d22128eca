"""`Uniform`: every point equally likely; the baseline that a method has to beat."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nearsight.coreset.protocol import METHODS, Selection, checked_count
from nearsight.errors import InputError


@METHODS.register("random")
@dataclass(frozen=True)
class Uniform:
    """Keep points at random, without replacement."""

    name: ClassVar[str] = "random"
    needs_scores: ClassVar[bool] = False

    def select(
        self,
        scores: np.ndarray | None,
        n_keep: int,
        rng: np.random.Generator,
        *,
        n_points: int | None = None,
    ) -> Selection:
        """See `SelectionMethod.select`; scores are only counted."""
        if n_points is None:
            if scores is None:
                raise InputError("random selection needs the number of points: give n_points")
            n_points = len(scores)
        n_keep = checked_count(n_keep, n_points)
        return Selection(rng.choice(n_points, size=n_keep, replace=False, shuffle=False))
