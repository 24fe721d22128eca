"""`FitData`: what a network that fits itself learns from, whole or in blocks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from nearsight.errors import InputError


class Block(NamedTuple):
    """Some rows: standardised features (m, d) float32, target (m,) float64, weight (m,) float64."""

    x: torch.Tensor
    t: torch.Tensor
    weight: torch.Tensor


@dataclass(frozen=True, eq=False)
class FitData:
    """Points with features, which may lie in a mapped file, a standardised target and weights.

    Features are standardised when they are asked for, in float32, exactly as a prediction does it.

    Parameters
    ----------
    features : ndarray (n, d), float32
        As the descriptor gave them.
    target : ndarray (n,)
        Standardised.
    weight : ndarray (n,)
        In the loss, not negative: a point of weight two counts as two points of weight one.
    mean, std : ndarray (d,), float32
        Standardise a feature.
    device : torch.device
        Where blocks go.
    validation : FitData, optional
        Points of held-out snapshots, standardised likewise.
    n_effective : float, optional
        Independent values among the points; each point is one unless given.

    Raises
    ------
    InputError
        No point of positive weight; arrays that do not fit together; values that are not finite.
    """

    features: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    validation: "FitData | None" = None
    n_effective: float | None = None

    def __post_init__(self) -> None:
        n, d = self.features.shape
        if self.target.shape != (n,) or self.weight.shape != (n,):
            raise InputError(f"{n} points need {n} targets and weights")
        if self.mean.shape != (d,) or self.std.shape != (d,):
            raise InputError(f"{d} features need {d} means and deviations")
        if not (np.isfinite(self.target).all() and np.isfinite(self.weight).all()):
            raise InputError("a target or weight is not finite; check the densities of the data")
        if n == 0 or not (self.weight >= 0).all() or not (self.weight > 0).any():
            raise InputError("a fit needs points of positive weight, and none of negative weight")

    @classmethod
    def of(cls, x: np.ndarray, target: np.ndarray, weight: np.ndarray | None = None) -> "FitData":
        """Features that are standardised already."""
        d = x.shape[1]
        ones = np.ones(len(x)) if weight is None else weight
        zero, one = np.zeros(d, np.float32), np.ones(d, np.float32)
        return cls(x.astype(np.float32, copy=False), target, ones, zero, one)

    def __len__(self) -> int:
        """Points of positive weight."""
        return len(self._counted)

    @property
    def n_inputs(self) -> int:
        """Length of a feature vector."""
        return int(self.features.shape[1])

    @cached_property
    def _counted(self) -> np.ndarray:
        """Rows of positive weight, ascending: the others are as good as absent."""
        return np.flatnonzero(self.weight > 0)

    def take(self, which: np.ndarray | None = None) -> Block:
        """The points at positions `which` among those of positive weight; all of them unless given."""
        rows = self._counted if which is None else self._counted[which]
        x = (self.features[rows] - self.mean) / self.std
        return Block(
            torch.from_numpy(x).to(self.device),
            self._double(self.target[rows]),
            self._double(self.weight[rows]),
        )

    def blocks(self, size: int = 8192) -> Iterator[Block]:
        """All points in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))

    def sample(self, n: int, generator: torch.Generator) -> np.ndarray:
        """Positions of `n` points (all, where there are no more) drawn without replacement, ascending."""
        if n >= len(self):
            return np.arange(len(self))
        chosen: np.ndarray = torch.randperm(len(self), generator=generator)[:n].numpy()
        return np.sort(chosen)

    def _double(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float64)).to(self.device)
