"""A spectral basis for radial functions u(r) = r R(r) in a hard sphere, and its quadrature.

The basis is P_{k+1}(x) − P_{k−1}(x) (integrated Legendre polynomials, zero at both ends; Shen, SIAM J.
Sci. Comput. 15, 1489 (1994)) under the map r = half (1 + x) / (1 + 2 half/box − x), orthonormalised.
Expansions of smooth functions converge exponentially with the order.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import legendre


@dataclass(frozen=True)
class RadialSpace:
    """Basis and quadrature: everything that no atom changes.

    Parameters
    ----------
    order : int
        Basis functions; there are twice as many Gauss–Legendre nodes.
    box : float
        Radius of the sphere, bohr.
    half : float
        Half of the nodes lie within this radius, bohr.
    """

    order: int = 80
    box: float = 32.0
    half: float = 3.0

    @cached_property
    def r(self) -> np.ndarray:
        """Quadrature nodes (n,), bohr."""
        x, _ = self._nodes
        return np.asarray(self.half * (1 + x) / (self._stretch - x))

    @cached_property
    def weight(self) -> np.ndarray:
        """Weights (n,): ∫f dr = weight @ f."""
        x, w = self._nodes
        return np.asarray(w * self._jacobian(x))

    @cached_property
    def cumulative(self) -> np.ndarray:
        """Matrix (n, n) of ∫₀^r f dr' at the nodes."""
        x, w = self._nodes
        n = len(x)
        p = legendre.legvander(x, n).T
        # ∫₋₁ˣ P_k = (P_{k+1} − P_{k−1}) / (2k + 1), applied to the Legendre series through the nodes
        integral = np.vstack([1 + x, (p[2:] - p[:-2]) / (2 * np.arange(1, n) + 1)[:, None]])
        series = (np.arange(n) + 0.5)[:, None] * p[:-1] * w
        return np.asarray(integral.T @ series * self._jacobian(x))

    @cached_property
    def u(self) -> np.ndarray:
        """Basis at the nodes (order, n), ∫u_i u_j dr = δ_ij."""
        return self.at(self.r)[0]

    @cached_property
    def du(self) -> np.ndarray:
        """Derivative of the basis at the nodes (order, n)."""
        return self.at(self.r)[1]

    def at(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Basis and derivative at radii (m,) within the box: two arrays (order, m)."""
        r = np.asarray(r, dtype=np.float64)
        x = (r * self._stretch - self.half) / (self.half + r)
        u, du = self._integrated_legendre(x)
        return self._whitening @ u, self._whitening @ du / self._jacobian(x)

    @cached_property
    def _nodes(self) -> tuple[np.ndarray, np.ndarray]:
        x, w = legendre.leggauss(2 * self.order)
        return x, w

    @property
    def _stretch(self) -> float:
        return 1 + 2 * self.half / self.box

    def _jacobian(self, x: np.ndarray) -> np.ndarray:
        """The derivative dr/dx."""
        return np.asarray(self.half * (1 + self._stretch) / (self._stretch - x) ** 2)

    def _integrated_legendre(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """P_{k+1} − P_{k−1} and its x-derivative (2k + 1) P_k, k = 1 … order."""
        p = legendre.legvander(x, self.order + 1).T
        return p[2:] - p[:-2], (2 * np.arange(1, self.order + 1) + 1)[:, None] * p[1:-1]

    @cached_property
    def _whitening(self) -> np.ndarray:
        """Rows that make the integrated Legendre polynomials orthonormal under ∫dr."""
        x, w = self._nodes
        u, _ = self._integrated_legendre(x)
        return np.asarray(np.linalg.inv(np.linalg.cholesky((u * w * self._jacobian(x)) @ u.T)))
