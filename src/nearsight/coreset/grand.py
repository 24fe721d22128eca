"""`TopScore` and `TopResidual`: keep the hardest points, as the GraNd paper does with GraNd and EL2N.

M. Paul, S. Ganguli, G. K. Dziugaite, "Deep learning on a data diet", NeurIPS 2021 (arXiv:2107.07075).
At small kept fractions of density data it does harm (several times the full-data error): the hardest
points are rare surroundings and noise. It is here to be compared with.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nearsight.coreset.protocol import METHODS, Candidates, Selection, checked_count


@METHODS.register("grand")
@dataclass(frozen=True)
class TopScore:
    """Keep the points of highest score; ties go to the lower index. No randomness.

    Parameters
    ----------
    score : str
        Which score.
    """

    name: ClassVar[str] = "grand"

    score: str = "grand"

    @property
    def needs(self) -> frozenset[str]:
        """The score."""
        return frozenset({self.score})

    def select(self, candidates: Candidates, n_keep: int, rng: np.random.Generator) -> Selection:
        """See `SelectionMethod.select`."""
        scores = candidates.score(self.name, self.score)
        n_keep = checked_count(n_keep, len(scores))
        return Selection(np.argsort(-scores, kind="stable")[:n_keep])


@METHODS.register("el2n")
@dataclass(frozen=True)
class TopResidual(TopScore):
    """Keep the points of largest residual: for one output EL2N, ‖prediction − target‖, is |residual|.

    Parameters
    ----------
    score : str
        Which score.
    """

    name: ClassVar[str] = "el2n"

    score: str = "residual"
