"""`FacilityLocation`: kept points such that every point has a similar one among them.

Maximises f(S) = Σ_i max_{j in S} s_ij, s an RBF of the features. f is submodular: the greedy choice is
within 1 − 1/e of the best (G. L. Nemhauser, L. A. Wolsey, M. L. Fisher, Math. Program. 14, 265 (1978)),
and gains only fall, so that old ones are bounds and few need a fresh look (M. Minoux, 1978). As a
coreset: B. Mirzasoleiman, J. Bilmes, J. Leskovec, ICML 2020 (arXiv:1906.01827), without its weights.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nearsight.coreset.columns import feature_rows, feature_table, median_distance, squared_distances
from nearsight.coreset.kernels import greedy_facilities
from nearsight.coreset.protocol import METHODS, Candidates, Selection, checked_count
from nearsight.coreset.shards import Pools, pools_note
from nearsight.errors import InputError


@METHODS.register("facility")
@dataclass(frozen=True)
class FacilityLocation:
    """Greedy facility location on the features, in random pools.

    Parameters
    ----------
    length : float or None
        Length ℓ of the similarity exp(−|x − x′|²/2ℓ²); None takes the median distance between points.
    shard : int
        Points in a pool; one of m points needs a matrix of m² similarities.
    oversample : int
        Points looked at for each point kept, at most.

    Raises
    ------
    InputError
        A setting outside its range.
    """

    name: ClassVar[str] = "facility"

    length: float | None = None
    shard: int = 2000
    oversample: int = 20

    def __post_init__(self) -> None:
        if self.length is not None and not self.length > 0:
            raise InputError(f"the length of the similarity is positive, not {self.length}")
        self._pools  # noqa: B018  (checks the settings)

    @property
    def _pools(self) -> Pools:
        return Pools(self.shard, self.oversample)

    @property
    def needs(self) -> frozenset[str]:
        """The features."""
        return frozenset({"features"})

    def select(self, candidates: Candidates, n_keep: int, rng: np.random.Generator) -> Selection:
        """See `SelectionMethod.select`."""
        n_keep = checked_count(n_keep, candidates.n_points)
        features = feature_table(self.name, candidates)
        length = self.length or median_distance(features, rng)
        pools = self._pools.draw(len(features), n_keep, rng)
        chosen = []
        for pool in pools:
            similarity = squared_distances(feature_rows(features, pool.members))
            similarity *= np.float32(-0.5 / length**2)
            np.exp(similarity, out=similarity)
            chosen.append(pool.members[greedy_facilities(similarity, pool.take)])
        return Selection(np.concatenate(chosen), notes=(pools_note(pools, len(features)),))
