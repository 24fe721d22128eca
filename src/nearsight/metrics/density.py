"""Errors of a density against a reference on the same grid, e = ρ − ρ_ref, over a cell of volume Ω.

One definition everywhere: NRMSE = √⟨e²⟩ / (max − min of ρ_ref); NMAE = ∫|e| / ∫ρ_ref;
|e|_H1 = (∫|∇e|²)^½ and ‖e‖_H1 = (∫e² + ∫|∇e|²)^½; Hartree error = ½∬ e e′/|r − r′| per atom, with
G = 0 left out. Gradients are spectral.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from nearsight.errors import InputError
from nearsight.field import ScalarField
from nearsight.poisson import hartree_energy


@dataclass(frozen=True)
class DensityErrors:
    """All errors of one density, or their means over several.

    Attributes
    ----------
    nrmse_percent : float
        100 √⟨e²⟩ / (max − min of the reference).
    nmae_percent : float
        100 ∫|e| / ∫ρ_ref, the L1 error per electron.
    h1_seminorm, h1_norm : float
        In e/bohr^2.5; the norm adds e² (e²/bohr³) to |∇e|² (e²/bohr⁵) as numbers in atomic units.
    h1_seminorm_per_sqrt_volume, h1_norm_per_sqrt_volume : float
        The same divided by √Ω: they do not grow with the cell.
    hartree_error_per_atom : float
        Electrostatic self-energy of the error in hartree per atom, ≥ 0.
    max_abs : float
        Largest |e| of a grid point in e/bohr³.
    """

    nrmse_percent: float
    nmae_percent: float
    h1_seminorm: float
    h1_norm: float
    h1_seminorm_per_sqrt_volume: float
    h1_norm_per_sqrt_volume: float
    hartree_error_per_atom: float
    max_abs: float


def nrmse(rho: ScalarField, rho_ref: ScalarField) -> float:
    """√⟨e²⟩ / (max − min of the reference), a fraction.

    Raises
    ------
    GridMismatchError
        Different grids.
    InputError
        A reference that is the same everywhere.
    """
    span = float(np.ptp(rho_ref.values))
    if not span > 0:
        raise InputError("NRMSE is undefined: the reference density has the same value everywhere")
    return float(np.sqrt(np.mean((rho - rho_ref).values ** 2))) / span


def nmae(rho: ScalarField, rho_ref: ScalarField) -> float:
    """∫|e| / ∫ρ_ref, a fraction.

    Raises
    ------
    GridMismatchError
        Different grids.
    InputError
        A reference without positive charge.
    """
    charge = rho_ref.integrate()
    if not charge > 0:
        raise InputError(f"NMAE is undefined: the reference density holds {charge:.6g} electrons")
    return float(np.abs((rho - rho_ref).values).sum()) * rho.grid.dv / charge


def l2_norm(error: ScalarField) -> float:
    """(∫e²)^½."""
    return float(np.sqrt(np.sum(error.values**2) * error.grid.dv))


def h1_seminorm(error: ScalarField) -> float:
    """(∫|∇e|²)^½ with the spectral gradient."""
    return float(np.sqrt(np.sum(error.gradient() ** 2) * error.grid.dv))


def density_errors(rho: ScalarField, rho_ref: ScalarField, n_atoms: int) -> DensityErrors:
    """Every error of `rho` (e/bohr³) against `rho_ref`.

    Parameters
    ----------
    rho, rho_ref : ScalarField
        On the same grid. They need not hold the same charge; the Hartree error ignores the difference.
    n_atoms : int
        Atoms in the cell.

    Raises
    ------
    GridMismatchError
        Different grids.
    InputError
        No atoms, a constant reference, or one without positive charge.
    """
    if n_atoms < 1:
        raise InputError(f"errors per atom need at least one atom, not {n_atoms}")
    error = rho - rho_ref
    seminorm = h1_seminorm(error)
    norm = float(np.hypot(l2_norm(error), seminorm))
    root_volume = float(np.sqrt(error.grid.volume))
    return DensityErrors(
        nrmse_percent=100 * nrmse(rho, rho_ref),
        nmae_percent=100 * nmae(rho, rho_ref),
        h1_seminorm=seminorm,
        h1_norm=norm,
        h1_seminorm_per_sqrt_volume=seminorm / root_volume,
        h1_norm_per_sqrt_volume=norm / root_volume,
        hartree_error_per_atom=hartree_energy(error) / n_atoms,
        max_abs=float(np.abs(error.values).max()),
    )


def mean_over(errors: Sequence[DensityErrors]) -> DensityErrors:
    """The mean of every error over several densities, each counted once.

    Raises
    ------
    InputError
        Nothing to average.
    """
    if not errors:
        raise InputError("there are no density errors to average")
    means = {f.name: float(np.mean([getattr(e, f.name) for e in errors])) for f in fields(DensityErrors)}
    return DensityErrors(**means)
