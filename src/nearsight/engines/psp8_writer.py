"""Writing any `NormConserving` as a psp8 file, so that another code computes with the same potential."""

from pathlib import Path

import numpy as np
from ase.data import chemical_symbols
from scipy.interpolate import make_interp_spline

from nearsight.engines.norm_conserving import NormConserving, Projectors
from nearsight.errors import InputError

#: linear mesh, bohr
_REACH, _STEP = 8.0, 0.01
_LARGEST_L = 3
_PSPXC = {"PBE": 11, "PBEsol": -116133, "LDA,PW": -1012, "LDA,VWN": -1007}


def write_psp8(path: Path, potential: NormConserving, functional: str = "PBE", step: float = _STEP) -> None:
    """Write a pseudopotential on a linear mesh up to 8 bohr; coupled projectors are made diagonal.

    Parameters
    ----------
    path : Path
    potential : NormConserving
    functional : str
        By its PySCF name: PBE, PBEsol, ``LDA,PW`` or ``LDA,VWN``.
    step : float
        Of the mesh, bohr.

    Raises
    ------
    InputError
        Another functional, or projectors beyond f.
    """
    if functional not in _PSPXC:
        raise InputError(f"psp8 files are written for {', '.join(_PSPXC)}, not for '{functional}'")
    largest = max((channel.ell for channel in potential.projectors), default=0)
    if largest > _LARGEST_L:
        raise InputError(f"psp8 files have projectors up to l = {_LARGEST_L}, not {largest}")
    r = np.arange(0.0, _REACH + 0.5 * step, step)
    lines = _header(potential, functional, r, largest)
    for channel in potential.projectors:
        energies, functions = _diagonal(channel, r)
        lines += [f"{channel.ell:6d} " + " ".join(f"{energy:.16E}" for energy in energies)]
        lines += _block(r, functions)
    lines += ["     4", *_block(r, potential.local_potential(r)[None])]
    if potential.core is not None:
        lines += _block(r, 4 * np.pi * _with_derivatives(r, potential.core(r)))
    if potential.valence_density is not None:
        valence = 4 * np.pi * potential.valence_density(r)
        lines += _block(r, np.stack([valence, valence, np.zeros_like(r)]))
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def _header(potential: NormConserving, functional: str, r: np.ndarray, largest: int) -> list[str]:
    counts = [0] * 5
    for channel in potential.projectors:
        counts[channel.ell] = len(channel)
    return [
        f"{chemical_symbols[potential.number]}    written by nearsight",
        f" {potential.number:.4f} {potential.charge:.4f} 0    zatom,zion,pspd",
        f" 8 {_PSPXC[functional]} {largest} 4 {len(r)} 0    pspcod,pspxc,lmax,lloc,mmax,r2well",
        f" {r[-1]:.8f} {0.0 if potential.core is None else 1.0:.8f} 0.00000000    rchrg fchrg qchrg",
        " " + " ".join(str(n) for n in counts) + "    nproj",
        f" {0 if potential.valence_density is None else 1} 1    extension_switch",
    ]


def _diagonal(channel: Projectors, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energies (n,) and r p(r) of the combinations of projectors that do not couple, (n, n_r)."""
    energies, vectors = np.linalg.eigh(channel.matrix)
    return energies, vectors.T @ np.stack([r * function(r) for function in channel.functions])


def _with_derivatives(r: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """ρ and its first four derivatives, (5, n_r)."""
    spline = make_interp_spline(r, rho, k=5)
    return np.stack([rho, *(spline.derivative(order)(r) for order in range(1, 5))])


def _block(r: np.ndarray, columns: np.ndarray) -> list[str]:
    """Running number, radius, values."""
    return [
        f"{i + 1:6d} {row[0]:.13E} " + " ".join(f"{x:.16E}" for x in row[1:])
        for i, row in enumerate(np.column_stack([r, *columns]))
    ]
