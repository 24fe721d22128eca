"""`Batches`: which rows make up a step, settled by the seed and the step's number alone.

So a run that carries on from a checkpoint sees the same batches as one that was never interrupted.
"""

from dataclasses import dataclass, field

import numpy as np

from nearsight.provenance import generator


@dataclass
class Batches:
    """Shuffled batches of row numbers; each epoch has its own order, an incomplete last batch is left out.

    Parameters
    ----------
    n_rows, size : int
        A batch holds min(size, n_rows) rows.
    seed : int
    chunk : int
        1 shuffles rows freely: the right thing in memory, where gathering rows at random costs a
        hundredth of a step. Larger values keep that many neighbouring rows together on their way
        from a mapped file, and mix rows within windows of 64 chunks.
    """

    n_rows: int
    size: int
    seed: int
    chunk: int = 1
    _order: tuple[int, np.ndarray] = field(default=(-1, np.empty(0, np.int64)), init=False, repr=False)

    def __post_init__(self) -> None:
        self.size = min(self.size, self.n_rows)

    @property
    def per_epoch(self) -> int:
        """Batches an epoch."""
        return self.n_rows // self.size

    def rows(self, step: int) -> np.ndarray:
        """Row numbers of a step, (size,) int64."""
        epoch, position = divmod(step, self.per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, self._shuffled(generator(self.seed, "batches", epoch)))
        return self._order[1][position * self.size : (position + 1) * self.size]

    def _shuffled(self, rng: np.random.Generator) -> np.ndarray:
        if self.chunk == 1:
            return rng.permutation(self.n_rows)
        starts = rng.permutation(np.arange(0, self.n_rows, self.chunk))
        order = (starts[:, None] + np.arange(self.chunk)).ravel()
        order = order[order < self.n_rows]
        window = 64 * self.chunk
        for first in range(0, self.n_rows, window):
            rng.shuffle(order[first : first + window])
        return order
