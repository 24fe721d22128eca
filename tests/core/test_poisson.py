from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.poisson import coulomb_kernel, hartree_energy, hartree_potential

#: Madelung energies of point charges in a uniform background, −α q²/(2 r_s), and the primitive cells
#: (Coldwell-Horsfall & Maradudin, J. Math. Phys. 1, 395 (1960))
LATTICES = {
    "sc": (1.760118884, np.eye(3)),
    "bcc": (1.791858511, 0.5 * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])),
    "fcc": (1.791747230, 0.5 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])),
}


def minus_laplacian(field: ScalarField) -> np.ndarray:
    """−∇·∇f, by differentiating twice."""
    gradient = field.gradient()
    return -sum(ScalarField(field.grid, gradient[x]).gradient()[x] for x in range(3))


def gaussian(grid: UniformGrid, width: float, charge: float) -> ScalarField:
    """A Gaussian charge at the origin with its periodic images, sampled in real space."""
    r = grid.points()
    rho = np.zeros(len(r))
    for shift in product(range(-3, 4), repeat=3):
        distance2 = ((r - np.array(shift) @ grid.cell) ** 2).sum(axis=1)
        rho += np.exp(-distance2 / (2 * width**2))
    return ScalarField(grid, (charge * rho / (2 * np.pi * width**2) ** 1.5).reshape(grid.shape))


@given(grid=..., amplitude=st.floats(0.1, 3), data=st.data())
def test_a_plane_wave_has_the_energy_of_the_textbook(
    grid: UniformGrid, amplitude: float, data: st.DataObject
) -> None:
    """ρ = A cos(G·r) has V = 4πA/G² cos(G·r) and E = πA²Ω/G²."""
    highest = [(n - 1) // 2 for n in grid.shape]
    m = data.draw(st.tuples(*(st.integers(-a, a) for a in highest)).filter(any))
    g = np.array(m) @ grid.reciprocal_cell
    rho = ScalarField(grid, amplitude * np.cos(grid.points() @ g).reshape(grid.shape))
    potential = hartree_potential(rho)
    np.testing.assert_allclose(potential.values, 4 * np.pi / (g @ g) * rho.values, atol=1e-10)
    assert hartree_energy(rho) == pytest.approx(np.pi * amplitude**2 * grid.volume / (g @ g), rel=1e-10)


@pytest.mark.parametrize("name", LATTICES)
def test_gaussian_charges_on_a_lattice_have_their_ewald_energy(name: str) -> None:
    """E = q²/(2√π σ) − α q²/(2 r_s) + 2πσ²q²/Ω where the Gaussians do not overlap.

    The first term is the charge's own energy, the second the Madelung energy of points, the third
    what the background sees of their width (Ewald's sum with 1/(2σ) as its parameter).
    """
    alpha, unit = LATTICES[name]
    q, sigma = 3.0, 0.5
    cell = 8.0 * unit
    rho = gaussian(UniformGrid.with_spacing(cell, 0.21), sigma, q)
    volume = abs(np.linalg.det(cell))
    r_s = (3 * volume / (4 * np.pi)) ** (1 / 3)
    own, madelung = q**2 / (2 * np.sqrt(np.pi) * sigma), -alpha * q**2 / (2 * r_s)
    assert rho.integrate() == pytest.approx(q, rel=1e-12)
    assert hartree_energy(rho) == pytest.approx(
        own + madelung + 2 * np.pi * sigma**2 * q**2 / volume, abs=1e-7
    )


@given(field=..., extra=st.tuples(*[st.integers(1, 4)] * 3))
def test_the_potential_solves_poissons_equation(field: ScalarField, extra: tuple[int, int, int]) -> None:
    """−∇²V = 4π(ρ − ρ̄); the density is refined first so that nothing sits on a Nyquist frequency."""
    n1, n2, n3 = (n + e for n, e in zip(field.grid.shape, extra, strict=True))
    rho = field.resampled((n1, n2, n3))
    expected = 4 * np.pi * (rho.values - rho.values.mean())
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(minus_laplacian(hartree_potential(rho)), expected, atol=1e-9)


@given(field=..., seed=st.integers(0, 999))
def test_the_potential_is_the_derivative_of_the_energy(field: ScalarField, seed: int) -> None:
    """E is quadratic, so that a central difference of any step is exact; Nyquist components included."""
    change = ScalarField(field.grid, np.random.default_rng(seed).normal(size=field.grid.shape))
    difference = (hartree_energy(field + change) - hartree_energy(field - change)) / 2
    along = float((hartree_potential(field).values * change.values).sum() * field.grid.dv)
    assert abs(along) > 1e-9
    assert difference == pytest.approx(along, rel=1e-8, abs=1e-9)


@given(...)
def test_the_energy_is_positive_and_blind_to_a_background(field: ScalarField) -> None:
    energy = hartree_energy(field)
    assert energy > 0
    lifted = ScalarField(field.grid, field.values + 2.0)
    assert hartree_energy(lifted) == pytest.approx(energy, rel=1e-9)
    assert hartree_potential(field).integrate() == pytest.approx(0, abs=1e-8)


@given(...)
def test_only_the_average_is_left_out_of_the_kernel(grid: UniformGrid) -> None:
    kernel = coulomb_kernel(grid)
    assert kernel[0, 0, 0] == 0
    assert (kernel.ravel()[1:] > 0).all()
