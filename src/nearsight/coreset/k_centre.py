"""`KCentre`: farthest-point sampling of the features, so that no point is far from a kept one.

T. F. Gonzalez, Theor. Comput. Sci. 38, 293 (1985): each pick is the point farthest from all before it;
the largest distance to a kept point is at most twice the least possible. As a coreset: O. Sener,
S. Savarese, ICLR 2018 (arXiv:1708.00489). The picking is scikit-matter's (A. Goscinski et al., Open Res.
Europe 3, 81 (2023)).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nearsight.coreset.columns import feature_rows, feature_table
from nearsight.coreset.protocol import METHODS, Candidates, Selection, checked_count
from nearsight.coreset.shards import Pools, pools_note


@METHODS.register("k_centre")
@dataclass(frozen=True)
class KCentre:
    """Farthest points of the features, in random pools.

    Outliers come first by construction: at small kept fractions compare with `FacilityLocation`.

    Parameters
    ----------
    shard : int
        Points in a pool.
    oversample : int
        Points looked at for each point kept, at most.
    pool : int
        Up to so many points looked at make one pool: with the defaults, a true farthest-point sampling of
        a random pool for up to 2,000 kept points.

    Raises
    ------
    InputError
        A setting outside its range.
    """

    name: ClassVar[str] = "k_centre"

    shard: int = 4000
    oversample: int = 20
    pool: int = 40_000

    def __post_init__(self) -> None:
        self._pools  # noqa: B018  (checks the settings)

    @property
    def _pools(self) -> Pools:
        return Pools(self.shard, self.oversample, self.pool)

    @property
    def needs(self) -> frozenset[str]:
        """The features."""
        return frozenset({"features"})

    def select(self, candidates: Candidates, n_keep: int, rng: np.random.Generator) -> Selection:
        """See `SelectionMethod.select`."""
        n_keep = checked_count(n_keep, candidates.n_points)
        features = feature_table(self.name, candidates)
        pools = self._pools.draw(len(features), n_keep, rng)
        chosen = [
            pool.members[farthest_points(feature_rows(features, pool.members), pool.take, rng)]
            for pool in pools
        ]
        return Selection(np.concatenate(chosen), notes=(pools_note(pools, len(features)),))


def farthest_points(rows: np.ndarray, n_keep: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of `n_keep` of the rows (m, d), in the order picked; the first is random."""
    # scikit-learn takes a second to import, and most runs select without it
    from sklearn import config_context
    from skmatter.sample_selection import FPS

    first = int(rng.integers(len(rows)))
    if n_keep >= len(rows):
        return np.arange(len(rows))
    centred = rows - rows.mean(axis=0)  # nearer to the origin less is lost to cancellation
    if centred.shape[1] == 1:  # FPS asks for two
        centred = np.pad(centred, ((0, 0), (0, 1)))
    with config_context(assume_finite=True):  # checked when read; FPS would check again at each pick
        picked = FPS(n_to_select=n_keep, initialize=first).fit(centred).selected_idx_
    return np.asarray(picked, dtype=np.int64)
