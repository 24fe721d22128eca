"""The SPARC adapter on files that SPARC wrote and on a stand-in that hands them out; SPARC where it is."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from nearsight.atomic.superposition import superpose
from nearsight.engines import ENGINES
from nearsight.engines.conformance import EngineConformance
from nearsight.engines.gth import gth_potential
from nearsight.engines.potential_sources import load
from nearsight.engines.psp8_writer import write_psp8
from nearsight.engines.sparc import SparcEngine, SparcSettings
from nearsight.engines.sparc.input_files import NAME, order_of_atoms, write_inputs
from nearsight.engines.sparc.output import read_eigen, read_out, read_static
from nearsight.engines.upf_writer import write_upf
from nearsight.errors import ConvergenceError, FileFormatError, InputError, NearsightError, StructureError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io.cube import read_cube
from nearsight.io.sparc_input import read_sparc_structure
from nearsight.structure import Structure

DATA = Path(__file__).parent / "data" / "sparc"
EIGEN = """Final eigenvalues (Ha) and occupation numbers

kred #1 = (0.000000,0.000000,0.000000)
weight = 1.000000
n        eigval                 occ
1       -9.155289503627E-01     2.000000000000
2       -4.155290528615E-01     2.000000000000
3       -2.155294972389E-01     2.000000000000
4       -2.255294972389E-01     2.000000000000
5        0.155294972389E-01     0.000000000000

kred #2 = (0.500000,0.000000,0.500000)
weight = 3.000000
n        eigval                 occ
1       -9.145289503627E-01     2.000000000000
2       -4.145290528615E-01     2.000000000000
3       -2.145294972389E-01     2.000000000000
4       -2.045294972389E-01     2.000000000000
5        0.145294972389E-01     0.000000000000
"""
#: one water molecule, oxygen in the middle of the list
WATER = Structure(
    np.array([[9.0, 0.0, 0.0], [0.0, 9.6, 0.0], [1.0, 0.5, 8.8]]),
    np.array([[3.57, 5.91, 4.5], [5.0, 4.8, 4.5], [6.43, 5.91, 4.5]]),
    np.array([1, 8, 1]),
)


# -- recorded files --------------------------------------------------------------------------------


def test_energies_of_a_recorded_run():
    found = read_out(DATA / "water.out")
    assert found.free_energy == -1.7717843548e2
    assert sum(found.terms.values()) == pytest.approx(found.free_energy, abs=1e-10)
    assert found.terms["xc"] == -4.8979533420e1
    assert found.terms["entropy"] == -2.5385705461e-08
    assert found.fermi_level == -5.5804561571e-02
    assert (found.n_electrons, found.n_iterations, found.residual) == (80, 10, 9.608e-05)
    assert found.converged


def test_forces_of_a_recorded_run():
    forces = read_static(DATA / "water.static")
    assert forces.shape == (30, 3)
    assert forces[0].tolist() == [8.2240227900e-03, -6.1466578861e-03, 2.2332518957e-03]
    assert forces[-1].tolist() == [-1.0687474292e-02, -2.5073291677e-02, 9.8779520644e-03]
    # .out states the largest force
    assert np.linalg.norm(forces, axis=1).max() == pytest.approx(2.8990791628e-02, rel=1e-9)


def test_runs_that_did_not_end_are_told(tmp_path):
    text = (DATA / "water.out").read_text()
    file = tmp_path / "x.out"
    file.write_text(text[: text.index("Total free energy")])
    with pytest.raises(FileFormatError, match="did not finish"):
        read_out(file)
    file.write_text(text.replace("Fermi level", "Level"))
    with pytest.raises(FileFormatError, match="lacks 'Fermi level'"):
        read_out(file)
    with pytest.raises(FileFormatError, match="missing"):
        read_out(tmp_path / "absent.out")
    warning = "WARNING: SCF#1 did not converge to desired accuracy!\n"
    file.write_text(text.replace("Total number of SCF", warning + "Total number of SCF"))
    assert not read_out(file).converged


def test_truncated_forces_are_told(tmp_path):
    file = tmp_path / "x.static"
    file.write_text("\n".join((DATA / "water.static").read_text().splitlines()[:-5]))
    with pytest.raises(FileFormatError, match="25 of 30"):
        read_static(file)
    file.write_text("nothing")
    with pytest.raises(FileFormatError, match="no forces"):
        read_static(file)


def test_eigenvalues_ascend_with_their_occupations(tmp_path):
    file = tmp_path / "x.eigen"
    file.write_text(EIGEN)
    eigenvalues, occupations, points = read_eigen(file)
    assert eigenvalues.shape == occupations.shape == (2, 5)
    assert (np.diff(eigenvalues) > 0).all()
    assert eigenvalues[0, 2] == -2.255294972389e-01
    assert points.fractional.tolist() == [[0, 0, 0], [0.5, 0, 0.5]]
    assert points.weights.tolist() == [0.25, 0.75]
    file.write_text("\n".join(EIGEN.splitlines()[:-2]))
    with pytest.raises(FileFormatError, match="different numbers"):
        read_eigen(file)


# -- what SPARC is given ---------------------------------------------------------------------------


def test_inputs_hold_the_structure(tmp_path):
    grid = UniformGrid(WATER.cell, (30, 32, 30))
    write_inputs(tmp_path, WATER, grid, SparcSettings(k_points=[2, 1, 1]), forces=True)
    text = (tmp_path / f"{NAME}.inpt").read_text()
    assert "FD_GRID: 30 32 30\n" in text
    assert "KPOINT_GRID: 2 1 1\nKPOINT_SHIFT: 0 0 0\n" in text
    assert "READ_INIT_DENS" not in text
    found = read_sparc_structure(tmp_path / f"{NAME}.ion", tmp_path / f"{NAME}.inpt")
    order = order_of_atoms(WATER)
    np.testing.assert_allclose(found.cell, WATER.cell, atol=1e-10)
    np.testing.assert_allclose(found.positions, WATER.positions[order], atol=1e-10)
    assert found.numbers.tolist() == [1, 1, 8]


def test_harris_asks_for_one_iteration_from_the_density(tmp_path):
    grid = UniformGrid(WATER.cell, (6, 6, 6))
    values = np.random.default_rng(0).uniform(0.01, 0.02, grid.shape)
    values *= 8.0 / (values.sum() * grid.dv)
    write_inputs(tmp_path, WATER, grid, SparcSettings(), forces=False, start=ScalarField(grid, values))
    text = (tmp_path / f"{NAME}.inpt").read_text()
    for line in (
        "MAXIT_SCF: 1",
        "RHO_TRIGGER: 10",
        "READ_INIT_DENS: 1",
        f"INPUT_DENS_FILE: {NAME}-start.cube",
    ):
        assert line in text.splitlines()
    start = read_cube(tmp_path / f"{NAME}-start.cube")
    np.testing.assert_allclose(start.density.values, values, rtol=1e-11)


@pytest.mark.parametrize("number", [8, 13, 26])
def test_written_psp8_is_the_same_potential(tmp_path, number):
    """Coupled projectors are turned into uncoupled ones: the operator Σ p D p stays."""
    first = gth_potential("gth-pbe", number)
    write_psp8(tmp_path / "x.psp8", first)
    second = load(tmp_path, number)
    q = np.linspace(0, 15, 40)
    np.testing.assert_allclose(second.local(q**2), first.local(q**2), atol=1e-7)
    for mine, theirs in zip(second.projectors, first.projectors, strict=True):
        operators = [np.einsum("iq,ij,jk->qk", c.fourier(q), c.matrix, c.fourier(q)) for c in (mine, theirs)]
        assert np.abs(operators[1]).max() > 1e-3
        np.testing.assert_allclose(operators[0], operators[1], rtol=0, atol=1e-6)


def test_own_psp8_files_are_copied_and_others_written(tmp_path):
    library = tmp_path / "library"
    library.mkdir()
    write_psp8(library / "h-of-mine.psp8", gth_potential("gth-pbe", 1))
    write_upf(library / "o.upf", gth_potential("gth-pbe", 8))
    write_inputs(
        tmp_path,
        WATER,
        UniformGrid(WATER.cell, (30, 32, 30)),
        SparcSettings(pseudopotential=str(library)),
        forces=True,
    )
    assert (tmp_path / "H.psp8").read_bytes() == (library / "h-of-mine.psp8").read_bytes()
    assert load(tmp_path / "O.psp8", 8).charge == 6


# -- a stand-in for the program ----------------------------------------------------------------------


@pytest.fixture
def stand_in(tmp_path):
    """A program that hands out a prepared folder's files, and the engine that starts it."""
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    program = tmp_path / "fake-sparc"
    program.write_text(
        f"#!{sys.executable}\nimport shutil, sys\nassert sys.argv[1] == '-name'\n"
        f"shutil.copytree({str(prepared)!r}, '.', dirs_exist_ok=True)\n"
    )
    program.chmod(0o755)
    engine = SparcEngine(SparcSettings(command=str(program)))
    grid = UniformGrid(WATER.cell, (30, 32, 30))
    atoms = superpose(WATER, grid, {z: engine.atomic_density(z) for z in WATER.species})
    density = atoms.rescaled(8.0).field
    _write_dens(prepared / f"{NAME}.dens", density)
    (prepared / f"{NAME}.out").write_text((DATA / "water.out").read_text())
    (prepared / f"{NAME}.eigen").write_text(EIGEN)
    (prepared / f"{NAME}.static").write_text(
        "Total free energy (Ha): -1.0\nAtomic forces (Ha/Bohr):\n"
        "  1.0E-02  0.0E+00  0.0E+00\n  2.0E-02  0.0E+00  0.0E+00\n -3.0E-02  0.0E+00  0.0E+00\n"
    )
    return engine, prepared, density


def _write_dens(path, density):
    """As SPARC prints it: six decimals of lengths, seven digits of values."""
    grid, order = density.grid, order_of_atoms(WATER)
    lengths = " ".join(f"{x:.6f}" for x in np.linalg.norm(WATER.cell, axis=1))
    lines = [
        "Electron density in Cube format printed by SPARC-X (Print time: Fri Nov 20 07:09:07 2026)",
        f"Cell length: {lengths}, boundary condition: P P P.",
        "    3    0.000000     0.000000     0.000000",
    ]
    for n, step in zip(grid.shape, WATER.cell / np.array(grid.shape)[:, None], strict=True):
        lines.append(f"{n:5d} " + " ".join(f"{x:11.6f}" for x in step))
    for z, x in zip(WATER.numbers[order], WATER.positions[order], strict=True):
        lines.append(f"{z:5d} {z:11.6f} " + " ".join(f"{c:11.6f}" for c in x))
    values = [" ".join(f"{v:13.6E}" for v in row) for row in density.values.reshape(-1, grid.shape[2])]
    path.write_text("\n".join([*lines, *values]) + "\n")


def test_ground_state_is_read_in_the_structures_order(stand_in):
    engine, _, density = stand_in
    state = engine.ground_state(WATER, density.grid)
    np.testing.assert_allclose(state.density.values, density.values, atol=1e-6)
    assert state.density.grid.matches(density.grid)
    assert state.forces is not None
    # the file has both hydrogens before the oxygen
    np.testing.assert_allclose(state.forces[:, 0], [0.01, -0.03, 0.02], atol=1e-12)
    assert state.free_energy == pytest.approx(sum(state.terms.values()))
    assert state.eigenvalues.shape == (2, 5)
    assert len(state.k_points) == 2


def test_harris_reads_the_first_iteration(stand_in):
    engine, _, density = stand_in
    found = engine.harris(WATER, density, output_density=True)
    assert found.free_energy == -1.7717843548e2
    assert found.density is not None
    assert engine.harris(WATER, density).density is None


def test_a_run_without_convergence_is_told(stand_in):
    engine, prepared, density = stand_in
    out = prepared / f"{NAME}.out"
    out.write_text(out.read_text() + "WARNING: SCF#1 did not converge to desired accuracy!\n")
    with pytest.raises(ConvergenceError, match="did not converge in 10"):
        engine.ground_state(WATER, density.grid)
    assert engine.harris(WATER, density).free_energy < 0


def test_a_run_without_output_is_told(stand_in):
    engine, prepared, density = stand_in
    (prepared / f"{NAME}.out").unlink()
    with pytest.raises(NearsightError, match="did not finish"):
        engine.ground_state(WATER, density.grid)


def test_it_is_registered_and_says_what_to_do_without_the_program():
    assert ENGINES["sparc"] is SparcEngine
    engine = SparcEngine(SparcSettings(command="absent-sparc"))
    with pytest.raises(InputError, match="SPARC is not here") as told:
        engine.ground_state(WATER)
    assert "\n" not in str(told.value)


def test_left_handed_cells_are_refused():
    mirrored = Structure(WATER.cell[[1, 0, 2]], WATER.positions, WATER.numbers)
    with pytest.raises(StructureError, match="right-handed"):
        SparcEngine().ground_state(mirrored)


@pytest.mark.parametrize(
    "wrong", [{"functional": "SCAN"}, {"order": 3}, {"smearing_kelvin": 0}, {"spacing": -1.0}, {"what": 1}]
)
def test_wrong_settings_are_one_line(wrong):
    with pytest.raises(InputError) as told:
        SparcEngine.from_settings(wrong)
    assert "\n" not in str(told.value)


def test_fingerprint_makes_the_same_engine():
    engine = SparcEngine.from_settings({"k_points": [2, 2, 1], "spacing": 0.3, "smearing_kelvin": 300})
    assert SparcEngine.from_fingerprint(engine.fingerprint()).fingerprint() == engine.fingerprint()


# -- with SPARC --------------------------------------------------------------------------------------


@pytest.mark.sparc
@pytest.mark.skipif(not shutil.which("sparc"), reason="the program sparc is not installed")
class TestSparcEngine(EngineConformance):
    energy_tolerance = 1e-5
    translation_tolerance = 1e-5

    @classmethod
    def make_engine(cls):
        command = os.environ.get("NEARSIGHT_SPARC_COMMAND", "sparc")
        return SparcEngine(SparcSettings(command=command, scf_tolerance=1e-6))
