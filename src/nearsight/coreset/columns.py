"""Reading the columns of candidates: checked vectors, and features by rows or by blocks.

Features may be a memory map larger than memory, so nothing here holds more than a block, or the rows
asked for. A row that is not finite is refused when it is read.
"""

from collections.abc import Iterator

import numpy as np

from nearsight.coreset.protocol import Candidates
from nearsight.errors import InputError

#: points in a block of features
BLOCK = 16_384


def finite_vector(method: str, candidates: Candidates, name: str) -> np.ndarray:
    """``density`` or ``gradient`` as a float64 vector.

    Raises
    ------
    InputError
        Missing, no vector, or not finite.
    """
    values = np.asarray(candidates.column(method, name), dtype=np.float64)
    if values.ndim != 1:
        raise InputError(f"the {name} is a vector with one number a point, not of shape {values.shape}")
    if not np.isfinite(values).all():
        raise InputError(f"the {name} of {int((~np.isfinite(values)).sum())} points is not finite")
    return values


def feature_table(method: str, candidates: Candidates) -> np.ndarray:
    """The features (n_points, n_features), unread where they are a memory map.

    Raises
    ------
    InputError
        Missing, or no table.
    """
    features = candidates.column(method, "features")
    if features.ndim != 2 or features.shape[1] < 1:
        raise InputError(f"features are a table (n_points, n_features), not of shape {features.shape}")
    return features


def feature_rows(features: np.ndarray, index: np.ndarray) -> np.ndarray:
    """A copy of some rows (len(index), n_features), float32; an ascending `index` reads a file in order."""
    return _finite(np.ascontiguousarray(features[index], dtype=np.float32))


def feature_blocks(features: np.ndarray, size: int = BLOCK) -> Iterator[tuple[slice, np.ndarray]]:
    """All rows in order: which, and a copy of them (≤ size, n_features), float32."""
    for first in range(0, len(features), size):
        part = slice(first, min(first + size, len(features)))
        yield part, _finite(np.array(features[part], dtype=np.float32))


def median_distance(features: np.ndarray, rng: np.random.Generator, n_sample: int = 1000) -> float:
    """Median distance between points, of a random sample; one where most of them coincide."""
    n_sample = min(n_sample, len(features))
    index = np.sort(rng.choice(len(features), n_sample, replace=False))
    squared = squared_distances(feature_rows(features, index))
    apart = squared[np.triu_indices(len(squared), k=1)]
    median = float(np.sqrt(np.median(apart))) if len(apart) else 0.0
    return median if median > 1e-6 else 1.0


def squared_distances(rows: np.ndarray) -> np.ndarray:
    """|x_i − x_j|² of all pairs of rows (m, m), float32, ≥ 0; zero on the diagonal."""
    rows = rows - rows.mean(axis=0)  # nearer to the origin less is lost to cancellation
    norms = np.einsum("ij,ij->i", rows, rows)
    squared = rows @ rows.T
    squared *= -2.0
    squared += norms[:, None]
    squared += norms
    np.maximum(squared, 0.0, out=squared)
    np.fill_diagonal(squared, 0.0)
    return squared


def _finite(rows: np.ndarray) -> np.ndarray:
    if not np.isfinite(rows).all():
        n_bad = int((~np.isfinite(rows).all(axis=1)).sum())
        raise InputError(f"{n_bad} of the points read have features that are not finite")
    return rows
