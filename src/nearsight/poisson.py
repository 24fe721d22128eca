"""The Coulomb problem in a periodic cell: −∇²V = 4πρ, solved by FFT with V(G = 0) = 0."""

import numpy as np

from nearsight.field import ScalarField
from nearsight.grid import UniformGrid


def coulomb_kernel(grid: UniformGrid) -> np.ndarray:
    """4π/|G|² on the real-FFT grid, zero at G = 0, shape (n1, n2, n3//2 + 1)."""
    g2 = grid.g_squared
    return np.divide(4 * np.pi, g2, out=np.zeros_like(g2), where=g2 > 1e-12)


def hartree_potential(rho: ScalarField) -> ScalarField:
    """Electrostatic potential of a charge density in hartree, average zero.

    The G = 0 component (the charge) is left out, which is a uniform neutralising background.
    """
    grid = rho.grid
    return ScalarField(grid, grid.ifft(coulomb_kernel(grid) * grid.fft(rho.values)))


def hartree_energy(rho: ScalarField) -> float:
    """½ ∬ ρ(r) ρ(r')/|r − r'| in hartree per cell, G = 0 left out."""
    return 0.5 * float(np.vdot(rho.values, hartree_potential(rho).values).real * rho.grid.dv)
