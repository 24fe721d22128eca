"""The plane-wave engine: derivatives of its energy, symmetry, convergence, and what it shares with lcao."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from pyscf.pbc.gto import Cell, eval_gto
from pyscf.pbc.gto.pseudo import pp_int

from nearsight.engines import LcaoEngine, LcaoSettings, PlanewaveEngine, PlanewaveSettings
from nearsight.engines.ewald import ewald
from nearsight.engines.gth import gth_potential
from nearsight.engines.norm_conserving import NormConserving
from nearsight.engines.planewave.ewald_stress import ewald_strain_derivative
from nearsight.engines.planewave.nonlocal_potential import NonLocal
from nearsight.engines.planewave.sphere import PlaneWaves, box_shape
from nearsight.engines.planewave.threads import workers
from nearsight.engines.radial_function import GaussianFunction
from nearsight.engines.xc import ExchangeCorrelation
from nearsight.errors import ConvergenceError, InputError, UnknownElementError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

CELL = np.array([[5.2, 0.0, 0.0], [0.4, 4.9, 0.0], [0.3, 0.2, 6.1]])
POSITIONS = np.array([[0.1, 0.0, 0.2], [2.4, 2.3, 3.3]])
GRID = UniformGrid(CELL, (24, 24, 30))
ALUMINIUM = Structure(CELL, POSITIONS, np.array([13, 13]))
TIGHT = PlanewaveSettings(ecut=6.0, density_tolerance=1e-9)


class EngineWithCore(PlanewaveEngine):
    """Aluminium that has a core density for exchange and correlation, as files have it."""

    def potential(self, number: int) -> NormConserving:
        return replace(gth_potential("gth-pbe", number), core=GaussianFunction(0, 0.9, (0.08,)))


def central(energy, step):
    return (energy(step) - energy(-step)) / (2 * step)


# -- derivatives ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PlanewaveEngine, EngineWithCore])
@pytest.mark.parametrize("k_points", ["gamma", [1, 2, 1]])
def test_forces_are_the_slope_of_the_energy(kind, k_points):
    settings = replace(TIGHT, k_points=k_points)
    found = kind(settings).ground_state(ALUMINIUM, GRID).forces

    def energy(step):
        apart = np.outer([1.0, -1.0], [0.3, -0.5, 0.8]) * step
        moved = Structure(CELL, POSITIONS + apart, ALUMINIUM.numbers)
        return kind(settings).ground_state(moved, GRID, forces=False).free_energy

    slope = -((found[0] - found[1]) @ [0.3, -0.5, 0.8])
    assert abs(slope) > 1e-3
    assert abs(central(energy, 2e-3) - slope) < 1e-6


@pytest.mark.parametrize("kind", [PlanewaveEngine, EngineWithCore])
@pytest.mark.parametrize("strained", [(0, 0), (1, 2)])
def test_stress_is_the_slope_of_the_energy(kind, strained):
    """At a cut-off between two shells of plane waves, so that a strain takes none of them away."""
    i, j = strained
    engine = kind(TIGHT)
    state = engine.ground_state(ALUMINIUM, GRID, forces=False)
    sizes = []

    def energy(step):
        strain = np.zeros((3, 3))
        strain[i, j] += step / 2
        strain[j, i] += step / 2
        one = np.eye(3) + strain
        cell = CELL @ one
        other = kind(TIGHT)
        structure = Structure(cell, POSITIONS @ one, ALUMINIUM.numbers)
        found = other.ground_state(structure, UniformGrid(cell, GRID.shape), forces=False).free_energy
        sizes.append(len(other._last[1].geometry.waves[0]))
        return found

    expected = central(energy, 5e-4)
    assert sizes == [len(engine._last[1].geometry.waves[0])] * 2
    found = engine.stress(ALUMINIUM, state.density) * ALUMINIUM.volume
    np.testing.assert_allclose(found, found.T, atol=1e-10)
    assert abs(found[i, j]) > 1e-3
    assert abs(found[i, j] - expected) < 5e-6


def test_ewald_stress_is_the_slope_of_the_ewald_energy():
    charges = np.array([3.0, 4.0])
    found = ewald_strain_derivative(ALUMINIUM, charges)
    np.testing.assert_allclose(found, ewald_strain_derivative(ALUMINIUM, charges, eta=0.9), atol=1e-10)
    for i, j in ((0, 0), (0, 1), (2, 1)):

        def energy(step, i=i, j=j):
            one = np.eye(3)
            one[i, j] += step
            return ewald(Structure(CELL @ one, POSITIONS @ one, ALUMINIUM.numbers), charges)[0]

        assert abs(found[i, j] - central(energy, 1e-4)) < 1e-6


@pytest.mark.parametrize("functional", ["PBE", "LDA,PW"])
def test_xc_follows_a_strain(functional):
    xc = ExchangeCorrelation(functional)
    rho = PlanewaveEngine(TIGHT).starting_density(ALUMINIUM, GRID).values
    found = xc.strain_derivative(ScalarField(GRID, rho))
    for i, j in ((1, 1), (0, 2))[: 2 if functional == "PBE" else 1]:

        def energy(step, i=i, j=j):
            one = np.eye(3)
            one[i, j] += step
            return xc.evaluate(ScalarField(UniformGrid(CELL @ one, GRID.shape), rho / np.linalg.det(one)))[0]

        assert abs(found[i, j]) > 1e-6
        assert abs(found[i, j] - central(energy, 1e-4)) < 1e-6


# -- symmetry and wave vectors --------------------------------------------------------------------


def test_a_mesh_is_the_supercell_at_gamma():
    small = Structure(np.diag([4.0, 4.2, 5.0]), np.array([[0.2, 0.1, 0.3]]), np.array([13]))
    cell = np.diag([8.0, 4.2, 5.0])
    large = Structure(cell, np.array([[0.2, 0.1, 0.3], [4.2, 0.1, 0.3]]), np.array([13, 13]))
    mesh = PlanewaveEngine(replace(TIGHT, k_points=[2, 1, 1]))
    one = mesh.ground_state(small, UniformGrid(small.cell, (20, 20, 24)), forces=False)
    two = PlanewaveEngine(TIGHT).ground_state(large, UniformGrid(cell, (40, 20, 24)), forces=False)
    assert abs(2 * one.free_energy - two.free_energy) < 1e-7
    np.testing.assert_allclose(two.density.values[:20], one.density.values, atol=1e-7)


def test_symmetry_saves_wave_vectors_and_changes_nothing():
    cell = 7.6 / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    structure = Structure(cell, np.zeros((1, 3)), np.array([13]))
    grid = UniformGrid(cell, (16, 16, 16))
    reduced = PlanewaveEngine(replace(TIGHT, k_points=[2, 2, 2]))
    whole = PlanewaveEngine(replace(TIGHT, k_points=replace(reduced.settings.k_points, symmetry=False)))
    one, two = (engine.ground_state(structure, grid) for engine in (reduced, whole))
    assert len(one.k_points) < len(two.k_points)
    assert abs(one.free_energy - two.free_energy) < 1e-8
    np.testing.assert_allclose(one.density.values, two.density.values, atol=1e-6)
    stress = reduced.stress(structure, one.density)
    np.testing.assert_allclose(stress, whole.stress(structure, two.density), atol=1e-7)
    assert abs(stress[0, 0]) > 1e-5

    bent = one.density.values.copy()
    bent[:4] *= 1.02
    bent = ScalarField(grid, bent).rescaled(3.0).field
    values = [engine.harris(structure, bent).free_energy for engine in (reduced, whole)]
    assert abs(values[0] - values[1]) < 1e-9, "a density without the symmetry is not symmetrised"


def test_bands_pass_through_the_ground_states_eigenvalues():
    engine = PlanewaveEngine(replace(TIGHT, k_points=[1, 2, 1]))
    state = engine.ground_state(ALUMINIUM, GRID, forces=False)
    k = state.k_points.fractional
    path = np.concatenate([k, [[0.2, -0.1, 0.3], [-0.2, 0.1, -0.3]]])
    bands = engine.bands(ALUMINIUM, state.density, path, 6)
    assert bands.shape == (4, 6)
    np.testing.assert_allclose(bands[:2, :4], state.eigenvalues[:, :4], atol=1e-6)
    np.testing.assert_allclose(bands[2], bands[3], atol=1e-6)  # time reversal
    assert np.abs(bands[2] - bands[0]).max() > 1e-2
    with pytest.raises(InputError, match="shape"):
        engine.bands(ALUMINIUM, state.density, np.zeros(3))


# -- convergence ----------------------------------------------------------------------------------


def test_energy_falls_with_every_plane_wave():
    """At fixed potential the eigenvalues are variational."""
    density = PlanewaveEngine(TIGHT).starting_density(ALUMINIUM, GRID)
    energies = [
        PlanewaveEngine(replace(TIGHT, ecut=ecut)).harris(ALUMINIUM, density).free_energy
        for ecut in (4.0, 6.0, 9.0, 12.0)
    ]
    falls = -np.diff(energies)
    assert (falls > 0).all()
    assert falls[-1] < 0.2 * falls[0]


def test_a_finer_grid_holds_the_same_orbitals():
    coarse, fine = (
        PlanewaveEngine(TIGHT).ground_state(ALUMINIUM, UniformGrid(CELL, shape), forces=False)
        for shape in ((30, 30, 36), (40, 36, 45))
    )
    assert abs(coarse.free_energy - fine.free_energy) < 1e-5
    same = fine.density.resampled((30, 30, 36))
    np.testing.assert_allclose(same.values, coarse.density.values, atol=1e-5)


def test_states_are_added_where_they_are_missing():
    hot = replace(TIGHT, smearing_kelvin=6000.0)
    few, many = (
        PlanewaveEngine(replace(hot, extra_states=n)).ground_state(ALUMINIUM, GRID, forces=False)
        for n in (0, 12)
    )
    assert few.occupations[:, -1].max() < 1e-4
    assert few.eigenvalues.shape[1] > 3
    assert abs(few.free_energy - many.free_energy) < 1e-6


def test_too_few_plane_waves_are_told_of():
    with pytest.raises(InputError, match="fill all 7 plane waves; use a larger ecut"):
        PlanewaveEngine(replace(TIGHT, ecut=1.0, smearing_kelvin=90000.0)).ground_state(ALUMINIUM, GRID)


def test_projectors_that_do_not_fit_are_made_anew():
    one, two = (
        PlanewaveEngine(replace(TIGHT, memory_limit_mb=limit)).ground_state(ALUMINIUM, GRID)
        for limit in (100.0, 1e-3)
    )
    assert abs(one.free_energy - two.free_energy) < 1e-10
    np.testing.assert_allclose(one.forces, two.forces, atol=1e-8)


def test_start_and_watch():
    engine = PlanewaveEngine(TIGHT)
    state = engine.ground_state(ALUMINIUM, GRID, forces=False)
    seen = []
    again = PlanewaveEngine(TIGHT).ground_state(
        ALUMINIUM, start=state.density, forces=False, watch=lambda *step: seen.append(step)
    )
    assert [step[0] for step in seen] == list(range(1, again.n_iterations + 1))
    assert again.n_iterations < state.n_iterations
    assert abs(again.free_energy - state.free_energy) < 1e-8
    with pytest.raises(ConvergenceError, match=r"did not converge in 2 iterations .* try mixing 0\.3"):
        PlanewaveEngine(replace(TIGHT, max_iterations=2)).ground_state(ALUMINIUM, GRID)


def test_coarse_grids_are_told_of():
    engine = PlanewaveEngine(PlanewaveSettings(ecut=9.0))
    coarse = UniformGrid(CELL, (12, 12, 15))
    grid, cutoff = engine.ground_state(ALUMINIUM, coarse, forces=False).warnings
    assert "not of ecut 9; use a spacing of 0.370 bohr" in grid
    assert "ecut 9 hartree is far below the 20.5" in cutoff
    assert engine.ground_state(ALUMINIUM, forces=False).warnings == (cutoff,)
    fine = PlanewaveEngine(PlanewaveSettings(ecut=15.0))
    assert fine.ground_state(ALUMINIUM, forces=False).warnings == ()
    with pytest.raises(InputError, match="too coarse for orbitals"):
        engine.ground_state(ALUMINIUM, UniformGrid(CELL, (4, 4, 4)))


# -- other codes ----------------------------------------------------------------------------------


def test_terms_of_a_density_are_those_of_lcao():
    """Hartree, exchange-correlation, local pseudopotential and ions of one density on one grid."""
    plane, gaussian = PlanewaveEngine(TIGHT), LcaoEngine(LcaoSettings())
    density = plane.starting_density(ALUMINIUM, GRID)
    ours, theirs = (engine.harris(ALUMINIUM, density).terms for engine in (plane, gaussian))
    for name in ("hartree_double_counting", "xc_double_counting", "ewald"):
        assert abs(ours[name]) > 1e-3
        assert abs(ours[name] - theirs[name]) / 2 < 1e-9, name


def test_orbitals_of_lcao_have_the_same_kinetic_and_nonlocal_energy():
    """Gaussians expanded in plane waves, against PySCF's integrals; germanium has s, p and d projectors."""
    cell = np.array([[7.0, 0.0, 0.0], [0.5, 7.2, 0.0], [0.2, -0.4, 7.4]])
    position, number = np.array([[1.0, 2.0, 3.0]]), 32
    theirs = Cell(a=cell, unit="B", pseudo="gth-pbe", verbose=0, precision=1e-12)
    theirs.atom = [("Ge", position[0])]
    theirs.basis = {"Ge": [[0, [0.4, 1.0]], [1, [0.5, 1.0]], [2, [0.6, 1.0]]]}
    theirs.build()
    k = np.array([0.3, -0.2, 0.1])
    grid, ecut = UniformGrid(cell, (48, 48, 48)), 25.0
    cartesian = k @ grid.reciprocal_cell
    gaussians = eval_gto.eval_gto(theirs, "GTOval_sph", grid.points(), kpt=cartesian).T

    waves = PlaneWaves(cell, k, ecut, box_shape(grid, k[None], ecut), torch.device("cpu"))
    periodic = gaussians * np.exp(-1j * grid.points() @ cartesian)
    coefficients = np.fft.fftn(periodic.reshape(-1, *grid.shape), axes=(1, 2, 3))
    held = coefficients[(slice(None), *waves.index.T)] * np.sqrt(grid.volume) / grid.n_points
    x = torch.as_tensor(held)
    structure = Structure(cell, position, np.array([number]))
    projectors = NonLocal(structure, {number: gth_potential("gth-pbe", number)}, waves, 100.0)
    ones = torch.eye(len(x), dtype=torch.float64)
    with workers(1, torch.device("cpu")) as pool:
        separable = [projectors.energy(x, f, pool) for f in ones]
    kinetic = (x.abs() ** 2 @ waves.kinetic).numpy()

    wanted = np.real(np.diag(np.squeeze(pp_int.get_pp_nl(theirs, kpts=cartesian))))
    assert np.abs(wanted).min() > 1e-3
    np.testing.assert_allclose(separable, wanted, atol=1e-6)
    wanted = np.real(np.diag(np.squeeze(theirs.pbc_intor("int1e_kin", hermi=1, kpts=cartesian))))
    np.testing.assert_allclose(kinetic, wanted, atol=1e-6)


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"ecut": -1.0}, "ecut must be positive"),
        ({"ecut": "high"}, "ecut must be"),
        ({"cutoff": 3}, "unknown planewave setting 'cutoff'"),
        ({"k_points": "many"}, "k_points must be"),
        ({"mixing": 2.0}, "0 < mixing ≤ 1"),
        ({"extra_states": -1}, "extra_states must not be negative"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"nspin": 2}, "no spin polarisation"),
        ({"spin": "polarised"}, "no spin polarisation"),
    ],
)
def test_bad_settings_are_refused(setting, message):
    with pytest.raises(InputError, match=message) as refusal:
        PlanewaveEngine.from_settings(setting)
    assert "\n" not in str(refusal.value)


def test_unknown_functionals_and_missing_files_are_refused():
    with pytest.raises(InputError, match="needs more than"):
        PlanewaveEngine(PlanewaveSettings(functional="B3LYP"))
    with pytest.raises(InputError, match="no pseudopotential file or folder"):
        PlanewaveEngine(PlanewaveSettings(pseudopotential="nowhere/else")).n_electrons(ALUMINIUM)
    with pytest.raises(UnknownElementError):
        PlanewaveEngine().potential(118)


def test_odd_electrons_need_smearing():
    atom = Structure(CELL, POSITIONS[:1], np.array([13]))
    with pytest.raises(InputError, match="3 electrons, an odd number"):
        PlanewaveEngine(PlanewaveSettings(smearing_kelvin=0.0)).ground_state(atom)
    filled = PlanewaveEngine(replace(TIGHT, smearing_kelvin=0.0)).ground_state(ALUMINIUM, GRID, forces=False)
    assert set(np.unique(filled.occupations)) == {0.0, 2.0}


def test_memory_grows_with_the_system():
    engine = PlanewaveEngine(TIGHT)
    one = engine.memory_estimate_mb(ALUMINIUM, GRID)
    large = Structure(4 * CELL, POSITIONS, ALUMINIUM.numbers)
    more = engine.memory_estimate_mb(large, UniformGrid(4 * CELL, (96, 96, 120)))
    assert 500 < one < 700 < more < 5000


def test_importing_the_engines_leaves_torch_alone():
    code = "import sys, nearsight.engines as e; e.PlanewaveEngine(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
