"""Radial densities as cubic polynomials on equal intervals, ready for compiled kernels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearsight.atomic.radial import RadialDensity

#: largest error of the resampled density, relative to its maximum
TOLERANCE = 1e-9
_FEWEST_INTERVALS, _MOST_INTERVALS = 256, 1 << 17


@dataclass(frozen=True, eq=False)
class LookupTable:
    """Several species' radial densities in one array.

    Attributes
    ----------
    cutoff : ndarray (n_species,)
        Bohr.
    inverse_step : ndarray (n_species,)
        Intervals per bohr.
    start : ndarray (n_species,), int64
        First row of a species in `coefficients`.
    coefficients : ndarray (n_rows, 4)
        Of 1, t, t², t³ with t in [0, 1] across an interval.
    """

    cutoff: np.ndarray
    inverse_step: np.ndarray
    start: np.ndarray
    coefficients: np.ndarray

    @classmethod
    def build(cls, tables: Sequence[RadialDensity]) -> "LookupTable":
        """Resample each density on as many equal intervals as its shape asks for."""
        pieces = [_resampled(table) for table in tables]
        intervals = np.array([len(piece) for piece in pieces])
        cutoff = np.array([table.cutoff for table in tables])
        # each species ends with a row of zeros, for a distance that rounds to the cut-off itself
        rows = np.concatenate([np.vstack([piece, np.zeros(4)]) for piece in pieces])
        start = np.concatenate([[0], np.cumsum(intervals + 1)[:-1]]).astype(np.int64)
        return cls(cutoff, intervals / cutoff, start, rows)


def _resampled(table: RadialDensity) -> np.ndarray:
    """Hermite coefficients (n, 4) of a radial density, refined until they reproduce it."""
    n = _FEWEST_INTERVALS
    allowed = TOLERANCE * float(table.rho.max())
    while True:
        coefficients = _hermite(table, n)
        middle = (np.arange(n) + 0.5) * (table.cutoff / n)
        error = np.abs(coefficients @ np.array([1, 0.5, 0.25, 0.125]) - table(middle)).max()
        if error <= allowed or n >= _MOST_INTERVALS:
            return coefficients
        n *= 2


def _hermite(table: RadialDensity, n: int) -> np.ndarray:
    """Cubic Hermite coefficients on n equal intervals from values and slopes."""
    r = np.linspace(0.0, table.cutoff, n + 1)
    value = table(r)
    slope = np.where(value > 0, table.spline(r, 1), 0.0) * (table.cutoff / n)
    f0, f1, d0, d1 = value[:-1], value[1:], slope[:-1], slope[1:]
    return np.stack([f0, d0, 3 * (f1 - f0) - 2 * d0 - d1, 2 * (f0 - f1) + d0 + d1], axis=1)
