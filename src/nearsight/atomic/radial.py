"""`RadialDensity`: the spherical electron density of a free atom as a table."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from nearsight.errors import InputError
from nearsight.provenance import digest


@dataclass(frozen=True, eq=False)
class RadialDensity:
    """Density of one neutral, spherical, spin-unpolarised atom.

    Parameters
    ----------
    number : int
        Atomic number.
    r : ndarray (n,)
        Radii in bohr, ascending, r[0] = 0; the density is zero beyond r[-1].
    rho : ndarray (n,)
        Density in e/bohr³ at these radii; the last value is zero.
    n_electrons : float
        Valence electrons, to which 4π∫ρr²dr integrates.
    source : dict
        How it was made: functional, pseudopotential, solver.
    """

    number: int
    r: np.ndarray
    rho: np.ndarray
    n_electrons: float
    source: dict[str, Any]

    def __post_init__(self) -> None:
        r = np.array(self.r, dtype=np.float64)
        rho = np.array(self.rho, dtype=np.float64)
        if r.ndim != 1 or r.shape != rho.shape or len(r) < 4 or r[0] != 0 or (np.diff(r) <= 0).any():
            raise InputError("a radial table needs ascending radii from zero and as many densities")
        if not (np.isfinite(rho).all() and (rho >= 0).all()):
            raise InputError(f"the radial density of element {self.number} is negative or not finite")
        for name, array in (("r", r), ("rho", rho)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def cutoff(self) -> float:
        """Radius in bohr beyond which the density is zero."""
        return float(self.r[-1])

    @cached_property
    def spline(self) -> CubicSpline:
        """Cubic spline through the table, flat at both ends."""
        return CubicSpline(self.r, self.rho, bc_type="clamped")

    def __call__(self, r: np.ndarray) -> np.ndarray:
        """Density in e/bohr³ at radii `r` (bohr), any shape."""
        r = np.asarray(r, dtype=np.float64)
        return np.where(r < self.cutoff, np.maximum(self.spline(np.minimum(r, self.cutoff)), 0.0), 0.0)

    def integrate(self) -> float:
        """4π∫ρr²dr by the spline's own antiderivative on a fine grid, electrons."""
        fine = np.linspace(0.0, self.cutoff, 20001)
        return float(4 * np.pi * np.trapezoid(self(fine) * fine**2, fine))

    def digest(self) -> str:
        """Hash of the table."""
        return digest(self.number, self.r, self.rho, self.n_electrons)
