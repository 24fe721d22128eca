"""`CoverageCentric`: coverage-centric coreset selection, stratified over the scores.

H. Zheng, R. Liu, F. Lai, A. Prakash, "Coverage-centric coreset selection for high pruning rates",
ICLR 2023 (arXiv:2210.15809): drop the hardest fraction β, cut the range of the remaining scores into
strata of equal width, spread the budget evenly over them, and draw at random within each.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from nearsight.coreset.protocol import METHODS, Candidates, Selection, checked_count
from nearsight.errors import InputError


def default_beta(kept: float) -> float:
    """Fraction of the hardest points to drop when a fraction `kept` of the data is kept.

    A small share of the points is best spent on typical ones. On 32-atom aluminium (full-parameter
    GraNd, 0.1 and 1 % kept) 0.3 did better than 0.2 and 0.1; the original takes 0.2 to 0.3 when 80 to
    90 % is pruned. Above one half kept it falls in proportion to what may be dropped at all. It depends
    on data and scores (an earlier prototype found 0.1 at 1 %): choose it on validation data where a few
    trainings can be afforded.

    Parameters
    ----------
    kept : float
        n_keep / n_points, in (0, 1].
    """
    return 0.3 * min(1.0, 2.0 * (1.0 - kept))


@METHODS.register("ccs")
@dataclass(frozen=True)
class CoverageCentric:
    """Stratified selection over the scores without the hardest points.

    Parameters
    ----------
    score : str
        Which score.
    beta : float or None
        Fraction of all points, the hardest, that is dropped first; None takes `default_beta`.
    n_strata : int
        Strata of equal width (100 in the density work, 50 in the original).
    budget : {"rolled-over", "plain"}
        ``rolled-over``, as the original code: small strata are taken whole first and what they leave
        of the budget goes to the larger ones; returns exactly the count asked for. ``plain``: each
        stratum gets the same share and what small strata leave is not spent, so fewer points come
        back; a note says how many.

    Raises
    ------
    InputError
        A setting outside its range.
    """

    name: ClassVar[str] = "ccs"

    score: str = "grand"
    beta: float | None = None
    n_strata: int = 100
    budget: Literal["rolled-over", "plain"] = "rolled-over"

    def __post_init__(self) -> None:
        if self.beta is not None and not 0 <= self.beta < 1:
            raise InputError(f"CCS drops a fraction beta in [0, 1) of the points, not {self.beta}")
        if self.n_strata < 1:
            raise InputError(f"CCS needs at least one stratum, not {self.n_strata}")
        if self.budget not in ("rolled-over", "plain"):
            raise InputError(f"the CCS budget rule is rolled-over or plain, not '{self.budget}'")

    @property
    def needs(self) -> frozenset[str]:
        """The score."""
        return frozenset({self.score})

    def select(self, candidates: Candidates, n_keep: int, rng: np.random.Generator) -> Selection:
        """See `SelectionMethod.select`; refuses where β leaves fewer points than asked for."""
        scores = candidates.score(self.name, self.score)
        n_keep = checked_count(n_keep, len(scores))
        beta = default_beta(n_keep / len(scores)) if self.beta is None else self.beta
        pool = np.argsort(scores, kind="stable")[: len(scores) - int(beta * len(scores))]
        if len(pool) < n_keep:
            raise InputError(f"beta = {beta:g} leaves {len(pool)} of {n_keep} points asked for; lower beta")
        strata = self._strata(scores[pool])
        sizes = np.bincount(strata, minlength=self.n_strata)
        rule = rolled_over_budget if self.budget == "rolled-over" else plain_budget
        budget = rule(sizes, n_keep)
        chosen = [
            rng.permutation(members)[:take]
            for members, take in zip(np.split(pool, np.cumsum(sizes)[:-1]), budget, strict=True)
        ]
        return Selection(np.concatenate(chosen), notes=self._notes(n_keep, int(budget.sum()), beta))

    def _strata(self, ascending: np.ndarray) -> np.ndarray:
        """Stratum of each score; the scores ascend, so each stratum's members stand together."""
        low, high = ascending[0], ascending[-1]
        if high == low:
            return np.zeros(len(ascending), dtype=np.int64)
        position = (ascending - low) / (high - low) * self.n_strata
        return np.minimum(position.astype(np.int64), self.n_strata - 1)

    def _notes(self, asked: int, given: int, beta: float) -> tuple[str, ...]:
        notes = [f"dropped the hardest {100 * beta:g} % of the points first (beta)"]
        if given < asked:
            notes.append(f"the plain budget rule returns {given} of the {asked} points asked for")
        return tuple(notes)


def plain_budget(sizes: np.ndarray, n_keep: int) -> np.ndarray:
    """The same share for each stratum, at most what it holds; shares differ by one at most."""
    share = np.full(len(sizes), n_keep // len(sizes))
    share[: n_keep % len(sizes)] += 1
    return np.minimum(sizes, share)


def rolled_over_budget(sizes: np.ndarray, n_keep: int) -> np.ndarray:
    """Small strata first, each at most an even share of what is left; spends `n_keep` exactly."""
    budget = np.zeros_like(sizes)
    left = n_keep
    for done, stratum in enumerate(np.argsort(sizes, kind="stable")):
        budget[stratum] = min(sizes[stratum], left // (len(sizes) - done))
        left -= budget[stratum]
    return budget
