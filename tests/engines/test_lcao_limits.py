"""The embedded engine at its limits: molecules, transition metals, coarse grids, precision, large cells."""

import numpy as np
import pytest
from ase.build import molecule

from nearsight.engines import LcaoEngine, LcaoSettings
from nearsight.engines.lcao import orbitals, scf
from nearsight.engines.lcao.hamiltonian import Geometry
from nearsight.engines.lcao.integrals import build_cell
from nearsight.engines.lcao.orbitals import OrbitalGrid
from nearsight.engines.lcao.threads import threads
from nearsight.errors import InputError
from nearsight.grid import UniformGrid
from nearsight.structure import Structure
from nearsight.units import ANGSTROM

CELL = np.array([[5.2, 0.0, 0.0], [2.5, 4.9, 0.0], [1.9, 1.3, 8.9]])
ALSI = Structure(CELL, [[0.0] * 3, [2.9, 1.9, 4.6]], [13, 14])
COPPER_LIKE = 3.57 * ANGSTROM


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


def in_box(name, side):
    atoms = molecule(name)
    atoms.set_cell([side / ANGSTROM] * 3)
    return Structure.from_ase(atoms)


# -- molecules ------------------------------------------------------------------------------------


def test_a_molecule_does_not_feel_its_box():
    """Methane has no dipole, the images' fields fall quickly; both boxes have the same grid around it."""
    settings = LcaoSettings(spacing=0.32)
    energies = [LcaoEngine(settings).ground_state(in_box("CH4", side)).free_energy for side in (16.0, 19.2)]
    assert energies[0] == pytest.approx(energies[1], abs=1e-4)
    assert -8.2 < energies[1] < -7.9


def test_without_smearing_a_molecule_is_the_same_and_as_quick():
    """Screening is judged in the middle of the gap."""
    water = in_box("H2O", 11.0)
    warm, cold = (
        LcaoEngine(LcaoSettings(spacing=0.35, smearing_kelvin=t)).ground_state(water) for t in (1000.0, 0.0)
    )
    assert set(np.unique(cold.occupations)) == {0.0, 2.0}
    assert cold.n_iterations <= warm.n_iterations
    assert cold.free_energy == pytest.approx(warm.free_energy, abs=1e-8)
    np.testing.assert_allclose(cold.forces, warm.forces, atol=1e-5)


def test_odd_electrons_need_smearing():
    radical = in_box("CH3", 10.0)
    with pytest.raises(InputError, match=r"CH3 has 7 electrons, an odd number.*smearing_kelvin"):
        LcaoEngine(LcaoSettings(smearing_kelvin=0)).ground_state(radical)


# -- what it is not -------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{"spin": "polarised"}, {"magnetic_moments": [1.0]}, {"nspin": 2}])
def test_spin_is_refused_and_explained(settings):
    with pytest.raises(InputError, match="no spin polarisation"):
        LcaoEngine.from_settings(settings)
    assert LcaoEngine.from_settings({"spin": "unpolarised"}).fingerprint()["spin"] == "unpolarised"


def test_a_coarse_grid_is_warned_of_with_the_figure():
    engine = LcaoEngine()
    fine, coarse = (
        engine.ground_state(ALSI, UniformGrid(CELL, shape), forces=False)
        for shape in ((18, 18, 30), (12, 12, 20))
    )
    assert fine.warnings == ()
    (warning,) = coarse.warnings
    assert "0.460 bohr is coarser than the 0.320 bohr" in warning
    assert "\n" not in warning


def test_transition_metals_converge_with_the_defaults():
    places = COPPER_LIKE * np.array([[0, 0, 0.01], [0, 0.5, 0.5], [0.5, 0.01, 0.5], [0.5, 0.5, 0]])
    alloy = Structure(COPPER_LIKE * np.eye(3), places, [24, 26, 27, 28])
    settings = LcaoSettings(spacing=0.3, k_points=[2, 2, 2])
    state = LcaoEngine(settings).ground_state(alloy, forces=False)
    assert state.n_iterations < 40
    assert state.n_electrons == 14 + 16 + 17 + 18


# -- precision and memory -------------------------------------------------------------------------


def test_single_precision_saves_no_accuracy(monkeypatch):
    """It is used along the way only: the end is that of double precision throughout."""
    grid = UniformGrid(CELL, (14, 14, 24))
    settings = LcaoSettings(density_tolerance=1e-8)
    mixed = LcaoEngine(settings).ground_state(ALSI, grid)
    monkeypatch.setattr(scf, "_SINGLE_PRECISION", np.inf)
    original = Geometry.on_grid
    monkeypatch.setattr(Geometry, "on_grid", lambda self, v, precision=None: original(self, v))
    double = LcaoEngine(settings).ground_state(ALSI, grid)
    assert mixed.free_energy == pytest.approx(double.free_energy, abs=1e-11)
    np.testing.assert_allclose(mixed.forces, double.forces, atol=1e-8)


def test_single_precision_is_off_by_a_ten_millionth():
    geometry = Geometry(ALSI, UniformGrid(CELL, (14, 14, 24)), LcaoSettings(), 1)
    potential = np.random.default_rng(3).normal(size=(14, 14, 24))
    double, single = (geometry.on_grid(potential, p)[0] for p in (np.float64, np.float32))
    assert np.abs(double).max() > 0.1
    assert 0 < np.abs(single - double).max() < 1e-6 * np.abs(double).max()


def test_large_cells_are_worked_on_in_small_blocks():
    """256 atoms: 3,328 orbitals, of which no more than a hundred megabytes exist at a time."""
    places = np.indices((4, 4, 4)).reshape(3, -1).T[:, None] + [
        [0, 0, 0],
        [0, 0.5, 0.5],
        [0.5, 0, 0.5],
        [0.5, 0.5, 0],
    ]
    side = 4.05 * ANGSTROM
    structure = Structure(4 * side * np.eye(3), side * places.reshape(-1, 3), np.full(256, 13))
    grid = UniformGrid(structure.cell, (96, 96, 96))
    cell = build_cell(structure, "gth-dzvp-molopt-sr", "gth-pbe")
    table = OrbitalGrid(cell, grid, smallest=1e-8, memory_limit_mb=1500, threads=1)
    assert not table.kept
    assert table.n_orbitals == 256 * 13
    covered = np.zeros(grid.shape, dtype=int)
    for block in table.blocks:
        covered[block.planes, block.columns] += 1
        assert table.n_orbitals * block.of(covered).size * 8e-6 < 100
    assert (covered == 1).all()


def test_blocks_that_split_planes_change_nothing(monkeypatch):
    grid = UniformGrid(CELL, (14, 14, 24))
    settings = LcaoSettings(memory_limit_mb=0.1)
    whole = LcaoEngine(settings).ground_state(ALSI, grid)
    monkeypatch.setattr(orbitals, "_FEWEST_POINTS", 24 * 5)
    monkeypatch.setattr(orbitals, "_BLOCK_VALUES", 1)
    split = LcaoEngine(settings).ground_state(ALSI, grid)
    assert split.free_energy == pytest.approx(whole.free_energy, abs=1e-10)
    np.testing.assert_allclose(split.forces, whole.forces, atol=1e-8)
