"""What tables in pseudopotential files are turned into: short-ranged local parts, atomic densities."""

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import erf

from nearsight.atomic.radial import RadialDensity
from nearsight.engines.radial_function import TabulatedFunction

#: largest radius that is used, bohr: files reach to 100, but only with noise
LARGEST_RADIUS = 10.0
#: the Gaussian charge of the local part's split is this fraction of the table's reach, at most 0.5 bohr
_SPLIT_FRACTION, _SPLIT_LIMIT = 0.12, 0.5
#: charge that may lie beyond the end of an atomic density, electrons
_TAIL_CHARGE = 1e-5
_STEP = 0.01


def tabulated_local(r: np.ndarray, r_times_v: np.ndarray, charge: float) -> tuple[float, TabulatedFunction]:
    """Split σ (bohr) and short-ranged part of a tabulated local potential.

    Parameters
    ----------
    r : ndarray (n,)
        Bohr.
    r_times_v : ndarray (n,)
        r V_loc(r), hartree·bohr.
    charge : float
        Z; beyond the table (or `LARGEST_RADIUS`) the potential is −Z/r.
    """
    kept = r <= LARGEST_RADIUS
    r, r_times_v = r[kept], r_times_v[kept]
    split = min(_SPLIT_LIMIT, _SPLIT_FRACTION * float(r[-1]))
    return split, TabulatedFunction(0, r, r_times_v + charge * erf(r / (np.sqrt(2) * split)))


def atomic_density(
    number: int, r: np.ndarray, rho: np.ndarray, n_electrons: float, source: str
) -> RadialDensity:
    """Density of the free atom from a file's table, which may end before the atom does.

    The missing charge goes into an exponential tail that continues the table; where none is missing,
    the table is cut where less than 1e-5 electrons lie beyond, and scaled to the electron count.

    Parameters
    ----------
    number : int
        Atomic number.
    r, rho : ndarray (n,)
        Radii in bohr, ascending, and the density there, e/bohr³.
    n_electrons : float
    source : str
        What to call the file in messages.
    """
    fine = np.arange(0.0, min(float(r[-1]), LARGEST_RADIUS) + 0.5 * _STEP, _STEP)
    values = np.maximum(CubicSpline(r, rho)(np.minimum(fine, r[-1])), 0.0)
    missing = n_electrons - 4 * np.pi * float(np.trapezoid(values * fine**2, fine))
    if missing > _TAIL_CHARGE and values[-1] > 0:
        fine, values = _with_tail(fine, values, missing)
    shell = 4 * np.pi * fine**2 * values
    inside = np.concatenate([[0.0], np.cumsum(0.5 * (shell[1:] + shell[:-1]) * _STEP)])
    end = int(np.searchsorted(inside, inside[-1] - _TAIL_CHARGE)) + 1
    fine, values = fine[: end + 1], values[: end + 1].copy()
    values[-1] = 0.0
    charge = RadialDensity(number, fine, values, n_electrons, {}).integrate()
    return RadialDensity(number, fine, values * (n_electrons / charge), n_electrons, {"file": source})


def _with_tail(r: np.ndarray, rho: np.ndarray, missing: float) -> tuple[np.ndarray, np.ndarray]:
    """Continue by ρ_end exp(−κ(r − r_end)), κ such that the tail holds `missing` electrons."""
    end, last = float(r[-1]), float(rho[-1])

    def excess(kappa: float) -> float:
        return 4 * np.pi * last * (end**2 / kappa + 2 * end / kappa**2 + 2 / kappa**3) - missing

    kappa = float(np.clip(brentq(excess, 1e-3, 1e6), 0.5, 20.0))
    beyond = np.arange(len(r), len(r) + int(30.0 / kappa / _STEP)) * _STEP
    return np.concatenate([r, beyond]), np.concatenate([rho, last * np.exp(-kappa * (beyond - end))])
