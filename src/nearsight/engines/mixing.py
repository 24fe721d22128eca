"""Pulay mixing of densities on a grid, with Kerker damping of long waves.

The next input is Σ_i c_i (ρ_i + β K R_i), Σc_i = 1, with c minimising the residual |Σ c_i R_i| (Pulay,
Chem. Phys. Lett. 73, 393 (1980)) and K = G²/(G² + q²) (Kerker, PRB 23, 3082 (1981)). The residuals
are measured with the weight 1 + q²/G², which counts charge sloshing for what it costs. Where q is
Thomas and Fermi's screening wave vector, metals are damped and insulators are not.
"""

from collections import deque

import numpy as np

from nearsight.grid import UniformGrid

#: energy window over which the density of states at the Fermi level is averaged, hartree: it bridges
#: the level spacing of a cell at Γ, and is small beside the gap of an insulator
_DOS_WIDTH = 0.02
#: singular values of the residuals' products below this fraction of the largest are noise
_RANK_TOLERANCE = 1e-14
#: smallest squared difference of residuals that is divided by
_SMALLEST = 1e-280


def thomas_fermi_wave_vector(
    eigenvalues: np.ndarray, fermi_level: float, volume: float, weights: np.ndarray | None = None
) -> float:
    """Screening wave vector in 1/bohr: q² = 4π D/Ω, D the density of states at the Fermi level.

    Parameters
    ----------
    eigenvalues : ndarray (n_k, n_states)
        Of doubly degenerate states, hartree.
    fermi_level : float
    volume : float
        Bohr³.
    weights : ndarray (n_k,), optional
        Of the wave vectors; equal unless given.
    """
    distance = np.minimum(np.abs(eigenvalues - fermi_level) / (2 * _DOS_WIDTH), 300.0)
    per_k = np.sum(0.5 / (_DOS_WIDTH * np.cosh(distance) ** 2), axis=1)
    density_of_states = float(per_k.mean() if weights is None else weights @ per_k)
    return float(np.sqrt(4 * np.pi * density_of_states / volume))


class PulayKerkerMixer:
    """Mixes one density; holds up to 2·depth arrays of the grid's size.

    Parameters
    ----------
    grid : UniformGrid
    fraction : float
        β, between 0 and 1.
    depth : int
        Pairs of density and residual remembered.
    kerker : float
        q in 1/bohr; 0 for plain Pulay mixing.
    """

    def __init__(self, grid: UniformGrid, *, fraction: float, depth: int, kerker: float) -> None:
        self._grid = grid
        self._fraction = fraction
        g2 = grid.g_squared
        wave = g2 > 1e-12
        self._damping = np.where(wave, g2 / np.where(wave, g2 + kerker**2, 1.0), 1.0)
        weight = np.where(wave, 1 + kerker**2 / np.where(wave, g2, 1.0), 1.0)
        self._metric = weight * grid.wave_weights
        self._depth = depth
        self._inputs: deque[np.ndarray] = deque(maxlen=depth)
        self._residuals: deque[np.ndarray] = deque(maxlen=depth)
        self._products = np.zeros((0, 0))

    def next_input(self, rho_in: np.ndarray, rho_out: np.ndarray) -> np.ndarray:
        """The next input density from the last input and output, all (n1, n2, n3)."""
        self._remember(self._grid.fft(rho_in), self._grid.fft(rho_out - rho_in))
        density, residual = np.zeros_like(self._inputs[0]), np.zeros_like(self._inputs[0])
        for weight, one_in, one_residual in zip(
            self._pulay_weights(), self._inputs, self._residuals, strict=True
        ):
            density += weight * one_in
            residual += weight * one_residual
        return self._grid.ifft(density + self._fraction * self._damping * residual)

    def _remember(self, rho: np.ndarray, residual: np.ndarray) -> None:
        """Append to the history and to the residuals' matrix of scalar products."""
        self._inputs.append(rho)
        self._residuals.append(residual)
        weighted = self._metric * residual
        row = np.array([np.vdot(weighted, other).real for other in self._residuals])
        old = (
            self._products[-(self._depth - 1) :, -(self._depth - 1) :]
            if self._depth > 1
            else np.zeros((0, 0))
        )
        self._products = np.zeros((len(row), len(row)))
        self._products[:-1, :-1] = old
        self._products[-1, :] = self._products[:, -1] = row

    def _pulay_weights(self) -> np.ndarray:
        """Weights of the remembered pairs, adding up to one.

        Solved for the differences from the last residual, so that dependent residuals do no harm.
        """
        p = self._products
        gram = p[-1, -1] - p[-1, :-1, None] - p[-1, :-1] + p[:-1, :-1]
        scale = 1 / np.sqrt(np.diag(gram).clip(min=_SMALLEST))
        target = (p[-1, -1] - p[-1, :-1]) * scale
        older = scale * np.linalg.lstsq(gram * scale * scale[:, None], target, rcond=_RANK_TOLERANCE)[0]
        return np.append(older, 1 - older.sum())
