"""What one diagonalisation says of the distance to self-consistency.

With K the Hartree and exchange-correlation kernel and χ the response of independent electrons, a density
that is off the self-consistent one by δ has the residual R = ρ_out − ρ_in = (χK − 1) δ, and its
Harris–Foulkes energy is off by ½ ⟨δ|K(χK − 1)|δ⟩ = ½ ⟨R|K|δ⟩ to second order (Finnis, J. Phys. Condens.
Matter 2, 331 (1990), writes the derivatives out). So −½ ⟨R|K|δ⟩ is what has to be added, and all that is
missing is δ. Kerker's screening gives it: δ ≈ −P R with P = G²/(G² + q²), q Thomas and Fermi's wave
vector. That is good for long waves in a metal, where the energy's error lives. In an insulator there is no
such screening and P R is too large a step (water: 2.5 times), so no estimate is given there.
"""

import numpy as np

from nearsight.engines.xc import ExchangeCorrelation
from nearsight.field import ScalarField
from nearsight.poisson import hartree_potential

#: screening wave vector in 1/bohr below which a system does not count as a metal (aluminium has 1.3)
_METALLIC = 0.5
#: density in e/bohr³ below which exchange and correlation are left out of the estimate
_SPARSE = 1e-5


def second_order_correction(
    rho_in: ScalarField, rho_out: ScalarField, xc: ExchangeCorrelation, wave_vector: float
) -> float | None:
    """Estimate of E(self-consistent) − E(Harris–Foulkes) in hartree per cell.

    Parameters
    ----------
    rho_in, rho_out : ScalarField
        The density whose potential was diagonalised, and the density of the states found; e/bohr³.
    xc : ExchangeCorrelation
    wave_vector : float
        Thomas and Fermi's screening wave vector in 1/bohr, near 0 for an insulator.

    Returns
    -------
    float or None
        ½ ∫ R (V[ρ_in + P R] − V[ρ_in]) with V the Hartree and exchange-correlation potential. The
        exchange-correlation part is differenced over a small step, so that no density turns negative.
        None where the system is no metal.
    """
    if wave_vector < _METALLIC:
        return None
    residual = rho_out - rho_in
    grid = residual.grid
    g2 = grid.g_squared
    screening = np.divide(g2, g2 + wave_vector**2, out=np.ones_like(g2), where=g2 > 1e-12)
    step = ScalarField(grid, grid.ifft(screening * grid.fft(residual.values)))
    v_hartree = hartree_potential(step).values
    return 0.5 * float(np.vdot(residual.values, v_hartree + _xc_response(rho_in, step, xc))) * grid.dv


def _xc_response(rho: ScalarField, step: ScalarField, xc: ExchangeCorrelation) -> np.ndarray:
    """f_xc applied to `step`, by a forward difference that keeps the density positive."""
    # functionals are noise where there are no electrons to speak of, and so is their difference
    dense = rho.values > _SPARSE
    moves = np.where(dense, step.values, 0.0)
    steepest = float(np.max(np.abs(moves[dense]) / rho.values[dense], initial=0.0))
    size = 1e-2 / max(steepest, 1e-2)
    moved = ScalarField(rho.grid, rho.values + size * moves)
    change = (xc.evaluate(moved)[1] - xc.evaluate(rho)[1]) / size
    return np.asarray(np.where(dense, change, 0.0))
