"""Contracted Gaussian shells of an element, and the monomials that their angular parts are made of."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from pyscf import gto

from nearsight.errors import InputError

#: largest angular momentum of the kernels' tables (g shells); monomials grow as l³
_MAX_L = 4


@dataclass(frozen=True, eq=False)
class ShellTable:
    """Contracted Gaussian shells of one element: φ = Σ_p c_p e^{−α_p r²} r^l Y_lm.

    Attributes
    ----------
    exponents : ndarray (n_exponents,)
        All exponents of the element, 1/bohr²; shells share them.
    coefficients : ndarray (n_shells, n_exponents)
        Normalised.
    shell_l : ndarray (n_shells,), int64
    transform : ndarray (n_orbitals, n_cartesian)
        Block-diagonal, from monomials to real spherical harmonics in PySCF's order.
    cutoff : float
        Bohr; beyond it every radial part is below the chosen value.
    """

    exponents: np.ndarray
    coefficients: np.ndarray
    shell_l: np.ndarray
    transform: np.ndarray
    cutoff: float

    @classmethod
    def of_atom(cls, cell: Any, atom: int, smallest: float) -> "ShellTable":
        """The shells of one atom of a PySCF cell, cut off where they stay below `smallest`."""
        shells = [b for b in range(cell.nbas) if cell.bas_atom(b) == atom]
        exponents = np.unique(np.concatenate([cell.bas_exp(b) for b in shells]))[::-1].copy()
        rows, momenta = [], []
        for b in shells:
            where = [int(np.flatnonzero(exponents == a)[0]) for a in cell.bas_exp(b)]
            for column in cell._libcint_ctr_coeff(b).T:
                row = np.zeros(len(exponents))
                np.add.at(row, where, column)
                rows.append(row)
                momenta.append(cell.bas_angular(b))
        if max(momenta) > _MAX_L:
            raise InputError(
                f"shells of angular momentum above {_MAX_L} are not supported by the engine 'lcao'"
            )
        blocks = [_to_spherical(ell) for ell in momenta]
        transform = np.zeros((sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks)))
        top = left = 0
        for block in blocks:
            bottom, right = top + block.shape[0], left + block.shape[1]
            transform[top:bottom, left:right] = block
            top, left = bottom, right
        coefficients, shell_l = np.array(rows), np.array(momenta, dtype=np.int64)
        return cls(
            exponents, coefficients, shell_l, transform, _reach(exponents, coefficients, shell_l, smallest)
        )


def _reach(exponents: np.ndarray, coefficients: np.ndarray, shell_l: np.ndarray, smallest: float) -> float:
    """Radius beyond which all r^l |Σ c e^{−αr²}| stay below `smallest`."""
    r = np.linspace(0.0, 60.0, 6001)
    radial = np.abs(coefficients @ np.exp(-np.outer(exponents, r**2))) * r ** shell_l[:, None]
    large = np.flatnonzero((radial >= smallest).any(axis=0))
    return float(r[min(large[-1] + 1, len(r) - 1)])


@lru_cache(maxsize=_MAX_L + 1)
def _to_spherical(ell: int) -> np.ndarray:
    """Real spherical harmonics r^l Y_lm as combinations of monomials, shape (2l + 1, n_cartesian)."""
    matrix = np.asarray(gto.cart2sph(ell, normalized="sp")).T
    factor = {0: 0.5 / np.sqrt(np.pi), 1: np.sqrt(0.75 / np.pi)}.get(ell, 1.0)
    return factor * matrix


@dataclass(frozen=True, eq=False)
class MonomialTable:
    """How monomials x^a y^b z^c up to degree `_MAX_L` follow from each other, PySCF's order."""

    parent: np.ndarray
    axis: np.ndarray
    lowered: np.ndarray
    power: np.ndarray


@lru_cache(maxsize=_MAX_L + 1)
def monomial_table(max_l: int) -> MonomialTable:
    """The monomials up to a degree."""
    powers = [
        (a, b, n - a - b) for n in range(max_l + 1) for a in range(n, -1, -1) for b in range(n - a, -1, -1)
    ]
    number = {p: i for i, p in enumerate(powers)}
    lowered = np.zeros((len(powers), 3), dtype=np.int64)
    for i, p in enumerate(powers):
        for x in range(3):
            if p[x]:
                lowered[i, x] = number[tuple(q - (x == y) for y, q in enumerate(p))]  # type: ignore[index]
    axis = np.array([next((x for x in range(3) if p[x]), 0) for p in powers], dtype=np.int64)
    parent = lowered[np.arange(len(powers)), axis]
    return MonomialTable(parent, axis, lowered, np.array(powers, dtype=np.float64))
