"""Whether dynamics has come to equilibrium: temperature where the thermostat is, energy at rest."""

from dataclasses import dataclass

import numpy as np
from ase.units import kB

#: fewest samples that can tell
_FEWEST = 20
#: a deviation counts from so many standard errors on
_SIGNIFICANT = 3.0


@dataclass(frozen=True)
class Equilibration:
    """The second half of an equilibration, looked at.

    Attributes
    ----------
    temperature_kelvin : float
        Mean temperature of the momenta.
    temperature_error : float
        Its standard error, the correlation of the samples taken into account, K.
    drift_ev : float
        Mean potential energy of the last quarter minus that of the third, eV per cell.
    drift_error : float
        Its standard error, eV.
    failure : str
        Why this is no equilibrium, in words; empty where it is.
    """

    temperature_kelvin: float
    temperature_error: float
    drift_ev: float
    drift_error: float
    failure: str

    @property
    def equilibrated(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.failure


def judge_equilibration(
    temperatures: np.ndarray, energies: np.ndarray, target_kelvin: float, n_atoms: int, memory: float
) -> Equilibration:
    """Judge samples of consecutive steps.

    Parameters
    ----------
    temperatures : ndarray (n,)
        Of the momenta, K.
    energies : ndarray (n,)
        Potential energies, eV per cell.
    target_kelvin : float
        Of the thermostat.
    n_atoms : int
    memory : float
        Steps within which the thermostat forgets.

    Notes
    -----
    A deviation counts when it exceeds three standard errors. Fluctuations are taken to be at least the
    canonical ones, T √(2/3N) and, for harmonic atoms, kT √(3N/2), and to live as long as the thermostat's
    memory at least: a short run does not show its own.
    """
    n = len(energies)
    earlier, later = energies[: n // 2], energies[n // 2 :]
    error = standard_error(temperatures, target_kelvin * np.sqrt(2 / (3 * n_atoms)), memory)
    fluctuation = kB * target_kelvin * np.sqrt(1.5 * n_atoms)
    drift_error = float(
        np.hypot(standard_error(earlier, fluctuation, memory), standard_error(later, fluctuation, memory))
    )
    temperature = float(np.mean(temperatures))
    drift = float(later.mean() - earlier.mean()) if n > 1 else 0.0
    failures = []
    if n < max(_FEWEST, 2 * memory):
        failures.append("too few steps to tell")
    if abs(temperature - target_kelvin) > _SIGNIFICANT * error:
        failures.append(f"{temperature:.0f} K in place of {target_kelvin:g} K")
    if abs(drift) > _SIGNIFICANT * drift_error:
        failures.append(f"the potential energy still drifts by {drift:+.3f} eV")
    return Equilibration(temperature, error, drift, drift_error, " and ".join(failures))


def standard_error(samples: np.ndarray, fluctuation: float = 0.0, memory: float = 0.0) -> float:
    """Standard error of the mean of correlated samples, a linear trend taken off.

    Parameters
    ----------
    samples : ndarray (n,)
    fluctuation : float
        The least standard deviation to reckon with.
    memory : float
        The least correlation time to reckon with, in steps.

    Notes
    -----
    The statistical inefficiency 1 + 2 Σ_t (1 − t/n) C(t) is summed until the autocorrelation C first
    falls below zero (Chodera et al., J. Chem. Theory Comput. 3, 26 (2007)); it is at most n.
    """
    n = len(samples)
    if n < 3:
        return float("inf")
    time = np.arange(n) - (n - 1) / 2
    centred = samples - samples.mean()
    residual = centred - time * (time @ centred) / (time @ time)
    variance = float(residual @ residual) / n
    inefficiency = min(max(_inefficiency(residual, variance), 1 + 2 * memory), n)
    return float(max(np.sqrt(variance), fluctuation) * np.sqrt(inefficiency / n))


def _inefficiency(residual: np.ndarray, variance: float) -> float:
    """How many consecutive samples are worth one independent one."""
    n, total = len(residual), 1.0
    for lag in range(1, n if variance > 0 else 0):
        correlation = float(residual[lag:] @ residual[:-lag]) / ((n - lag) * variance)
        if correlation <= 0:
            break
        total += 2 * correlation * (1 - lag / n)
    return total
