"""Stress of a converged state: the derivative of its free energy with respect to a strain, over the volume.

With r → (1 + ε)r, k + G → (1 − ε)(k + G), at fixed coefficients and occupations (Nielsen and Martin, PRB
32, 3780 (1985); gradient corrections: Dal Corso and Resta, PRB 50, 4327 (1994)). The number of plane waves
is fixed, as in every code: a cell relaxed by this stress keeps its plane waves, not its cut-off. Form factors
are differentiated by fourth-order differences in ln G, to 1e-10 of their size.
"""

from collections.abc import Mapping

import numpy as np

from nearsight.engines.planewave.ewald_stress import ewald_strain_derivative
from nearsight.engines.planewave.geometry import Geometry
from nearsight.engines.planewave.states import States
from nearsight.engines.planewave.threads import Workers
from nearsight.engines.pseudopotential import RadialForm, structure_factor
from nearsight.engines.xc import ExchangeCorrelation
from nearsight.field import ScalarField
from nearsight.poisson import coulomb_kernel

#: relative step of the differences, and their weights
_STEP = 1e-3
_STENCIL = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}


def stress(
    geometry: Geometry, states: States, rho: ScalarField, xc: ExchangeCorrelation, workers: Workers
) -> np.ndarray:
    """Stress in hartree/bohr³, shape (3, 3); negative diagonals push the cell apart.

    Parameters
    ----------
    geometry : Geometry
    states : States
        Converged orbitals.
    rho : ScalarField
        Their density.
    xc : ExchangeCorrelation
    workers : Workers
    """
    total = _orbitals(geometry, states, workers)
    if geometry.k_points.symmetry is not None:
        total = geometry.k_points.symmetry.symmetrise_tensor(total)
    total += ewald_strain_derivative(geometry.structure, geometry.charges)
    total += _hartree(rho)
    total += _atoms(geometry, rho, geometry.local_forms)
    total -= np.eye(3) * float(np.vdot(geometry.local_pseudopotential, rho.values)) * rho.grid.dv
    with_core = geometry.with_core(rho)
    total += xc.strain_derivative(with_core)
    if geometry.has_core:
        v_xc = ScalarField(geometry.grid, xc.evaluate(with_core)[1])
        total += _atoms(geometry, v_xc, geometry.core_forms)
    return total / geometry.structure.volume


def _orbitals(geometry: Geometry, states: States, workers: Workers) -> np.ndarray:
    """Of the kinetic and the non-local energy."""
    total = np.zeros((3, 3))
    for k, weight in enumerate(geometry.k_points.weights):
        waves, x, f = geometry.waves[k], states.vectors[k], states.weighted(k, float(weight))
        held = (f @ x.abs() ** 2).cpu().numpy()
        if waves.real:
            held = held.reshape(-1, 2).sum(axis=1)
        total -= np.einsum("g,gi,gj->ij", held, waves.waves, waves.waves)
        total += geometry.projectors[k].strain_derivative(x, f, workers)
    return total


def _hartree(rho: ScalarField) -> np.ndarray:
    """E_H = (Ω/2) Σ 4π/G² |ρ(G)|² at fixed Ωρ(G)."""
    grid = rho.grid
    coefficients = np.abs(grid.fft(rho.values)) ** 2 / grid.n_points**2 * grid.wave_weights
    kernel = coulomb_kernel(grid)
    g = grid.g_vectors()
    energy = 0.5 * grid.volume * float(np.vdot(kernel, coefficients))
    # 4π/G⁴ = kernel²/4π
    pull = np.einsum("ijk,xijk,yijk->xy", kernel**2 * coefficients / (4 * np.pi), g, g, optimize=True)
    return grid.volume * pull - energy * np.eye(3)


def _atoms(geometry: Geometry, field: ScalarField, forms: Mapping[int, RadialForm]) -> np.ndarray:
    """∫ field · Σ_a δP_a with δP_a(G) = −f'(G) G_iG_j/G exp(−iG·R_a)/Ω, which is what form factors do."""
    grid = field.grid
    weighted = np.conj(grid.fft(field.values)) * grid.wave_weights / grid.n_points
    slopes = np.zeros(grid.g_squared.shape)
    for number in geometry.structure.species:
        mine = geometry.structure.fractional[geometry.structure.numbers == number]
        form = forms[number]
        derivative = sum(
            weight / _STEP * form.fourier(grid.g_squared * (1 + step * _STEP) ** 2)
            for step, weight in _STENCIL.items()
        )
        slopes += np.real(weighted * structure_factor(grid, mine)) * derivative
    g = grid.g_vectors()
    g2 = np.where(grid.g_squared > 1e-12, grid.g_squared, np.inf)
    return -np.einsum("ijk,xijk,yijk->xy", slopes / g2, g, g, optimize=True)
