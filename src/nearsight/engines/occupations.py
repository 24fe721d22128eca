"""Fermi–Dirac occupations of doubly degenerate states and their entropy.

f_i = 2/(1 + exp((ε_i − μ)/kT)), Σf_i = N (Mermin, Phys. Rev. 137, A1441 (1965)). The free energy
E − TS is variational and is what forces differentiate; any electron count, odd ones included, is
normal. At kT = 0 the lowest states are filled.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import entr, expit

from nearsight.errors import InputError


@dataclass(frozen=True, eq=False)
class Occupations:
    """How electrons fill the states.

    Attributes
    ----------
    values : ndarray (n_states,)
        Between 0 and 2.
    fermi_level : float
        μ in hartree.
    minus_ts : float
        −TS in hartree, ≤ 0.
    """

    values: np.ndarray
    fermi_level: float
    minus_ts: float


def fermi_dirac(eigenvalues: np.ndarray, n_electrons: float, kt: float) -> Occupations:
    """Occupy states with `n_electrons` at temperature `kt` (hartree).

    Raises
    ------
    InputError
        More electrons than the states can hold, or none.
    """
    if not 0 < n_electrons <= 2 * len(eigenvalues):
        raise InputError(
            f"{n_electrons:g} electrons do not fit into {len(eigenvalues)} doubly occupied states"
        )
    mu = _fermi_level(eigenvalues, n_electrons, kt)
    if kt == 0:
        below = np.argsort(np.argsort(eigenvalues, kind="stable"), kind="stable")
        return Occupations(np.clip(n_electrons - 2.0 * below, 0.0, 2.0), mu, 0.0)
    half = expit((mu - eigenvalues) / kt)
    entropy = 2 * float(np.sum(entr(half) + entr(expit((eigenvalues - mu) / kt))))
    return Occupations(2 * half, mu, -kt * entropy)


def _fermi_level(eigenvalues: np.ndarray, n_electrons: float, kt: float) -> float:
    """μ by bisection to the last bit: the count is monotonic in it."""
    ordered = np.sort(eigenvalues)
    if kt == 0:
        return float(ordered[int(np.ceil(n_electrons / 2)) - 1])
    low, high = ordered[0] - 50 * kt, ordered[-1] + 50 * kt
    while True:
        mu = 0.5 * (low + high)
        if mu in (low, high):
            return float(mu)
        if 2 * expit((mu - ordered) / kt).sum() < n_electrons:
            low = mu
        else:
            high = mu
