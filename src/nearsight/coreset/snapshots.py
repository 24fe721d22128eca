"""`WholeSnapshots`: keep few snapshots that cover the rest, and points at random inside them.

All other methods need every snapshot labelled before they choose points; this one needs structures and
their features only, so that the DFT runs of the snapshots it leaves out are saved as well.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nearsight.coreset.columns import feature_blocks, feature_table
from nearsight.coreset.protocol import METHODS, Candidates, Selection, checked_count
from nearsight.errors import InputError

#: snapshots that a note names
_NAMED = 20


@METHODS.register("snapshots")
@dataclass(frozen=True)
class WholeSnapshots:
    """Farthest snapshots by the means and deviations of their features.

    The first is nearest to the mean of all, each further one farthest from those before (Gonzalez 1985,
    as in `KCentre`).

    Parameters
    ----------
    fraction_of_snapshots : float
        In (0, 1]; at least one snapshot is taken.
    n_snapshots : int or None
        Their number, instead of the fraction.

    Raises
    ------
    InputError
        A setting outside its range.
    """

    name: ClassVar[str] = "snapshots"

    fraction_of_snapshots: float = 0.25
    n_snapshots: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.fraction_of_snapshots <= 1:
            raise InputError(f"the fraction of the snapshots is in (0, 1], not {self.fraction_of_snapshots}")
        if self.n_snapshots is not None and self.n_snapshots < 1:
            raise InputError(f"at least one snapshot has to be kept, not {self.n_snapshots}")

    @property
    def needs(self) -> frozenset[str]:
        """The features, and the snapshot of each point."""
        return frozenset({"features", "snapshot"})

    def select(self, candidates: Candidates, n_keep: int, rng: np.random.Generator) -> Selection:
        """See `SelectionMethod.select`; takes further snapshots where the points do not suffice."""
        n_keep = checked_count(n_keep, candidates.n_points)
        features = feature_table(self.name, candidates)
        names, member = np.unique(candidates.column(self.name, "snapshot"), return_inverse=True)
        sizes = np.bincount(member)
        order = cover_order(snapshot_moments(features, member, len(names)), sizes)
        asked = self.n_snapshots or max(1, round(self.fraction_of_snapshots * len(names)))
        needed = int(np.searchsorted(np.cumsum(sizes[order]), n_keep)) + 1
        taken = order[: max(asked, needed)]
        pool = np.flatnonzero(np.isin(member, taken))
        notes = [_naming(names[np.sort(taken)], len(names))]
        if needed > asked:
            notes.append(f"took {needed} snapshots, not {asked}: fewer do not hold {n_keep} points")
        return Selection(rng.choice(pool, n_keep, replace=False, shuffle=False), notes=tuple(notes))


def _naming(names: np.ndarray, n_snapshots: int) -> str:
    listed = ", ".join(str(name) for name in names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
    return f"only {len(names)} of {n_snapshots} snapshots would have had to be labelled: {listed}"


def snapshot_moments(features: np.ndarray, member: np.ndarray, n_snapshots: int) -> np.ndarray:
    """Means and standard deviations of the features in each snapshot (n_snapshots, 2 n_features), streamed.

    Parameters
    ----------
    features : ndarray (n, n_features)
    member : ndarray (n,)
        Snapshot of each point, 0 … n_snapshots − 1, each present.
    n_snapshots : int
    """
    sums = np.zeros((2, n_snapshots, features.shape[1]))
    for part, rows in feature_blocks(features):
        order = np.argsort(member[part], kind="stable")
        here, starts = np.unique(member[part][order], return_index=True)
        values = rows[order].astype(np.float64)
        sums[0, here] += np.add.reduceat(values, starts, axis=0)
        sums[1, here] += np.add.reduceat(values**2, starts, axis=0)
    mean, square = sums / np.bincount(member, minlength=n_snapshots)[:, None]
    return np.hstack([mean, np.sqrt(np.maximum(square - mean**2, 0.0))])


def cover_order(moments: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """All snapshots, the one nearest to the mean over points first, then always the farthest left."""
    centre = np.average(moments, axis=0, weights=sizes)
    order = [int(np.argmin(((moments - centre) ** 2).sum(axis=1)))]
    distance = np.full(len(moments), np.inf)
    while len(order) < len(moments):
        distance = np.minimum(distance, ((moments - moments[order[-1]]) ** 2).sum(axis=1))
        distance[order] = -np.inf
        order.append(int(np.argmax(distance)))
    return np.array(order)
