"""Radial functions of one angular momentum and their Fourier (spherical Bessel) transforms.

The transform of f(r) Y_lm(r̂) is (−i)^l F(q) Y_lm(q̂) with

    F(q) = 4π ∫ r² j_l(qr) f(r) dr

Gaussians times polynomials have it in closed form (Gradshteyn and Ryzhik 6.631.10); tables are splined,
integrated by Gauss and Legendre's rule, and splined again in q.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.interpolate import BSpline, make_interp_spline
from scipy.special import eval_genlaguerre, factorial, spherical_jn

from nearsight.errors import InputError

#: panels of this width (bohr) with that many nodes integrate j_l(qr) to rounding up to q ≈ 150/bohr
_PANEL, _NODES = 0.1, 16
#: step of the tables in q, 1/bohr, and of the chunks in which they grow
_Q_STEP, _Q_CHUNK = 0.02, 8.0
#: values of the Bessel functions that are held at once
_BLOCK = 2_000_000
_ORDER = 5


class RadialFunction(Protocol):
    """f(r), finite at r = 0, and its transform F(q)."""

    @property
    def ell(self) -> int:
        """Angular momentum."""
        ...

    def __call__(self, r: np.ndarray) -> np.ndarray:
        """f(r) at radii `r` (bohr), any shape."""
        ...

    def fourier(self, q: np.ndarray) -> np.ndarray:
        """F at wave numbers `q` (1/bohr), any shape."""
        ...


@dataclass(frozen=True)
class GaussianFunction:
    """f(r) = Σ_n c_n x^(l+2n) exp(−x²/2) with x = r/width.

    Attributes
    ----------
    ell : int
        Angular momentum.
    width : float
        Bohr.
    coefficients : tuple of float
        c_0, c_1, …; none at all is the function zero.
    """

    ell: int
    width: float
    coefficients: tuple[float, ...]

    def __call__(self, r: np.ndarray) -> np.ndarray:
        """f(r) at radii `r` (bohr), any shape."""
        x = np.asarray(r, dtype=np.float64) / self.width
        polynomial = np.polynomial.polynomial.polyval(x**2, self.coefficients or (0.0,))
        return np.asarray(x**self.ell * polynomial * np.exp(-0.5 * x**2))

    def fourier(self, q: np.ndarray) -> np.ndarray:
        """F(q) = (2π)^{3/2} width³ k^l e^{−k²/2} Σ_n c_n 2^n n! L_n^{l+1/2}(k²/2), with k = q·width."""
        k = np.asarray(q, dtype=np.float64) * self.width
        half = 0.5 * k**2
        total = np.zeros_like(k)
        for n, c in enumerate(self.coefficients):
            total += c * 2.0**n * factorial(n) * eval_genlaguerre(n, self.ell + 0.5, half)
        return np.asarray((2 * np.pi) ** 1.5 * self.width**3 * k**self.ell * np.exp(-half) * total)


@dataclass(frozen=True, eq=False)
class TabulatedFunction:
    """A table of u(r) = r f(r), zero beyond its last radius.

    Attributes
    ----------
    ell : int
        Angular momentum.
    r : ndarray (n,)
        Ascending radii in bohr; u(0) = 0 is supplied where the table begins later.
    u : ndarray (n,)
        r f(r) at these radii.

    Raises
    ------
    InputError
        Radii that do not ascend, fewer than eight of them, or values that are not finite.
    """

    ell: int
    r: np.ndarray
    u: np.ndarray

    def __post_init__(self) -> None:
        r, u = np.array(self.r, dtype=np.float64), np.array(self.u, dtype=np.float64)
        if r.ndim != 1 or r.shape != u.shape or len(r) < 8 or r[0] < 0 or (np.diff(r) <= 0).any():
            raise InputError("a radial table needs at least eight ascending radii and as many values")
        if not np.isfinite(u).all():
            raise InputError("a radial table holds values that are not finite")
        if r[0] > 0:
            r, u = np.insert(r, 0, 0.0), np.insert(u, 0, 0.0)
        for name, array in (("r", r), ("u", u)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __call__(self, r: np.ndarray) -> np.ndarray:
        """f(r) at radii `r` (bohr), any shape."""
        r = np.asarray(r, dtype=np.float64)
        small = r < 1e-8
        inside = np.where(
            small, self._slope, self._spline(np.minimum(r, self.r[-1])) / np.where(small, 1.0, r)
        )
        return np.where(r <= self.r[-1], inside, 0.0)

    def fourier(self, q: np.ndarray) -> np.ndarray:
        """F at wave numbers `q` (1/bohr), any shape, from a table that grows with what is asked for."""
        q = np.asarray(q, dtype=np.float64)
        top = _Q_CHUNK * max(1.0, np.ceil(float(np.max(q, initial=0.0)) / _Q_CHUNK))
        if top not in self._tables:
            wave_numbers = np.arange(0.0, top + 10.5 * _Q_STEP, _Q_STEP)
            self._tables[top] = make_interp_spline(wave_numbers, self.transform(wave_numbers), k=_ORDER)
        return np.asarray(self._tables[top](q))

    def transform(self, q: np.ndarray) -> np.ndarray:
        """F by quadrature at wave numbers `q` (n,), without a table."""
        edges = np.linspace(0.0, self.r[-1], int(np.ceil(self.r[-1] / _PANEL)) + 1)
        x, w = np.polynomial.legendre.leggauss(_NODES)
        half = 0.5 * np.diff(edges)[:, None]
        r = (edges[:-1, None] + half * (1 + x)).ravel()
        weighted = 4 * np.pi * (half * w).ravel() * r * self._spline(r)
        block = max(1, _BLOCK // len(r))
        parts = [
            spherical_jn(self.ell, np.outer(q[i : i + block], r)) @ weighted for i in range(0, len(q), block)
        ]
        return np.concatenate(parts)

    @cached_property
    def _spline(self) -> BSpline:
        return make_interp_spline(self.r, self.u, k=_ORDER)

    @cached_property
    def _slope(self) -> float:
        return float(self._spline.derivative()(0.0))

    @cached_property
    def _tables(self) -> dict[float, BSpline]:
        return {}
