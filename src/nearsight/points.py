"""`PointSet`: which grid points of which snapshots; a coreset is one of these."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nearsight.errors import InputError


@dataclass(frozen=True, eq=False)
class PointSet:
    """Grid points, each named by its snapshot and its flat index on that snapshot's grid.

    Parameters
    ----------
    snapshot : ndarray (n,), int32
        Number of the snapshot in its data set.
    index : ndarray (n,), int64
        Flat C-order index on the snapshot's grid.
    weight : ndarray (n,), float32
        Weight of the point in the loss, mean one over the set; all ones unless a selection method
        samples unevenly and corrects for it.
    """

    snapshot: np.ndarray
    index: np.ndarray
    weight: np.ndarray

    def __post_init__(self) -> None:
        snapshot = np.ascontiguousarray(self.snapshot, dtype=np.int32)
        index = np.ascontiguousarray(self.index, dtype=np.int64)
        weight = np.ascontiguousarray(self.weight, dtype=np.float32)
        if not (snapshot.ndim == 1 and snapshot.shape == index.shape == weight.shape):
            raise InputError("snapshot, index and weight of a point set must be equally long vectors")
        for name, array in (("snapshot", snapshot), ("index", index), ("weight", weight)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @classmethod
    def all_of(cls, snapshots: Sequence[int], sizes: Sequence[int]) -> "PointSet":
        """Every grid point of the given snapshots; `sizes` are their numbers of grid points."""
        snapshot = np.repeat(np.asarray(snapshots, dtype=np.int32), sizes)
        index = np.concatenate([np.arange(n, dtype=np.int64) for n in sizes] or [np.empty(0, np.int64)])
        return cls(snapshot, index, np.ones(len(index), dtype=np.float32))

    def __len__(self) -> int:
        return len(self.index)

    def take(self, which: np.ndarray, weight: np.ndarray | None = None) -> "PointSet":
        """The points at positions `which` of this set, with new weights if given."""
        return PointSet(
            self.snapshot[which], self.index[which], self.weight[which] if weight is None else weight
        )

    def by_snapshot(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (snapshot, positions in this set of its points), snapshots ascending."""
        order = np.argsort(self.snapshot, kind="stable")
        numbers, starts = np.unique(self.snapshot[order], return_index=True)
        for number, start, stop in zip(numbers, starts, [*starts[1:], len(order)], strict=False):
            yield int(number), order[start:stop]
