"""Pools: random parts of the candidates, small enough for a greedy method, each with its share of the budget.

A greedy method takes time ∝ points × picks, and some a matrix of all pairs. In pools the picks from each
point's neighbourhood stay few, so time grows with the kept points only and memory with one pool.
"""

from dataclasses import dataclass

import numpy as np

from nearsight.errors import InputError


@dataclass(frozen=True, eq=False)
class Pool:
    """Some of the candidates and how many of them to take.

    Attributes
    ----------
    members : ndarray (m,), int64
        Positions among the candidates, ascending.
    take : int
        1 … m.
    """

    members: np.ndarray
    take: int


@dataclass(frozen=True)
class Pools:
    """How the candidates are split at random.

    Parameters
    ----------
    shard : int
        Points in a pool, about.
    oversample : int
        Points looked at for each point kept, at most; all are where the budget is above 1/oversample.
    single : int
        Up to so many points looked at make one pool. One pool is the method itself on a random part of
        the data; several are an approximation, each blind to what the others took.

    Raises
    ------
    InputError
        A setting outside its range.
    """

    shard: int = 4000
    oversample: int = 20
    single: int = 0

    def __post_init__(self) -> None:
        if self.shard < 2:
            raise InputError(f"a pool needs at least two points, not {self.shard}")
        if self.oversample < 1:
            raise InputError(f"at least one point is looked at for each one kept, not {self.oversample}")

    def draw(self, n_points: int, n_keep: int, rng: np.random.Generator) -> list[Pool]:
        """Disjoint pools whose shares add up to `n_keep`; sizes, and shares, differ by one at most."""
        looked_at = min(n_points, max(self.oversample * n_keep, self.shard))
        n_pools = 1 if looked_at <= self.single else -(-looked_at // self.shard)
        order = rng.permutation(n_points)[:looked_at]
        takes = np.full(n_pools, n_keep // n_pools)
        takes[: n_keep % n_pools] += 1
        parts = np.array_split(order, n_pools)
        return [Pool(np.sort(part), int(k)) for part, k in zip(parts, takes, strict=True) if k > 0]


def pools_note(pools: list[Pool], n_points: int) -> str:
    """What the user should know of the split."""
    looked_at = sum(len(pool.members) for pool in pools)
    what = "all" if looked_at == n_points else f"{looked_at} random ones of the"
    kind = "one pool" if len(pools) == 1 else f"{len(pools)} random pools, each on its own"
    return f"chose from {what} {n_points} points in {kind}"
