"""What a selection method is offered: columns of all training points, made only where they are needed."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nearsight.coreset.protocol import Candidates
from nearsight.field import ScalarField
from nearsight.model.scaler import FeatureScaler
from nearsight.points import PointSet

#: what a method may need beside scores
COLUMNS = frozenset({"features", "density", "gradient", "snapshot"})
#: rows standardised at a time
_BLOCK = 65_536


class DensitySource(Protocol):
    """The part of a data set that holds densities."""

    def density(self, number: int) -> ScalarField:
        """The density of a snapshot, e/bohr³."""
        ...


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns that exist, of which a method gets what it needs; see `Candidates`."""

    points: PointSet
    scores: Mapping[str, np.ndarray]
    features: np.ndarray | None = None
    density: np.ndarray | None = None
    gradient: np.ndarray | None = None

    def offer(self, needs: Collection[str]) -> Candidates:
        """The candidates for a method, with nothing that it does not ask for."""
        return Candidates(
            n_points=len(self.points),
            scores={name: column for name, column in self.scores.items() if name in needs},
            features=self.features if "features" in needs else None,
            density=self.density if "density" in needs else None,
            gradient=self.gradient if "gradient" in needs else None,
            snapshot=self.points.snapshot if "snapshot" in needs else None,
        )


def score_kinds(needs: Iterable[str]) -> frozenset[str]:
    """The scores among what a method needs: all that is no other column."""
    return frozenset(needs) - COLUMNS


def density_at(source: DensitySource, points: PointSet) -> np.ndarray:
    """ρ at points, shape (n,), e/bohr³."""
    values = np.empty(len(points))
    for number, rows in points.by_snapshot():
        values[rows] = source.density(number).values.ravel()[points.index[rows]]
    return values


def gradient_at(source: DensitySource, points: PointSet) -> np.ndarray:
    """|∇ρ| at points, shape (n,), e/bohr⁴, by Fourier differentiation of each snapshot's density."""
    values = np.empty(len(points))
    for number, rows in points.by_snapshot():
        lengths = np.linalg.norm(source.density(number).gradient(), axis=0)
        values[rows] = lengths.ravel()[points.index[rows]]
    return values


def standardise(features: np.ndarray, scaler: FeatureScaler, out: np.ndarray) -> np.ndarray:
    """Standardised features, block by block into `out`, which may be `features` itself."""
    for start in range(0, len(features), _BLOCK):
        rows = slice(start, start + _BLOCK)
        out[rows] = (features[rows] - scaler.mean) / scaler.std
    return out
