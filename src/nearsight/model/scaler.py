"""`FeatureScaler`: features to mean zero and deviation one."""

from dataclasses import dataclass

import numpy as np

from nearsight.errors import InputError

#: deviation, relative to the feature's size, below which a feature counts as constant
_CONSTANT = 1e-6


@dataclass(frozen=True, eq=False)
class FeatureScaler:
    """Standardisation (x − mean) / std, feature by feature.

    Parameters
    ----------
    mean, std : ndarray (n_features,), float32
        A constant feature has std one, so it becomes zero where it keeps its value.
    """

    mean: np.ndarray
    std: np.ndarray

    def __post_init__(self) -> None:
        mean = np.ascontiguousarray(self.mean, dtype=np.float32)
        std = np.ascontiguousarray(self.std, dtype=np.float32)
        if mean.ndim != 1 or mean.shape != std.shape or not (std > 0).all() or not np.isfinite(mean).all():
            raise InputError("a feature scaler needs finite means and positive deviations, equally many")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", std)

    @classmethod
    def fit(
        cls, features: np.ndarray, weight: np.ndarray | None = None, *, block: int = 65536
    ) -> "FeatureScaler":
        """Weighted mean and deviation of each feature, in blocks and float64.

        Parameters
        ----------
        features : ndarray (n, n_features)
            May be a memory map.
        weight : ndarray (n,), optional
        """
        if len(features) == 0:
            raise InputError("there are no points to learn from")
        total = np.zeros(features.shape[1])
        squares = np.zeros(features.shape[1])
        mass = 0.0
        # sums of differences from one row, so that a large mean does not swallow a small deviation
        origin = np.asarray(features[0], dtype=np.float64)
        for start in range(0, len(features), block):
            x = features[start : start + block] - origin
            w = np.ones(len(x)) if weight is None else weight[start : start + block].astype(np.float64)
            total += w @ x
            squares += w @ (x * x)
            mass += w.sum()
        shift = total / mass
        std = np.sqrt(np.maximum(squares / mass - shift**2, 0.0))
        mean = origin + shift
        constant = std <= _CONSTANT * np.maximum(np.abs(mean), 1e-12)
        return cls(mean, np.where(constant, 1.0, std))
