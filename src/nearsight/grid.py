"""`UniformGrid`: the description of a regular grid in a periodic cell, and its plane waves.

Point (i, j, k) sits at i/n1 a1 + j/n2 a2 + k/n3 a3; arrays on the grid are C-ordered (n1, n2, n3).
Fourier coefficients are those of a real FFT, shape (n1, n2, n3//2 + 1).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft

from nearsight.errors import InputError
from nearsight.provenance import digest


@dataclass(frozen=True, eq=False)
class UniformGrid:
    """A regular grid in a periodic cell, orthogonal or not.

    Parameters
    ----------
    cell : ndarray (3, 3)
        Cell vectors in bohr, one a row.
    shape : tuple of three int
        Points along each cell vector.
    """

    cell: np.ndarray
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        cell = np.array(self.cell, dtype=np.float64)
        if cell.shape != (3, 3) or not np.isfinite(cell).all() or abs(np.linalg.det(cell)) < 1e-9:
            raise InputError("a grid needs a (3, 3) cell of finite numbers with a volume")
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise InputError(f"a grid shape is three positive whole numbers, not {self.shape}")
        cell.setflags(write=False)
        object.__setattr__(self, "cell", cell)
        object.__setattr__(self, "shape", shape)

    @classmethod
    def with_spacing(cls, cell: np.ndarray, spacing: float) -> "UniformGrid":
        """The coarsest FFT-friendly grid whose spacing along no vector exceeds `spacing` (bohr)."""
        if not (np.isfinite(spacing) and spacing > 0):
            raise InputError(f"a grid spacing is a positive number of bohr, not {spacing}")
        lengths = np.linalg.norm(np.asarray(cell, dtype=np.float64), axis=1)
        shape = [
            scipy.fft.next_fast_len(max(1, int(np.ceil(a / spacing - 1e-6))), real=True) for a in lengths
        ]
        return cls(cell, (shape[0], shape[1], shape[2]))

    @property
    def n_points(self) -> int:
        """Number of grid points."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @cached_property
    def volume(self) -> float:
        """Cell volume in bohr³."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def dv(self) -> float:
        """Volume of one grid point in bohr³."""
        return self.volume / self.n_points

    @cached_property
    def spacing(self) -> np.ndarray:
        """Distance between neighbouring points along each cell vector in bohr, shape (3,)."""
        return np.linalg.norm(self.cell, axis=1) / np.array(self.shape)

    def matches(self, other: "UniformGrid") -> bool:
        """Whether both describe the same points: equal shapes, cells equal to 1e-6 bohr."""
        return self.shape == other.shape and np.allclose(self.cell, other.cell, rtol=0, atol=1e-6)

    def points(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Cartesian positions of the points with flat indices start…stop-1, shape (m, 3), bohr."""
        stop = self.n_points if stop is None else min(stop, self.n_points)
        return self.points_at(np.arange(start, stop))

    def points_at(self, index: np.ndarray) -> np.ndarray:
        """Cartesian positions of the points with the given flat indices (m,), shape (m, 3), bohr."""
        ijk = np.stack(np.unravel_index(index, self.shape), axis=-1)
        return np.asarray((ijk / np.array(self.shape)) @ self.cell)

    def zeros(self) -> np.ndarray:
        """An array of zeros on the grid, shape (n1, n2, n3), float64."""
        return np.zeros(self.shape)

    # -- reciprocal space -------------------------------------------------------------------

    @cached_property
    def reciprocal_cell(self) -> np.ndarray:
        """Reciprocal vectors in 1/bohr, one a row, with the factor 2π: cell @ reciprocal.T = 2π."""
        return 2 * np.pi * np.linalg.inv(self.cell).T

    @cached_property
    def _frequencies(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n1, n2, n3 = self.shape
        return np.fft.fftfreq(n1, 1 / n1), np.fft.fftfreq(n2, 1 / n2), np.fft.rfftfreq(n3, 1 / n3)

    def g_vectors(self, *, zero_nyquist: bool = False) -> np.ndarray:
        """Reciprocal-lattice vectors of the real FFT, shape (3, n1, n2, n3//2 + 1), 1/bohr.

        With `zero_nyquist` the frequency at n/2 of an even n is set to zero, as a first derivative
        needs it: that component has no partner of opposite sign, so its derivative is undefined.
        """
        f1, f2, f3 = self._frequencies
        if zero_nyquist:
            f1, f2, f3 = (
                np.where(np.abs(f) * 2 == n, 0.0, f) for f, n in zip((f1, f2, f3), self.shape, strict=True)
            )
        b = self.reciprocal_cell
        return np.asarray(
            b[0][:, None, None, None] * f1[None, :, None, None]
            + b[1][:, None, None, None] * f2[None, None, :, None]
            + b[2][:, None, None, None] * f3[None, None, None, :]
        )

    @cached_property
    def g_squared(self) -> np.ndarray:
        """|G|² of the real FFT in 1/bohr², shape (n1, n2, n3//2 + 1)."""
        g = self.g_vectors()
        return np.einsum("xijk,xijk->ijk", g, g)

    @cached_property
    def wave_weights(self) -> np.ndarray:
        """How many waves each last index of the real FFT stands for, shape (n3//2 + 1,).

        It holds one of each pair ±G, except in its first and (even n3) last plane, which hold both.
        """
        n3 = self.shape[2]
        weights = np.full(n3 // 2 + 1, 2.0)
        weights[0] = 1.0
        if n3 % 2 == 0:
            weights[-1] = 1.0
        return weights

    def fft(self, values: np.ndarray) -> np.ndarray:
        """Real FFT over the last three axes, without normalisation."""
        return np.asarray(scipy.fft.rfftn(values, s=self.shape, axes=(-3, -2, -1), workers=-1))

    def ifft(self, coefficients: np.ndarray) -> np.ndarray:
        """Inverse of `fft`; returns real values."""
        return np.asarray(scipy.fft.irfftn(coefficients, s=self.shape, axes=(-3, -2, -1), workers=-1))

    def digest(self) -> str:
        """Hash of cell and shape."""
        return digest(self.cell, list(self.shape))

    def __repr__(self) -> str:
        h = self.spacing
        return f"UniformGrid({self.shape}, spacing {h[0]:.3f} {h[1]:.3f} {h[2]:.3f} bohr)"
