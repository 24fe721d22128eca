"""`Dual`: uncertain and hard points, drawn towards easy ones as more is pruned.

Y. Cho, B. Shin, C. Kang, C. Yun, "Lightweight dataset pruning without full training via example difficulty
and prediction uncertainty" (arXiv:2502.06905): chances ∝ DUAL score × Beta density of the prediction mean,
Beta(16 − b, b), b = 15 (1 − μ_D)(1 − r^c), r the pruned fraction, μ_D the prediction mean of the points of
highest score. Numbers as in the authors' code (github.com/behaapyy/dual-pruning, `beta_sampling`).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nearsight.coreset.draws import inclusion_probabilities, sample
from nearsight.coreset.protocol import METHODS, Candidates, Selection, checked_count
from nearsight.errors import InputError

#: parameters of Beta add up to this, and b starts from one less
_CONCENTRATION = 16.0


@METHODS.register("dual")
@dataclass(frozen=True)
class Dual:
    """Beta sampling with DUAL scores.

    In classification the prediction mean m is the mean probability of the right class over the first
    epochs, between 0 (hard) and 1 (easy). Regression has no such number: here ``difficulty``, the mean
    |error| over training, is turned into ranks, and m = 1 − rank, spread evenly over (0, 1), ties sharing
    a rank. ``dual`` is the deviation of the prediction in sliding windows of training times the
    difficulty in them, averaged.

    Parameters
    ----------
    c : float
        Exponent c_D > 0: the larger, the later the drift to easy points sets in. The original takes 5.5
        for CIFAR-10, 4 for CIFAR-100 and 11 for ImageNet.
    anchor : int
        Points of highest score whose prediction mean is averaged to μ_D.

    Raises
    ------
    InputError
        A setting outside its range.
    """

    name: ClassVar[str] = "dual"

    c: float = 4.0
    anchor: int = 10

    def __post_init__(self) -> None:
        if not self.c > 0:
            raise InputError(f"the exponent c of DUAL is positive, not {self.c}")
        if self.anchor < 1:
            raise InputError(f"DUAL needs at least one anchor point, not {self.anchor}")

    @property
    def needs(self) -> frozenset[str]:
        """Both scores of a training's dynamics."""
        return frozenset({"dual", "difficulty"})

    def select(self, candidates: Candidates, n_keep: int, rng: np.random.Generator) -> Selection:
        """See `SelectionMethod.select`."""
        n_keep = checked_count(n_keep, candidates.n_points)
        score = candidates.score(self.name, "dual")
        rank = mean_ranks(candidates.score(self.name, "difficulty"))
        easy = 1.0 - rank
        hardest = np.argsort(-score, kind="stable")[: self.anchor]
        a, b = beta_parameters(1 - n_keep / len(score), float(easy[hardest].mean()), self.c)
        log_density = (a - 1) * np.log(easy) + (b - 1) * np.log(rank)
        joint = np.exp(log_density - log_density.max()) * score
        note = f"drew from Beta({a:.3g}, {b:.3g}) of the prediction mean"
        return sample(inclusion_probabilities(joint, n_keep, 0.0), n_keep, rng, weighted=False, notes=(note,))


def beta_parameters(pruned: float, anchor: float, c: float) -> tuple[float, float]:
    """Parameters a, b of the Beta distribution: mean near `anchor` at little pruning, near one at much.

    Parameters
    ----------
    pruned : float
        Pruned fraction r, in [0, 1).
    anchor : float
        Prediction mean μ_D of the points of highest score.
    c : float
        Exponent c_D.
    """
    b = (_CONCENTRATION - 1) * (1 - anchor) * (1 - pruned**c)
    return _CONCENTRATION - b, b


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Rank of each value (n,), in (0, 1) from low to high; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return ((np.cumsum(counts) - 0.5 * counts) / len(values))[inverse]
