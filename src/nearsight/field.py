"""`ScalarField`: values on a `UniformGrid`, with the calculus that a density needs."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nearsight.errors import ChargeError, GridMismatchError, InputError
from nearsight.grid import UniformGrid


class Rescaled(NamedTuple):
    """A density brought to its electron count, and what that took."""

    #: the rescaled density
    field: "ScalarField"
    #: charge of the negative values that were clipped, in electrons, ≥ 0
    clipped_charge: float
    #: factor applied after clipping
    factor: float


@dataclass(frozen=True, eq=False)
class ScalarField:
    """A real periodic function sampled on a grid.

    Parameters
    ----------
    grid : UniformGrid
    values : ndarray (n1, n2, n3), float64
        For a density in e/bohr³.

    Raises
    ------
    GridMismatchError
        The values do not have the grid's shape.
    InputError
        Values that are not finite.
    """

    grid: UniformGrid
    values: np.ndarray

    def __post_init__(self) -> None:
        values = np.ascontiguousarray(self.values, dtype=np.float64)
        if values.shape != self.grid.shape:
            raise GridMismatchError(f"values of shape {values.shape} on a grid of shape {self.grid.shape}")
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise InputError(f"{bad} of {values.size} values of a field are NaN or infinite")
        object.__setattr__(self, "values", values)

    def integrate(self) -> float:
        """∫ f dr over the cell (for a density: electrons)."""
        return float(self.values.sum() * self.grid.dv)

    def require_same_grid(self, other: "ScalarField") -> None:
        """Raise `GridMismatchError` unless both fields share cell and shape."""
        if not self.grid.matches(other.grid):
            raise GridMismatchError(
                f"fields on different grids: {self.grid!r} and {other.grid!r}; resample one of them"
            )

    def __add__(self, other: "ScalarField") -> "ScalarField":
        self.require_same_grid(other)
        return ScalarField(self.grid, self.values + other.values)

    def __sub__(self, other: "ScalarField") -> "ScalarField":
        self.require_same_grid(other)
        return ScalarField(self.grid, self.values - other.values)

    def __mul__(self, factor: float) -> "ScalarField":
        return ScalarField(self.grid, self.values * factor)

    __rmul__ = __mul__

    def rescaled(self, n_electrons: float) -> Rescaled:
        """Clip negative values, then multiply so that the field integrates to `n_electrons`.

        Raises
        ------
        ChargeError
            Nothing positive is left to scale, or the count is not positive.
        """
        clipped = np.maximum(self.values, 0.0)
        charge = float(clipped.sum() * self.grid.dv)
        if charge <= 0 or not n_electrons > 0:
            raise ChargeError(f"cannot scale a density of {charge:.3g} e to {n_electrons:.6g} electrons")
        factor = n_electrons / charge
        field = ScalarField(self.grid, clipped * factor)
        return Rescaled(field, charge - self.integrate(), factor)

    def gradient(self) -> np.ndarray:
        """∇f by Fourier differentiation, shape (3, n1, n2, n3); Nyquist components are dropped."""
        coefficients = self.grid.fft(self.values)
        return self.grid.ifft(1j * self.grid.g_vectors(zero_nyquist=True) * coefficients)

    def resampled(self, shape: tuple[int, int, int]) -> "ScalarField":
        """The same function on another grid of the same cell, by Fourier interpolation.

        Exact for a function that both grids resolve; the integral is conserved. A Nyquist component
        of an even axis is halved when the grid grows and folded when it shrinks, so that the values
        stay real and a field refined and coarsened again is what it was.
        """
        grid = UniformGrid(self.grid.cell, shape)
        spectrum = np.fft.fftn(self.values)
        for axis in range(3):
            spectrum = _resize_axis(spectrum, axis, grid.shape[axis])
        values = np.fft.ifftn(spectrum).real * (grid.n_points / self.grid.n_points)
        return ScalarField(grid, values)

    def __repr__(self) -> str:
        return f"ScalarField({self.grid.shape}, integral {self.integrate():.6g})"


def _resize_axis(spectrum: np.ndarray, axis: int, n_new: int) -> np.ndarray:
    """Zero-pad or truncate a full FFT spectrum along one axis, keeping it Hermitian."""
    n_old = spectrum.shape[axis]
    if n_new == n_old:
        return spectrum
    spectrum = np.moveaxis(spectrum, axis, 0)
    out = np.zeros((n_new, *spectrum.shape[1:]), dtype=spectrum.dtype)
    n_min = min(n_old, n_new)
    positive, negative = (n_min + 1) // 2, (n_min - 1) // 2
    out[:positive] = spectrum[:positive]
    if negative:
        out[-negative:] = spectrum[-negative:]
    if n_min % 2 == 0:
        half = n_min // 2
        if n_new > n_old:
            out[half] = out[-half] = 0.5 * spectrum[half]
        else:
            out[half] = spectrum[half] + spectrum[-half]
    return np.moveaxis(out, 0, axis)
