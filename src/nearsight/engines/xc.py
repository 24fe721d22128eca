"""Exchange and correlation on a uniform grid, spin-unpolarised, through libxc.

The discrete energy is E = Σ_g ε(ρ_g, |Dρ|²_g) dv with D the Fourier derivative (Nyquist components
dropped, so that D is antisymmetric). Its exact derivative is

    v = ∂ε/∂ρ − Σ_x D_x (2 ∂ε/∂σ · D_x ρ),     σ = |∇ρ|²

(White and Bird, PRB 50, 4954 (1994)), which makes energies, potentials and forces consistent to
rounding on any grid. GGA: Perdew, Burke, Ernzerhof, PRL 77, 3865 (1996).
"""

from dataclasses import dataclass

import numpy as np
from pyscf.dft import libxc

from nearsight.errors import InputError
from nearsight.field import ScalarField

#: points with less density (e/bohr³), negative ones included, contribute nothing: the gradient of
#: what FFTs leave in a vacuum is noise, and ε there is below 1e-13 hartree/bohr³
DENSITY_FLOOR = 1e-10


@dataclass(frozen=True)
class ExchangeCorrelation:
    """A local or generalised-gradient functional by its libxc/PySCF name.

    Raises
    ------
    InputError
        An unknown functional, or one that needs more than the density and its gradient
        (hybrids, meta-GGAs, non-local correlation).
    """

    functional: str = "PBE"

    def __post_init__(self) -> None:
        try:
            kind = libxc.xc_type(self.functional)
            semilocal = not (libxc.is_hybrid_xc(self.functional) or libxc.is_nlc(self.functional))
        except (KeyError, ValueError):
            raise InputError(
                f"unknown functional '{self.functional}'; try 'PBE', 'PBEsol' or 'LDA,PW'"
            ) from None
        if kind not in ("LDA", "GGA") or not semilocal:
            raise InputError(
                f"the functional '{self.functional}' needs more than the density and its gradient; "
                "use a local or generalised-gradient one such as 'PBE'"
            )

    @property
    def needs_gradient(self) -> bool:
        """Whether the functional depends on |∇ρ|²."""
        return str(libxc.xc_type(self.functional)) == "GGA"

    def evaluate(self, rho: ScalarField) -> tuple[float, np.ndarray]:
        """Energy (hartree) and potential (hartree, on the grid) of a density."""
        if not self.needs_gradient:
            energy, v_rho, _ = self._pointwise(rho.values.ravel()[None])
            return energy * rho.grid.dv, v_rho.reshape(rho.grid.shape)
        gradient = rho.gradient()
        inputs = np.concatenate([rho.values[None], gradient]).reshape(4, -1)
        energy, v_rho, v_sigma = self._pointwise(inputs)
        gradient *= 2 * v_sigma.reshape(rho.grid.shape)
        return energy * rho.grid.dv, v_rho.reshape(rho.grid.shape) - _divergence(rho, gradient)

    def strain_derivative(self, rho: ScalarField) -> np.ndarray:
        """∂E/∂ε_ij in hartree, shape (3, 3), where the density goes with the cell: ρ → ρ/det(1 + ε).

        δ_ij (E − ∫vρ) − 2∫ ∂ε/∂σ ∂_iρ ∂_jρ (Dal Corso and Resta, PRB 50, 4327 (1994)).
        """
        energy, potential = self.evaluate(rho)
        total = (energy - float(np.vdot(potential, rho.values)) * rho.grid.dv) * np.eye(3)
        if self.needs_gradient:
            gradient = rho.gradient()
            v_sigma = self._pointwise(np.concatenate([rho.values[None], gradient]).reshape(4, -1))[2]
            flat = gradient.reshape(3, -1)
            total -= 2 * rho.grid.dv * ((flat * v_sigma) @ flat.T)
        return np.asarray(total)

    def _pointwise(self, inputs: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Σε, ∂ε/∂ρ and ∂ε/∂σ of (ρ, ∂xρ, ∂yρ, ∂zρ), rows of `inputs`, above the density floor."""
        kept = np.flatnonzero(inputs[0] > DENSITY_FLOOR)
        used = np.ascontiguousarray(inputs[:, kept]) if len(kept) < inputs.shape[1] else inputs
        per_electron, derivatives, _, _ = libxc.eval_xc(
            self.functional, used if self.needs_gradient else used[0], spin=0, deriv=1
        )
        energy = float(np.dot(per_electron, used[0]))
        v_rho, v_sigma = np.zeros(inputs.shape[1]), np.zeros(inputs.shape[1])
        v_rho[kept] = derivatives[0]
        if self.needs_gradient:
            v_sigma[kept] = derivatives[1]
        return energy, v_rho, v_sigma


def _divergence(rho: ScalarField, vector: np.ndarray) -> np.ndarray:
    """∇·v of a vector field (3, n1, n2, n3) by Fourier differentiation."""
    grid = rho.grid
    coefficients = grid.fft(vector)
    return grid.ifft(1j * np.einsum("xijk,xijk->ijk", grid.g_vectors(zero_nyquist=True), coefficients))
