"""How far the error of a density is correlated, and how many independent values it then holds."""

from dataclasses import dataclass

import numpy as np

from nearsight.errors import InputError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid

#: shells of the spherical average, in units of the smallest grid spacing
_SHELL = 0.5


@dataclass(frozen=True)
class ErrorCorrelation:
    """Extent and content of an error.

    Attributes
    ----------
    length_bohr : float
        Distance at which the spherically averaged autocorrelation has fallen to 1/e. Where it does not
        within the largest ball that the cell holds, the radius of that ball: a lower bound.
    n_effective : float
        How many independent values would average e² as well as the grid does; between 1 and the number
        of points.
    """

    length_bohr: float
    n_effective: float


def error_correlation(error: ScalarField) -> ErrorCorrelation:
    """Correlation length of an error and the number of independent values in its square.

    With e the error less its mean, S_G = |ê_G|² its power spectrum and C(R) its normalised
    autocorrelation (Wiener and Khinchin: C is the Fourier transform of S), a Gaussian error has
    Var⟨e²⟩ = 2⟨e²⟩²/n with the participation ratio n = (Σ S)²/Σ S² = N/Σ_R C(R)² of its *expected*
    spectrum. S of a single error scatters about that (exponentially, or as χ² of one degree of freedom
    where G and −G are the same wave), which halves the ratio; both sums are therefore replaced by their
    unbiased estimates: Σ S² by A = Σ S²/2 (S²/3 where G = −G), and (Σ S)² by (Σ S)² − 2A.

    Parameters
    ----------
    error : ScalarField
        ρ − ρ_ref, e/bohr³.

    Raises
    ------
    InputError
        An error that is the same everywhere.
    """
    grid = error.grid
    values = error.values - error.values.mean()
    if not np.abs(values).max() > 1e-14 * np.abs(error.values).max():
        raise InputError("the error is the same at all points, so that it has no correlation length")
    spectrum = np.abs(grid.fft(values / np.abs(values).max())) ** 2
    spectrum[0, 0, 0] = 0.0
    return ErrorCorrelation(_length(grid, spectrum), _participation(grid, spectrum))


def _participation(grid: UniformGrid, spectrum: np.ndarray) -> float:
    own = np.ones(spectrum.shape, dtype=bool)  # waves that are their own partner: 2G is no wave at all
    for axis, n in enumerate(grid.shape):
        k = np.arange(spectrum.shape[axis]).reshape([-1 if a == axis else 1 for a in range(3)])
        own &= 2 * k % n == 0
    total = float((grid.wave_weights * spectrum).sum())
    squares = float((grid.wave_weights * spectrum**2 / np.where(own, 3.0, 2.0)).sum())
    return min(max(total**2 / squares - 2.0, 1.0), float(grid.n_points))


def _length(grid: UniformGrid, spectrum: np.ndarray) -> float:
    """Where the autocorrelation crosses 1/e, between shells by a straight line."""
    distance, radius = _distances(grid)
    inside = distance <= radius
    r = distance[inside]
    values = grid.ifft(spectrum)
    values = (values / values[0, 0, 0])[inside]
    # shell 0 holds only the point itself
    shell = np.ceil(r / (_SHELL * grid.spacing.min()) - 1e-9).astype(int)
    count = np.bincount(shell)
    seen = count > 0
    r = np.bincount(shell, weights=r)[seen] / count[seen]
    c = np.bincount(shell, weights=values)[seen] / count[seen]
    below = np.flatnonzero(c <= np.exp(-1.0))
    if not len(below):
        return float(radius)
    k = int(below[0])
    share = (c[k - 1] - np.exp(-1.0)) / (c[k - 1] - c[k])
    return float(r[k - 1] + share * (r[k] - r[k - 1]))


def _distances(grid: UniformGrid) -> tuple[np.ndarray, float]:
    """Length of each point's vector in −½ … ½ of the cell, and the radius of the largest ball in that.

    Within that ball, and only there, it is sure to be the shortest of all periodic images.
    """
    f1, f2, f3 = (np.fft.fftfreq(n) for n in grid.shape)
    a = grid.cell
    vectors = a[0] * f1[:, None, None, None] + a[1] * f2[None, :, None, None] + a[2] * f3[None, None, :, None]
    heights = 2 * np.pi / np.linalg.norm(grid.reciprocal_cell, axis=1)
    return np.linalg.norm(vectors, axis=-1), float(0.5 * heights.min())
