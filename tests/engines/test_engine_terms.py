"""Each term against analytic limits, another code, and its own derivative by finite differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyscf.pbc import gto
from pyscf.pbc.gto.pseudo import pp
from scipy.integrate import simpson

from nearsight.engines.ewald import ewald
from nearsight.engines.hartree import hartree
from nearsight.engines.lcao.integrals import build_cell
from nearsight.engines.mixing import PulayKerkerMixer, thomas_fermi_wave_vector
from nearsight.engines.occupations import fermi_dirac
from nearsight.engines.pseudopotential import load_gth, local_forces, local_potential
from nearsight.engines.radial_atom import solve_atom
from nearsight.engines.radial_pseudopotential import load_radial
from nearsight.engines.resolution import fourier_transform, required_spacing
from nearsight.engines.xc import ExchangeCorrelation
from nearsight.errors import InputError, UnknownElementError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

SKEWED = np.array([[6.0, 0.2, 0.0], [2.1, 5.5, -0.3], [-1.0, 0.8, 7.0]])


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def water():
    positions = np.array([[0.3, 0.4, 0.5], [1.6, 1.5, 0.5], [-1.1, 1.4, 0.7]])
    return Structure(SKEWED, positions, np.array([8, 1, 1]))


def smooth_density(shape=(12, 11, 14), cell=SKEWED):
    """Positive, with every Fourier component, also at the Nyquist frequency."""
    grid = UniformGrid(cell, shape)
    noise = np.random.default_rng(3).normal(size=shape)
    waves = grid.ifft(grid.fft(noise) * np.exp(-0.15 * grid.g_squared))
    return ScalarField(grid, 0.02 + 0.01 * waves / np.abs(waves).max())


def check_potential(energy_and_potential, rho, rng, tolerance):
    """∫ v δρ equals the change of the energy, to the fourth order of a central difference."""
    change = rng.normal(size=rho.values.shape) * rho.values
    _, potential = energy_and_potential(rho)
    predicted = float(np.vdot(potential, change)) * rho.grid.dv

    def at(step):
        return energy_and_potential(ScalarField(rho.grid, rho.values + step * change))[0]

    h = 1e-3
    found = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    assert abs(predicted) > 1e-4
    assert found == pytest.approx(predicted, rel=tolerance)


# -- Hartree, exchange and correlation ------------------------------------------------------------


def test_hartree_potential_is_the_derivative_of_the_energy(rng):
    check_potential(hartree, smooth_density(), rng, 1e-9)


def test_hartree_energy_of_a_wave():
    """ρ = a cos(G·r): E = Ω π a²/G²."""
    grid = UniformGrid(SKEWED, (12, 12, 12))
    g = grid.reciprocal_cell[1] + grid.reciprocal_cell[2]
    rho = ScalarField(grid, 0.3 * np.cos(grid.points() @ g).reshape(grid.shape))
    assert hartree(rho)[0] == pytest.approx(grid.volume * np.pi * 0.09 / (g @ g), rel=1e-12)


@pytest.mark.parametrize("functional", ["PBE", "PBEsol", "LDA,PW"])
def test_xc_potential_is_the_exact_derivative_of_the_discrete_energy(functional, rng):
    check_potential(ExchangeCorrelation(functional).evaluate, smooth_density(), rng, 1e-7)


def test_xc_of_the_uniform_gas():
    """PBE without gradient is the local density approximation; exchange alone is −¾(3/π)^⅓ n^{4/3}."""
    grid = UniformGrid(SKEWED, (5, 6, 4))
    n = 0.03
    rho = ScalarField(grid, np.full(grid.shape, n))
    exchange = -0.75 * (3 / np.pi) ** (1 / 3) * n ** (4 / 3) * grid.volume
    for functional in ("LDA,", "PBE,"):
        energy, potential = ExchangeCorrelation(functional).evaluate(rho)
        assert energy == pytest.approx(exchange, rel=1e-9)
        np.testing.assert_allclose(potential, 4 / 3 * exchange / (n * grid.volume), rtol=1e-9)
    pbe, lda = (ExchangeCorrelation(f).evaluate(rho)[0] for f in ("PBE", "LDA,PW_MOD"))
    assert pbe == pytest.approx(lda, rel=1e-6)
    assert pbe < exchange


def test_xc_ignores_what_is_below_the_floor():
    rho = smooth_density()
    values = rho.values.copy()
    values[:4] = -1e-3
    energy, potential = ExchangeCorrelation("LDA,PW").evaluate(ScalarField(rho.grid, values))
    assert np.isfinite(energy)
    assert (potential[:4] == 0).all()
    assert (potential[4:] < 0).all()


@pytest.mark.parametrize("functional", ["PBE0", "TPSS", "no such thing"])
def test_functionals_that_need_more_are_refused(functional):
    with pytest.raises(InputError, match="functional"):
        ExchangeCorrelation(functional)


# -- local pseudopotential ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 6, 13, 26])
def test_local_pseudopotential_is_the_transform_of_its_radial_form(number):
    """∫(v(r) + Z erf/r) plus the analytic transform of the Coulomb tail."""
    potential, radial = load_gth("gth-pbe", number), load_radial(number, "gth-pbe")
    r = np.linspace(1e-6, 12, 20001)
    g = np.array([0.3, 1.0, 4.0, 9.0])
    # beyond a few r_loc the potential is −Z/r exactly; add Z erf(r/w)/r with w = 2 to make it short-ranged
    from scipy.special import erf

    short = radial.local(r) + potential.charge * erf(r / 2) / r
    numeric = simpson(4 * np.pi * np.sinc(np.outer(g, r) / np.pi) * short * r**2, x=r, axis=1)
    numeric -= 4 * np.pi * potential.charge / g**2 * np.exp(-(g**2))
    np.testing.assert_allclose(potential.fourier(g**2), numeric, rtol=1e-6, atol=1e-6)


def test_local_pseudopotential_equals_pyscf(water):
    shape = (9, 11, 15)  # odd: without Nyquist components, which the codes treat differently
    grid = UniformGrid(water.cell, shape)
    cell = build_cell(water, "gth-dzvp-molopt-sr", "gth-pbe")
    cell.mesh = list(shape)
    coefficients = -np.einsum("ag,ag->g", cell.get_SI(), pp.get_vlocG(cell))
    coefficients[0] = np.sum(pp.get_alphas(cell))
    theirs = np.fft.ifftn(coefficients.reshape(shape)).real * grid.n_points / grid.volume
    ours = local_potential(water, grid, {z: load_gth("gth-pbe", z) for z in water.species})
    np.testing.assert_allclose(ours, theirs, atol=1e-9 * np.abs(theirs).max())


@pytest.mark.parametrize("shape", [(10, 12, 14), (9, 11, 13)])
def test_local_forces_are_the_derivative_of_the_energy(water, shape):
    rho = smooth_density(shape)
    potentials = {z: load_gth("gth-pbe", z) for z in water.species}

    def energy(positions):
        moved = Structure(water.cell, positions, water.numbers)
        return float(np.vdot(local_potential(moved, rho.grid, potentials), rho.values)) * rho.grid.dv

    check_forces(energy, water.positions, local_forces(water, rho, potentials), 1e-7)


def check_forces(energy, positions, forces, tolerance):
    numeric = np.zeros_like(positions)
    for index in np.ndindex(*positions.shape):
        step = np.zeros_like(positions)
        step[index] = 1e-3
        near = energy(positions + step) - energy(positions - step)
        far = energy(positions + 2 * step) - energy(positions - 2 * step)
        numeric[index] = -(8 * near - far) / 12e-3
    assert np.abs(numeric).max() > 1e-3
    np.testing.assert_allclose(forces, numeric, atol=tolerance)


def test_unknown_elements_and_families_are_refused():
    with pytest.raises(UnknownElementError, match="Og"):
        load_gth("gth-pbe", 118)
    with pytest.raises(UnknownElementError, match="no-such-family"):
        load_gth("no-such-family", 13)


# -- Ewald ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "constant"),
    # energy of unit charges in a neutralising background times the Wigner–Seitz radius (Coldwell-Horsfall
    # and Maradudin, J. Math. Phys. 1, 395 (1960))
    [
        (np.eye(3), -0.880059),
        (np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1.0]]), -0.895929),
        (np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0.0]]), -0.895874),
    ],
)
def test_ewald_wigner_crystals(cell, constant):
    crystal = Structure(4.2 * cell, np.array([[0.4, 1.0, -3.0]]), np.array([1]))
    radius = (3 * crystal.volume / (4 * np.pi)) ** (1 / 3)
    energy, forces = ewald(crystal, np.array([1.0]))
    assert energy * radius == pytest.approx(constant, abs=1e-6)
    np.testing.assert_allclose(forces, 0, atol=1e-12)


def test_ewald_rock_salt():
    salt = Structure(
        np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0.0]]), np.array([[0.0] * 3, [1.0] * 3]), [11, 17]
    )
    assert ewald(salt, np.array([1.0, -1.0]))[0] == pytest.approx(-1.747564594633, abs=1e-10)


def test_ewald_equals_pyscf_whatever_the_splitting(water):
    charges = np.array([6.0, 1.0, 1.0])
    cell = build_cell(water, "gth-dzvp-molopt-sr", "gth-pbe")
    energy, forces = ewald(water, charges)
    assert energy == pytest.approx(cell.ewald(), abs=1e-8)
    for eta in (0.35, 0.9):
        other, other_forces = ewald(water, charges, eta)
        assert other == pytest.approx(energy, abs=1e-11)
        np.testing.assert_allclose(other_forces, forces, atol=1e-11)


def test_ewald_forces_are_the_derivative_of_the_energy(water):
    charges = np.array([6.0, 1.0, 1.0])
    _, forces = ewald(water, charges)
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-12)
    check_forces(
        lambda x: ewald(Structure(water.cell, x, water.numbers), charges)[0], water.positions, forces, 1e-9
    )


# -- occupations ----------------------------------------------------------------------------------


@given(
    st.lists(st.floats(-2, 2), min_size=2, max_size=30),
    st.floats(0.02, 0.98),
    st.sampled_from([1e-4, 3e-3, 0.1]),
    st.floats(0.05, 0.95),
)
def test_occupations_hold_the_electrons(levels, filling, kt, weight):
    eigenvalues = np.array([levels, levels[::-1]])
    eigenvalues[1] += 0.1
    weights = np.array([weight, 1 - weight])
    n = 2 * filling * len(levels)
    found = fermi_dirac(eigenvalues, n, kt, weights)
    assert weights @ found.values.sum(axis=1) == pytest.approx(n, abs=1e-8)
    assert found.values.min() >= 0
    assert found.values.max() <= 2
    assert found.minus_ts <= 0


def test_a_weight_is_a_number_of_copies():
    """Wave vectors of weights 1/4 and 3/4 are four wave vectors, three of them alike."""
    first, second = np.array([-0.3, 0.1]), np.array([-0.28, 0.0])
    by_weight = fermi_dirac(np.array([first, second]), 2.3, 0.05, np.array([0.25, 0.75]))
    by_copies = fermi_dirac(np.array([first, second, second, second]), 2.3, 0.05)
    np.testing.assert_allclose(by_weight.values, by_copies.values[:2], atol=1e-12)
    assert by_weight.minus_ts == pytest.approx(by_copies.minus_ts, rel=1e-12)
    assert by_weight.minus_ts < -1e-3


def test_free_energy_is_stationary_in_the_occupations():
    """dF/dε_ki = w_k f_ki, so that forces need no term for the occupations."""
    eigenvalues = np.array([[-0.31, -0.305, -0.30], [-0.302, -0.297, -0.29]])
    weights = np.array([0.25, 0.75])

    def free_energy(e):
        found = fermi_dirac(e, 3.0, 3e-3, weights)
        return weights @ (found.values * e).sum(axis=1) + found.minus_ts

    values = fermi_dirac(eigenvalues, 3.0, 3e-3, weights).values
    for k, i in np.ndindex(eigenvalues.shape):
        step = np.zeros_like(eigenvalues)
        step[k, i] = 1e-5
        slope = (free_energy(eigenvalues + step) - free_energy(eigenvalues - step)) / 2e-5
        assert slope == pytest.approx(weights[k] * values[k, i], abs=1e-6)


def test_occupations_at_zero_temperature_fill_from_below():
    found = fermi_dirac(np.array([[0.3, -0.1, 0.2]]), 3.0, 0.0)
    np.testing.assert_array_equal(found.values, [[0.0, 2.0, 1.0]])
    assert found.fermi_level == pytest.approx(0.2)
    assert found.minus_ts == 0


def test_at_zero_temperature_the_level_lies_in_the_middle_of_the_gap():
    """Where Fermi and Dirac's goes as kT does to 0."""
    eigenvalues = np.array([[-0.5, 0.1, 0.4], [-0.4, 0.2, 0.3]])
    assert fermi_dirac(eigenvalues, 2.0, 0.0).fermi_level == pytest.approx(-0.15)
    assert fermi_dirac(eigenvalues, 2.0, 0.01).fermi_level == pytest.approx(-0.15, abs=1e-3)
    assert fermi_dirac(eigenvalues, 6.0, 0.0).fermi_level == pytest.approx(0.4)


def test_at_zero_temperature_weights_count():
    """1.5 electrons: the lowest state of weight 0.7 holds 1.4, the next one 0.1 of its 0.6."""
    found = fermi_dirac(np.array([[-1.0, 1.0], [0.5, 2.0]]), 1.5, 0.0, np.array([0.7, 0.3]))
    np.testing.assert_allclose(found.values, [[2.0, 0.0], [1 / 3, 0.0]], atol=1e-12)
    assert found.fermi_level == 0.5


def test_too_many_electrons_are_refused():
    with pytest.raises(InputError, match="do not fit"):
        fermi_dirac(np.zeros((1, 2)), 4.5, 1e-3)


# -- mixing ---------------------------------------------------------------------------------------


def test_mixing_solves_a_linear_dielectric_in_few_steps():
    """ρ_out − ρ_in = −ε(G)(ρ − ρ*) with the dielectric function of a metal."""
    grid = UniformGrid(np.diag([30.0, 9.0, 8.0]), (30, 9, 8))
    solution = smooth_density(grid.shape, grid.cell).values
    wave = grid.g_squared > 0
    epsilon = np.where(wave, 1 + 1.3 / np.where(wave, grid.g_squared, 1), 1.0)

    def output(rho):
        return rho - grid.ifft(epsilon * grid.fft(rho - solution))

    def errors(kerker):
        mixer = PulayKerkerMixer(grid, fraction=0.6, depth=8, kerker=kerker)
        rho = np.full(grid.shape, solution.mean())
        for _ in range(8):
            rho = mixer.next_input(rho, output(rho))
        return np.abs(rho - solution).max() / np.abs(solution - solution.mean()).max()

    assert errors(np.sqrt(1.3)) < 1e-3
    assert errors(np.sqrt(1.3)) < 0.1 * errors(0.0)


def test_mixing_forgets_what_is_older_than_its_depth_and_keeps_the_charge():
    grid = UniformGrid(np.eye(3) * 7, (7, 8, 9))
    solution = smooth_density(grid.shape, grid.cell).values
    mixer = PulayKerkerMixer(grid, fraction=0.3, depth=2, kerker=0.5)
    rho = solution[::-1].copy()
    for _ in range(6):
        rho = mixer.next_input(rho, solution + 0.1 * (rho - solution))
    assert np.abs(rho - solution).max() < 0.1 * np.abs(solution - solution[::-1]).max()
    assert rho.sum() == pytest.approx(solution.sum(), rel=1e-12)


def test_mixing_from_the_solution_stays_there():
    rho = smooth_density()
    mixer = PulayKerkerMixer(rho.grid, fraction=0.6, depth=4, kerker=1.0)
    for _ in range(3):
        np.testing.assert_allclose(mixer.next_input(rho.values, rho.values), rho.values, atol=1e-14)


def test_thomas_fermi_wave_vector_of_free_electrons():
    """q² = 4 k_F/π for levels k²/2 in a large box; and nearly zero across a gap of 0.3 hartree."""
    k_fermi, box = 0.9, 60.0
    k = 2 * np.pi / box * np.arange(-12, 13)
    levels = 0.5 * np.add.outer(np.add.outer(k**2, k**2), k**2).ravel()
    found = thomas_fermi_wave_vector(levels[None], 0.5 * k_fermi**2, box**3)
    assert found == pytest.approx(np.sqrt(4 * k_fermi / np.pi), rel=0.05)
    assert thomas_fermi_wave_vector(np.array([[-0.3, 0.0]]), -0.15, 500.0) < 0.1


# -- resolution -----------------------------------------------------------------------------------


def test_spacings_follow_the_hardness_of_the_elements():
    spacing = {z: required_spacing(load_gth("gth-pbe", z), solve_atom(z)) for z in (1, 6, 8, 13, 14, 29)}
    assert spacing[13] == spacing[14] == 0.32
    assert spacing[1] == spacing[8] == 0.2
    assert spacing[8] < spacing[6] < spacing[13]
    # r_loc of copper is larger than that of aluminium, its d shell is not softer
    assert spacing[29] < 0.2


def test_long_waves_of_a_free_atom_count_its_electrons():
    waves = fourier_transform(solve_atom(8), np.array([1e-4, 1.0, 20.0]))
    assert waves[0] == pytest.approx(6.0, abs=1e-4)
    assert waves[0] > waves[1] > abs(waves[2]) > 0


def test_pyscf_reads_what_we_read(water):
    cell = gto.Cell(a=water.cell, atom="O 0 0 0", pseudo="gth-pbe", basis="gth-dzvp-molopt-sr", verbose=0)
    cell.build(dump_input=False, parse_arg=False)
    assert load_gth("gth-pbe", 8).charge == cell.atom_charge(0)
