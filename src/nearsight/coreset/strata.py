"""`DensityStrata`: a stratified sample in (log ρ, log |∇ρ|), rare surroundings oversampled and weighted down.

A field offers what images do not: ρ and |∇ρ| tell core, bond, interstitial and vacuum apart without any
network. Every stratum is sampled (Neyman, J. R. Stat. Soc. 97, 558 (1934)), and the weight population/taken
makes the weighted loss unbiased.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from nearsight.coreset.columns import finite_vector
from nearsight.coreset.draws import quotas
from nearsight.coreset.protocol import METHODS, Candidates, Selection, checked_count
from nearsight.errors import InputError

#: points that a stratum gets on average, at least: with fewer kept points there are fewer bins
_PER_STRATUM = 4


@METHODS.register("strata")
@dataclass(frozen=True)
class DensityStrata:
    """Stratified sampling over density and gradient.

    Parameters
    ----------
    bins : int
        Bins of each of the two, at most; fewer where a stratum would get less than four points.
    binning : {"equal-width", "equal-count"}
        Of log ρ and log |∇ρ|: of equal width between their 0.1 % and 99.9 % quantiles (the outermost
        bins take what lies beyond), or of equal population.
    evenness : float
        Budget of each stratum, from 0, in proportion to its population, to 1, the same for all that hold
        as many. Weights stay below 1/(1 − evenness), about.

    Raises
    ------
    InputError
        A setting outside its range.
    """

    name: ClassVar[str] = "strata"

    bins: int = 16
    binning: Literal["equal-width", "equal-count"] = "equal-width"
    evenness: float = 0.5

    def __post_init__(self) -> None:
        if self.bins < 1:
            raise InputError(f"stratified sampling needs at least one bin, not {self.bins}")
        if self.binning not in ("equal-width", "equal-count"):
            raise InputError(f"bins are of equal-width or equal-count, not '{self.binning}'")
        if not 0 <= self.evenness <= 1:
            raise InputError(f"the evenness of the budget is in [0, 1], not {self.evenness}")

    @property
    def needs(self) -> frozenset[str]:
        """Density and gradient."""
        return frozenset({"density", "gradient"})

    def select(self, candidates: Candidates, n_keep: int, rng: np.random.Generator) -> Selection:
        """See `SelectionMethod.select`."""
        n_keep = checked_count(n_keep, candidates.n_points)
        stratum = self.strata(candidates, n_keep)
        sizes = np.bincount(stratum)
        share = (1 - self.evenness) * sizes / len(stratum) + self.evenness / len(sizes)
        taken = quotas(share, sizes, n_keep)
        # points in random order, sorted by stratum: the first of each stratum are a random sample of it
        order = rng.permutation(len(stratum))
        order = order[np.argsort(stratum[order], kind="stable")]
        place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        kept = order[place < np.repeat(taken, sizes)]
        weights = (sizes / taken)[stratum[kept]] * (n_keep / len(stratum))
        note = f"{len(sizes)} strata of density and gradient hold points"
        return Selection(kept, weights, notes=(note,))

    def strata(self, candidates: Candidates, n_keep: int) -> np.ndarray:
        """Stratum of each point (n_points,), numbered from zero without gaps."""
        n_bins = max(1, min(self.bins, int(np.sqrt(n_keep / _PER_STRATUM))))
        rho = finite_vector(self.name, candidates, "density")
        gradient = finite_vector(self.name, candidates, "gradient")
        both = self._bin(rho, n_bins) * n_bins + self._bin(gradient, n_bins)
        return np.unique(both, return_inverse=True)[1].astype(np.int64)

    def _bin(self, values: np.ndarray, n_bins: int) -> np.ndarray:
        positive = values > 0
        if n_bins == 1 or not positive.any():
            return np.zeros(len(values), dtype=np.int64)
        # noise around zero (or below) goes with the lowest values that are not
        logs = np.log(np.where(positive, values, values[positive].min()))
        if self.binning == "equal-width":
            low, high = np.quantile(logs, [0.001, 0.999])
            edges = np.linspace(low, high, n_bins + 1)[1:-1]
        else:
            edges = np.quantile(logs, np.linspace(0, 1, n_bins + 1)[1:-1])
        return np.searchsorted(edges, logs, side="right")
