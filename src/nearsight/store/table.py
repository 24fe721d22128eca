"""`PointTable`: grid points with features and densities, what training reads and a coreset keeps."""

from dataclasses import dataclass

import numpy as np

from nearsight.errors import InputError
from nearsight.points import PointSet
from nearsight.provenance import digest


@dataclass(frozen=True, eq=False)
class PointTable:
    """Grid points with what is known at each; rows of all arrays belong together.

    Parameters
    ----------
    points : PointSet
        Where each row comes from, and its weight in the loss.
    features : ndarray (n, n_features), float32
        May be a memory map.
    density : ndarray (n,), float64
        e/bohr³.
    rho_saed : ndarray (n,), float64, optional
        Superposed atomic densities, e/bohr³; None where the data has no radial tables.

    Raises
    ------
    InputError
        Arrays that do not have one row a point.
    """

    points: PointSet
    features: np.ndarray
    density: np.ndarray
    rho_saed: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = len(self.points)
        # a float32 memory map stays the memory map that it is
        features = self.features.astype(np.float32, copy=False)
        object.__setattr__(self, "features", features)
        if features.ndim != 2 or len(features) != n:
            raise InputError(f"features of shape {features.shape} for {n} points; one row a point is needed")
        for name in ("density", "rho_saed"):
            array = getattr(self, name)
            if array is not None and array.shape != (n,):
                raise InputError(f"{name} of shape {array.shape} for {n} points; one value a point is needed")

    def __len__(self) -> int:
        return len(self.points)

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        return int(self.features.shape[1])

    @property
    def weight(self) -> np.ndarray:
        """Weight of each point in the loss, (n,) float32, mean one."""
        return self.points.weight

    @property
    def in_memory(self) -> bool:
        """Whether the features are in memory rather than in a mapped file."""
        return not isinstance(self.features, np.memmap)

    def take(self, which: np.ndarray, weight: np.ndarray | None = None) -> "PointTable":
        """The rows at positions `which`, copied, with new weights if given."""
        return PointTable(
            self.points.take(which, weight),
            np.ascontiguousarray(self.features[which]),
            self.density[which],
            None if self.rho_saed is None else self.rho_saed[which],
        )

    def digest(self) -> str:
        """Hash of the points, their weights and densities (not of the features, which follow)."""
        points = self.points
        return digest(points.snapshot, points.index, points.weight, self.density)
