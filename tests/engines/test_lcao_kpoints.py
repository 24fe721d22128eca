"""The embedded engine with wave vectors: against supercells, PySCF, finite differences, and symmetry."""

import warnings

import numpy as np
import pytest
from pyscf.pbc import dft

from nearsight.engines import LcaoEngine, LcaoSettings
from nearsight.engines.conformance import EngineConformance
from nearsight.engines.kpoints import KPoints, KSampling
from nearsight.engines.lcao.forces import forces
from nearsight.engines.lcao.hamiltonian import Geometry
from nearsight.engines.lcao.integrals import build_cell
from nearsight.engines.lcao.orbitals import Block, OrbitalGrid
from nearsight.engines.lcao.scf import density_terms, self_consistent
from nearsight.engines.lcao.threads import threads
from nearsight.engines.xc import ExchangeCorrelation
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure
from nearsight.units import ANGSTROM, KELVIN

#: a skewed cell of two elements, without any symmetry
ALSI = Structure(
    np.array([[5.2, 0.0, 0.0], [2.5, 4.9, 0.0], [1.9, 1.3, 8.9]]), [[0.0] * 3, [2.9, 1.9, 4.6]], [13, 14]
)
#: silicon, symmetric, its second atom moved along the diagonal
SILICON = Structure(
    5.43 * ANGSTROM / 2 * (np.ones((3, 3)) - np.eye(3)), np.array([[0.0] * 3, [2.6] * 3]), [14, 14]
)
#: face-centred aluminium, one atom
FCC = Structure(4.05 * ANGSTROM / 2 * (np.ones((3, 3)) - np.eye(3)), np.zeros((1, 3)), [13])


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


def with_mesh(*mesh, symmetry=True, **settings):
    return LcaoSettings(k_points=KSampling(mesh=mesh, symmetry=symmetry), density_tolerance=1e-8, **settings)


def repeated(structure, times):
    """The supercell, with the primitive cell's atoms first in each copy."""
    shifts = np.indices(times).reshape(3, -1).T @ structure.cell
    positions = (shifts[:, None] + structure.positions).reshape(-1, 3)
    return Structure(
        structure.cell * np.array(times)[:, None], positions, np.tile(structure.numbers, len(shifts))
    )


# -- Bloch orbitals -------------------------------------------------------------------------------


def test_bloch_orbitals_and_their_gradients_equal_pyscf():
    points = KPoints(
        np.array([[0, 0, 0], [0.5, 0.0, 0.5], [0.1, -0.3, 0.2], [0.25, 0.5, 0]]), np.full(4, 0.25)
    )
    grid = UniformGrid(ALSI.cell, (10, 12, 18))
    cell = build_cell(ALSI, "gth-dzvp-molopt-sr", "gth-pbe")
    orbitals = OrbitalGrid(cell, grid, points, smallest=1e-9, memory_limit_mb=100, threads=1)
    block = Block(slice(3, 5), slice(4, 9))
    where = block.of(np.arange(grid.n_points).reshape(grid.shape))
    kpts = points.cartesian(ALSI.cell)
    found = {k: v for b, k, v in orbitals.map(lambda b, k, v: v)}
    assert [v.shape[0] for v in found.values()] == [26, 26, 52, 52]
    values = orbitals.evaluate(block, orbitals.waves[0])
    theirs = cell.pbc_eval_gto("GTOval_sph_deriv1", grid.points_at(where), kpts=kpts)
    rows = np.concatenate(
        [
            m[0].T.real if real else np.concatenate([m[0].T.real, m[0].T.imag])
            for m, real in zip(theirs, points.is_real, strict=True)
        ]
    )
    assert np.abs(rows).max() > 0.3
    np.testing.assert_allclose(values, rows, atol=1e-7)
    weights = np.zeros(values.shape)
    weights[52:104] = np.random.default_rng(1).normal(size=(52, len(where)))
    gradient = np.concatenate([theirs[2][1:].real, theirs[2][1:].imag], axis=2)
    expected = np.array(
        [
            sum(
                np.einsum("mg,xgm->x", weights[52:104][s], gradient[:, :, s])
                for s in (atom, slice(atom.start + 26, atom.stop + 26))
            )
            for atom in orbitals.slices
        ]
    )
    np.testing.assert_allclose(
        orbitals.contract_gradients(weights, block, orbitals.waves[0]), expected, atol=1e-5
    )


# -- other cells and codes ------------------------------------------------------------------------


@pytest.mark.parametrize("mesh", [(2, 1, 2), (1, 3, 1)])
def test_a_mesh_is_the_gamma_point_of_the_supercell(mesh):
    """Energy, density and forces; real wave vectors only, and complex ones."""
    shape = (14, 16, 24)
    state = LcaoEngine(with_mesh(*mesh)).ground_state(ALSI, UniformGrid(ALSI.cell, shape))
    large = repeated(ALSI, mesh)
    grid = UniformGrid(large.cell, tuple(np.array(shape) * mesh))
    whole = LcaoEngine(LcaoSettings(density_tolerance=1e-8)).ground_state(large, grid)
    n = int(np.prod(mesh))
    assert whole.free_energy / n == pytest.approx(state.free_energy, abs=1e-7)
    assert np.abs(state.forces).max() > 1e-2
    np.testing.assert_allclose(whole.forces, np.tile(state.forces, (n, 1)), atol=1e-6)
    tiled = np.tile(state.density.values, mesh)
    assert np.abs(whole.density.values - tiled).sum() * grid.dv / whole.n_electrons < 1e-7
    gamma = LcaoEngine(LcaoSettings()).ground_state(ALSI, UniformGrid(ALSI.cell, shape), forces=False)
    assert abs(gamma.free_energy - state.free_energy) > 1e-4


def test_pyscfs_own_cycle_gives_the_same():
    shape, mesh = (18, 18, 18), (1, 2, 3)
    structure = Structure(
        np.array([[4.9, 0.0, 0.0], [2.4, 4.7, 0.0], [0.3, 1.3, 5.0]]), np.array([[0.0, 0.0, 0.1]]), [13]
    )
    cell = build_cell(structure, "gth-dzvp-molopt-sr", "gth-pbe")
    cell.mesh, cell.spin = list(shape), 0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Electron number")
        cell.build(dump_input=False, parse_arg=False)
    calculation = dft.KRKS(cell, cell.make_kpts(mesh), xc="PBE").smearing(sigma=1000 * KELVIN, method="fermi")
    calculation.conv_tol = 1e-9
    calculation.kernel()
    ours = LcaoEngine(with_mesh(*mesh)).ground_state(structure, UniformGrid(structure.cell, shape))
    assert len(ours.k_points) == 4
    assert abs(ours.free_energy - calculation.e_free) / structure.n_atoms < 1e-6


# -- derivatives ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("structure", "shape", "mesh", "smearing", "atom", "axis"),
    [
        (ALSI, (12, 12, 20), (2, 3, 1), 3000.0, 1, 0),
        (ALSI, (12, 12, 20), (2, 1, 2), 1000.0, 0, 2),
        (SILICON, (16, 16, 16), (2, 2, 2), 0.0, 1, 1),
    ],
)
def test_forces_are_the_derivative_of_the_free_energy(structure, shape, mesh, smearing, atom, axis):
    """With complex and real wave vectors, smearing, and symmetry, which a moved atom breaks."""
    settings = with_mesh(*mesh, smearing_kelvin=smearing)
    grid = UniformGrid(structure.cell, shape)

    def converged(there):
        geometry = Geometry(there, grid, settings, 1)
        return geometry, self_consistent(
            geometry, LcaoEngine(settings).starting_density(there, grid), settings
        )

    geometry, end = converged(structure)
    potential = density_terms(geometry, end.rho, ExchangeCorrelation()).potential
    ours = forces(geometry, end.states, end.rho, potential)
    energy = {}
    for step in (-2, -1, 1, 2):
        positions = structure.positions.copy()
        positions[atom, axis] += 0.002 * step
        energy[step] = sum(
            converged(Structure(structure.cell, positions, structure.numbers))[1].terms.values()
        )
    numeric = -(8 * (energy[1] - energy[-1]) - (energy[2] - energy[-2])) / 0.024
    assert abs(numeric) > 1e-3
    assert ours[atom, axis] == pytest.approx(numeric, abs=1e-5)


# -- symmetry -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("structure", "mesh", "n_reduced"), [(SILICON, (2, 2, 2), 4), (FCC, (3, 3, 3), 4)])
def test_symmetry_saves_wave_vectors_and_changes_nothing(structure, mesh, n_reduced):
    grid = UniformGrid(structure.cell, (24, 24, 24))
    few, all_of_them = (
        LcaoEngine(with_mesh(*mesh, symmetry=symmetry)).ground_state(structure, grid)
        for symmetry in (True, False)
    )
    assert few.k_points.symmetry is not None
    assert all_of_them.k_points.symmetry is None
    assert len(few.k_points) == n_reduced < len(all_of_them.k_points)
    assert few.free_energy == pytest.approx(all_of_them.free_energy, abs=1e-8 * structure.n_atoms)
    np.testing.assert_allclose(few.forces, all_of_them.forces, atol=1e-6)
    difference = np.abs(few.density.values - all_of_them.density.values).sum() * grid.dv
    assert difference / few.n_electrons < 1e-6


def test_harris_energy_with_wave_vectors():
    """Of the converged density; of one with less symmetry than the crystal; of a worse one."""
    engine = LcaoEngine(with_mesh(2, 2, 2))
    grid = UniformGrid(SILICON.cell, (16, 16, 16))
    state = engine.ground_state(SILICON, grid, forces=False)
    found = engine.harris(SILICON, state.density, output_density=True)
    assert len(found.k_points) == len(state.k_points)
    assert found.free_energy == pytest.approx(state.free_energy, abs=1e-8)
    np.testing.assert_allclose(found.density.values, state.density.values, atol=1e-6)
    x = grid.points().reshape(*grid.shape, 3) @ np.linalg.inv(SILICON.cell)
    wave = ScalarField(grid, 2e-3 * np.cos(2 * np.pi * x[..., 0]))
    lopsided = engine.harris(SILICON, state.density + wave)
    assert lopsided.k_points.symmetry is None
    assert len(lopsided.k_points) > len(found.k_points)
    unreduced = LcaoEngine(with_mesh(2, 2, 2, symmetry=False)).harris(SILICON, state.density + wave)
    assert lopsided.free_energy == pytest.approx(unreduced.free_energy, abs=1e-10)
    assert abs(lopsided.free_energy - state.free_energy) > 1e-6


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["gamma", [2, 3, 1], {"spacing": 0.4}])
def test_k_points_reach_the_fingerprint_and_come_back(value):
    engine = LcaoEngine.from_settings({"k_points": value})
    assert engine.fingerprint()["k_points"] == value
    assert LcaoEngine.from_fingerprint(engine.fingerprint()).fingerprint() == engine.fingerprint()


def test_a_fingerprint_from_before_wave_vectors_is_the_gamma_point():
    old = {key: value for key, value in LcaoEngine().fingerprint().items() if key != "k_points"}
    assert LcaoEngine.from_fingerprint(old).settings == LcaoSettings()


class TestMesh(EngineConformance):
    @classmethod
    def make_engine(cls):
        return LcaoEngine(LcaoSettings(k_points=[2, 2, 2]))
