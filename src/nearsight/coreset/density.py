"""`DensityWeighted`: few points where the density is low, the practice of the Jacobi–Legendre models.

B. Focassio, M. Domina, U. Patil, A. Fazzio, S. Sanvito, "Linear Jacobi–Legendre expansion of the charge
density for machine learning-accelerated electronic structure calculations", npj Comput. Mater. 9, 87
(2023). Their code (github.com/StefanoSanvitoGroup/MLdensity, `sample_charge`) draws a part of the points
with chances ∝ exp(−(1/ρ)²/(2σ²)) and the rest uniformly, without weights in the fit: σ = 40 Å³/e and 60 %
uniform for aluminium (0.5 % of the points) and MoS₂, 30 and 40 % for molybdenum, 90 and 50 % for benzene.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nearsight.coreset.columns import finite_vector
from nearsight.coreset.draws import inclusion_probabilities, sample
from nearsight.coreset.protocol import METHODS, Candidates, Selection, checked_count
from nearsight.errors import InputError


@METHODS.register("density")
@dataclass(frozen=True)
class DensityWeighted:
    """Sample with chances ∝ u/N + (1 − u) p_i, p ∝ exp(−(1/ρ)²/(2σ²)).

    One systematic sample from the mixture takes the place of the original's two draws, whose overlap it
    draws again for: the count is exact and every point's chance is known. The original samples each
    snapshot on its own, this all candidates together.

    Parameters
    ----------
    uniform : float
        Share u in [0, 1] of the uniform distribution.
    sigma : float or None
        Width σ in bohr³/e (40 Å³/e are 270); None takes the quantile below. The original's 40 Å³/e is
        several times 1/ρ anywhere in bulk aluminium, so that it hardly differs from uniform there.
    quantile : float
        σ is this quantile of 1/ρ over the points of positive density, in (0, 1].
    weighted : bool
        Weight the loss by the inverse chance, which makes it unbiased; needs ``uniform > 0``.

    Raises
    ------
    InputError
        A setting outside its range.
    """

    name: ClassVar[str] = "density"

    uniform: float = 0.6
    sigma: float | None = None
    quantile: float = 0.75
    weighted: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.uniform <= 1:
            raise InputError(f"the uniform share of density sampling is in [0, 1], not {self.uniform}")
        if self.weighted and self.uniform == 0:
            raise InputError("weighted density sampling needs a uniform share: weights have no bound")
        if self.sigma is not None and not self.sigma > 0:
            raise InputError(f"the width sigma is positive (bohr³/e), not {self.sigma}")
        if not 0 < self.quantile <= 1:
            raise InputError(f"the quantile that sets sigma is in (0, 1], not {self.quantile}")

    @property
    def needs(self) -> frozenset[str]:
        """The density."""
        return frozenset({"density"})

    def select(self, candidates: Candidates, n_keep: int, rng: np.random.Generator) -> Selection:
        """See `SelectionMethod.select`; points of no or negative density have the uniform chance only."""
        n_keep = checked_count(n_keep, candidates.n_points)
        rho = finite_vector(self.name, candidates, "density")
        positive = rho > np.finfo(np.float32).tiny
        inverse = np.divide(1.0, rho, out=np.full(len(rho), np.inf), where=positive)
        if not positive.any():
            return sample(np.full(len(rho), n_keep / len(rho)), n_keep, rng, weighted=self.weighted)
        sigma = self.sigma or float(np.quantile(inverse[positive], self.quantile))
        # the highest density has the exponent zero: a small sigma must not make all chances underflow
        score = np.exp((inverse.min() ** 2 - inverse**2) / (2 * sigma**2))
        chance = inclusion_probabilities(score, n_keep, self.uniform)
        notes = (f"width sigma = {sigma:.4g} bohr³/e",)
        return sample(chance, n_keep, rng, weighted=self.weighted, notes=notes)
