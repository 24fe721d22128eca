"""The embedded engine against PySCF, finite differences, symmetries, and bad input."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from pyscf.pbc import dft
from scipy.spatial.transform import Rotation

from nearsight.engines import LcaoEngine, LcaoSettings
from nearsight.engines.lcao import hamiltonian
from nearsight.engines.lcao.forces import forces
from nearsight.engines.lcao.hamiltonian import Geometry
from nearsight.engines.lcao.integrals import build_cell
from nearsight.engines.lcao.scf import density_terms, self_consistent
from nearsight.engines.lcao.threads import threads
from nearsight.engines.xc import ExchangeCorrelation
from nearsight.errors import ConvergenceError, GridMismatchError, InputError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure
from nearsight.units import ANGSTROM, KELVIN

TIGHT = LcaoSettings(density_tolerance=1e-8)
#: fcc aluminium, displaced; a skewed cell with an odd number of electrons; a molecule in a small box
AL4 = Structure(
    4.05 * ANGSTROM * np.eye(3),
    4.05 * ANGSTROM * np.array([[0.1, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.47], [0.5, 0.5, 0.02]]),
    np.full(4, 13),
)
SKEWED = Structure(
    np.array([[4.9, 0.0, 0.0], [2.4, 4.7, 0.0], [0.3, 1.3, 5.0]]), np.array([[0.0, 0.0, 0.1]]), np.array([13])
)
WATER = Structure(
    np.diag([6.0, 6.5, 6.2]), np.array([[1.1, 1.2, 1.3], [2.53, 2.3, 1.3], [-0.33, 2.3, 1.4]]), [8, 1, 1]
)
ALSI = Structure(
    np.array([[5.2, 0.0, 0.0], [2.5, 4.9, 0.0], [1.9, 1.3, 8.9]]), [[0.0] * 3, [2.9, 1.9, 4.6]], [13, 14]
)


@pytest.fixture(autouse=True)
def one_thread():
    """BLAS as the engine holds it: cells this small gain nothing from more."""
    with threads(1):
        yield


def pyscf_calculation(structure, shape, functional="PBE"):
    cell = build_cell(structure, "gth-dzvp-molopt-sr", "gth-pbe")
    cell.mesh = list(shape)
    cell.spin = 0  # smearing takes care of an odd electron
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Electron number")
        cell.build(dump_input=False, parse_arg=False)
    calculation = dft.RKS(cell, xc=functional).smearing(sigma=1000 * KELVIN, method="fermi")
    calculation.conv_tol = 1e-9
    return calculation


def converged(structure, shape, settings=TIGHT):
    geometry = Geometry(structure, UniformGrid(structure.cell, shape), settings, 1)
    start = LcaoEngine(settings).starting_density(structure, geometry.grid)
    return geometry, self_consistent(geometry, start, settings)


# -- another code ---------------------------------------------------------------------------------


def test_skewed_cell_with_odd_electrons_equals_pyscfs_own_cycle():
    shape = (18, 18, 18)
    calculation = pyscf_calculation(SKEWED, shape)
    calculation.kernel()
    ours = LcaoEngine().ground_state(SKEWED, UniformGrid(SKEWED.cell, shape), forces=False)
    assert ours.n_electrons == 3
    assert abs(ours.free_energy - calculation.e_free) / SKEWED.n_atoms < 1e-6
    np.testing.assert_allclose(ours.eigenvalues[0], calculation.mo_energy, atol=1e-5)


@pytest.mark.parametrize(
    ("structure", "shape", "functional"), [(AL4, (24, 24, 24), "PBE"), (WATER, (31, 33, 31), "LDA,PW")]
)
def test_our_ground_state_is_pyscfs(structure, shape, functional):
    """Its energy of our density matrix is ours, and its Fock matrix commutes with it.

    One evaluation instead of a cycle, which takes PySCF minutes. Gradients of densities differ between
    the two on coarse grids, so water has a functional without; so do waves at half of an even number.
    """
    _, end = converged(structure, shape, replace(TIGHT, functional=functional))
    c, f = end.states.occupied[0]
    p = (c * f) @ c.T
    calculation = pyscf_calculation(structure, shape, functional)
    fock_terms = calculation.get_hcore(), calculation.get_veff(dm=p)
    theirs = calculation.energy_tot(p, *fock_terms) + end.states.occupations.minus_ts
    assert abs(sum(end.terms.values()) - theirs) / structure.n_atoms < 1e-6
    fps = (fock_terms[0] + fock_terms[1]) @ p @ calculation.get_ovlp()
    assert np.abs(fps).max() > 0.1
    assert np.abs(fps - fps.T).max() < 2e-4


# -- derivatives ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("structure", "shape", "moved"),
    [
        (AL4, (20, 20, 20), [(0, 0), (3, 2)]),
        (ALSI, (15, 16, 26), [(0, 2), (1, 0)]),
        (WATER, (30, 32, 30), [(0, 1), (2, 2)]),
    ],
)
def test_forces_are_the_derivative_of_the_free_energy(structure, shape, moved):
    """On grids far from converged, too: they differentiate the discrete energy."""
    geometry, end = converged(structure, shape)
    potential = density_terms(geometry, end.rho, ExchangeCorrelation()).potential
    ours = forces(geometry, end.states, end.rho, potential)
    for atom, axis in moved:
        energy = {}
        for step in (-2, -1, 1, 2):
            positions = structure.positions.copy()
            positions[atom, axis] += 0.002 * step
            there = Structure(structure.cell, positions, structure.numbers)
            energy[step] = sum(converged(there, shape)[1].terms.values())
        numeric = -(8 * (energy[1] - energy[-1]) - (energy[2] - energy[-2])) / 0.024
        assert abs(numeric) > 1e-4
        assert ours[atom, axis] == pytest.approx(numeric, abs=1e-5)


def test_hamiltonian_on_the_grid_is_the_derivative_of_the_energy():
    """∂/∂t ∫V ρ[C(t)] for orbitals that turn into empty ones equals 2 Σ f ⟨ψ|V|δψ⟩."""
    geometry, end = converged(ALSI, (12, 12, 20), LcaoSettings(density_tolerance=1e-4))
    potential = density_terms(geometry, end.rho, ExchangeCorrelation()).potential
    on_grid = geometry.matrices(potential)[0] - geometry.fixed_matrices[0]
    c, f = end.states.occupied[0]
    change = np.random.default_rng(2).normal(size=c.shape)

    def energy(t):
        return float(np.vdot(potential, geometry.density([(c + t * change, f)]))) * geometry.grid.dv

    predicted = 2 * np.einsum("mn,mk,kn,n->", change, on_grid, c, f)
    assert abs(predicted) > 0.1
    assert (energy(1e-3) - energy(-1e-3)) / 2e-3 == pytest.approx(predicted, rel=1e-8)


# -- Harris–Foulkes -------------------------------------------------------------------------------


def test_harris_energy_at_convergence_and_its_order():
    engine = LcaoEngine()
    state = engine.ground_state(WATER, UniformGrid(WATER.cell, (32, 32, 32)), forces=False)
    at_end = engine.harris(WATER, state.density).free_energy
    assert abs(at_end - state.free_energy) / WATER.n_atoms < 1e-8
    away = engine.starting_density(WATER, state.density.grid) - state.density
    far, near = (
        engine.harris(WATER, state.density + away * t).free_energy - state.free_energy for t in (0.2, 0.1)
    )
    assert abs(far) > 1e-5
    assert far / near == pytest.approx(4, abs=0.2)


def test_dependent_orbitals_are_left_out(monkeypatch):
    geometry = Geometry(ALSI, UniformGrid(ALSI.cell, (12, 12, 20)), TIGHT, 1)
    s = geometry.integrals.overlap()[0]
    whole = geometry.orthonormal[0]
    np.testing.assert_allclose(whole.T @ s @ whole, np.eye(len(s)), atol=1e-9)
    monkeypatch.setattr(hamiltonian, "_DEPENDENT", 0.02)
    del geometry.orthonormal
    reduced = geometry.orthonormal[0]
    assert 10 < reduced.shape[1] < len(s)
    np.testing.assert_allclose(reduced.T @ s @ reduced, np.eye(reduced.shape[1]), atol=1e-9)


# -- symmetries -----------------------------------------------------------------------------------


def test_rotation_turns_the_forces_and_nothing_else():
    turn = Rotation.from_euler("zyx", [20, 130, -50], degrees=True).as_matrix()
    turned = Structure(ALSI.cell @ turn.T, ALSI.positions @ turn.T, ALSI.numbers)
    shape = (15, 16, 24)
    one, other = (LcaoEngine(TIGHT).ground_state(s, UniformGrid(s.cell, shape)) for s in (ALSI, turned))
    assert other.free_energy == pytest.approx(one.free_energy, abs=1e-7)
    np.testing.assert_allclose(other.forces, one.forces @ turn.T, atol=1e-6)
    assert np.abs(one.density.values - other.density.values).max() < 1e-6


def test_left_handed_cell_gives_the_same():
    swapped = Structure(ALSI.cell[[1, 0, 2]], ALSI.positions, ALSI.numbers)
    one = LcaoEngine(TIGHT).ground_state(ALSI, UniformGrid(ALSI.cell, (15, 16, 24)))
    other = LcaoEngine(TIGHT).ground_state(swapped, UniformGrid(swapped.cell, (16, 15, 24)))
    assert other.free_energy == pytest.approx(one.free_energy, abs=1e-7)
    np.testing.assert_allclose(other.forces, one.forces, atol=1e-6)
    np.testing.assert_allclose(other.density.values.swapaxes(0, 1), one.density.values, atol=1e-7)


def test_numbers_do_not_depend_on_memory_or_threads():
    grid = UniformGrid(AL4.cell, (24, 24, 24))
    states = [
        LcaoEngine(settings).ground_state(AL4, grid)
        for settings in (
            LcaoSettings(threads=1),
            LcaoSettings(threads=2),
            LcaoSettings(threads=2, memory_limit_mb=0.5),
        )
    ]
    for other in states[1:]:
        assert other.free_energy == pytest.approx(states[0].free_energy, abs=1e-11)
        np.testing.assert_allclose(other.density.values, states[0].density.values, atol=1e-12)
        np.testing.assert_allclose(other.forces, states[0].forces, atol=1e-9)


def test_start_from_a_density_is_quicker_and_ends_at_the_same():
    engine = LcaoEngine()
    cold = engine.ground_state(AL4, forces=False)
    warm = engine.ground_state(AL4, forces=False, start=cold.density)
    assert warm.n_iterations < cold.n_iterations
    assert warm.free_energy == pytest.approx(cold.free_energy, abs=1e-8)
    with pytest.raises(GridMismatchError, match="starting density"):
        engine.ground_state(AL4, UniformGrid(AL4.cell, (20, 20, 20)), start=cold.density)


# -- bad input and settings -----------------------------------------------------------------------


def test_unconverged_says_what_to_try():
    with pytest.raises(ConvergenceError, match=r"try mixing 0.3 .* max_iterations, or smearing_kelvin 3000"):
        LcaoEngine(LcaoSettings(max_iterations=2)).ground_state(AL4)


def test_minimal_bases_are_refused_with_a_reason():
    with pytest.raises(InputError, match="8-15 %"):
        LcaoSettings(basis="gth-szv-molopt-sr")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"colour": 1}, "unknown lcao setting 'colour'"),
        ({"mixing": "much"}, "mixing must be float"),
        ({"max_iterations": 0}, "max_iterations must be at least 1"),
        ({"mixing": 1.5}, "0 < mixing ≤ 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"spacing": -0.3}, "spacing must be positive"),
        ({"smearing_kelvin": -1}, "smearing_kelvin ≥ 0"),
        ({"density_tolerance": float("nan")}, "density_tolerance must be positive"),
        ({"functional": "B3LYP"}, "functional"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        LcaoEngine.from_settings(settings)


def test_settings_reach_the_fingerprint_and_come_back():
    engine = LcaoEngine.from_settings({"functional": "LDA,PW", "pseudopotential": "gth-pade", "spacing": 0.3})
    again = LcaoEngine.from_fingerprint(engine.fingerprint())
    assert again.fingerprint() == engine.fingerprint()
    assert again.settings.functional == "LDA,PW"
    assert again.default_grid(AL4).spacing.max() <= 0.3


def test_workers_get_the_engine_without_its_arrays():
    engine = LcaoEngine()
    state = engine.ground_state(SKEWED, forces=False)
    small = pickle.dumps(engine)
    assert len(small) < 10_000
    other = pickle.loads(small)
    assert other.harris(SKEWED, state.density).free_energy == pytest.approx(state.free_energy, abs=1e-8)


def test_harris_of_a_density_from_another_cell_is_refused():
    grid = UniformGrid(AL4.cell * 1.01, (10, 10, 10))
    flat = ScalarField(grid, np.full(grid.shape, 12 / grid.volume))
    with pytest.raises(GridMismatchError, match="cell differs"):
        LcaoEngine().harris(AL4, flat)
