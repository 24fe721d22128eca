"""`TopScore`: keep the hardest points, as the GraNd paper does with its scores.

M. Paul, S. Ganguli, G. K. Dziugaite, "Deep learning on a data diet", NeurIPS 2021 (arXiv:2107.07075).
At small kept fractions of density data it does harm (several times the full-data error): the hardest
points are rare surroundings and noise. It is here to be compared with.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nearsight.coreset.protocol import METHODS, Selection, checked_count, checked_scores


@METHODS.register("grand")
@dataclass(frozen=True)
class TopScore:
    """Keep the points of highest score; ties go to the lower index. No randomness."""

    name: ClassVar[str] = "grand"
    needs_scores: ClassVar[bool] = True

    def select(
        self,
        scores: np.ndarray | None,
        n_keep: int,
        rng: np.random.Generator,
        *,
        n_points: int | None = None,
    ) -> Selection:
        """See `SelectionMethod.select`."""
        scores = checked_scores(self.name, scores)
        n_keep = checked_count(n_keep, len(scores))
        return Selection(np.argsort(-scores, kind="stable")[:n_keep])
