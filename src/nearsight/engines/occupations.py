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
    values : ndarray (n_k, n_states)
        Between 0 and 2.
    fermi_level : float
        μ in hartree; at kT = 0 in the middle of the gap, where there is one.
    minus_ts : float
        −TS in hartree, ≤ 0.
    """

    values: np.ndarray
    fermi_level: float
    minus_ts: float


def fermi_dirac(
    eigenvalues: np.ndarray, n_electrons: float, kt: float, weights: np.ndarray | None = None
) -> Occupations:
    """Occupy states with `n_electrons` at temperature `kt`.

    Parameters
    ----------
    eigenvalues : ndarray (n_k, n_states)
        Hartree.
    n_electrons : float
        Of the cell: the sum of weights times occupations.
    kt : float
        Hartree; 0 fills the lowest states.
    weights : ndarray (n_k,), optional
        Of the wave vectors, adding up to one; equal unless given.

    Raises
    ------
    InputError
        More electrons than the states can hold, or none.
    """
    n_k, n_states = eigenvalues.shape
    if not 0 < n_electrons <= 2 * n_states:
        raise InputError(f"{n_electrons:g} electrons do not fit into {n_states} doubly occupied states")
    w = np.full(n_k, 1 / n_k) if weights is None else weights
    if kt == 0:
        return _filled(eigenvalues, n_electrons, w)
    mu = _fermi_level(eigenvalues, n_electrons, kt, w)
    half = expit((mu - eigenvalues) / kt)
    entropy = entr(half) + entr(expit((eigenvalues - mu) / kt))
    return Occupations(2 * half, mu, -2 * kt * float(w @ entropy.sum(axis=1)))


def _filled(eigenvalues: np.ndarray, n_electrons: float, weights: np.ndarray) -> Occupations:
    """The lowest states, the last of them in part where the count asks for it."""
    order = np.argsort(eigenvalues, axis=None, kind="stable")
    room = 2 * np.repeat(weights, eigenvalues.shape[1])[order]
    before = np.cumsum(room) - room
    taken = np.clip((n_electrons - before) / room, 0.0, 1.0)
    taken[taken < 1e-12] = 0.0  # what rounding of the weights leaves over
    values = np.empty(eigenvalues.size)
    values[order] = 2 * taken
    return Occupations(values.reshape(eigenvalues.shape), _last_level(eigenvalues.ravel()[order], taken), 0.0)


def _last_level(ordered: np.ndarray, taken: np.ndarray) -> float:
    """μ as kT goes to 0: in the middle of the gap, or the level that is filled in part."""
    last = int(np.flatnonzero(taken)[-1])
    above = last + 1 if taken[last] > 1 - 1e-9 and last + 1 < len(ordered) else last
    return float(0.5 * (ordered[last] + ordered[above]))


def _fermi_level(eigenvalues: np.ndarray, n_electrons: float, kt: float, weights: np.ndarray) -> float:
    """μ by bisection to the last bit: the count is monotonic in it."""
    low, high = eigenvalues.min() - 50 * kt, eigenvalues.max() + 50 * kt
    while True:
        mu = 0.5 * (low + high)
        if mu in (low, high):
            return float(mu)
        if 2 * float(weights @ expit((mu - eigenvalues) / kt).sum(axis=1)) < n_electrons:
            low = mu
        else:
            high = mu
