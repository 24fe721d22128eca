"""Orbitals on the grid against PySCF's, their gradients, and independence of blocks and threads."""

import numpy as np
import pytest

from nearsight.engines.lcao import integrals
from nearsight.engines.lcao.orbitals import OrbitalGrid
from nearsight.errors import UnknownElementError
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

#: shells up to f, exponents shared or not, a cell smaller than the orbitals, atoms outside the cell
CELL = np.array([[7.0, 0.0, 0.3], [3.1, 6.5, 0.0], [-2.0, 1.0, 8.0]])
ATOMS = Structure(CELL, np.array([[0.0, -9.0, 0.0], [3.0, 2.0, 1.0], [1.0, 4.0, 12.0]]), np.array([8, 26, 1]))
LEFT_HANDED = Structure(CELL[[1, 0, 2]], ATOMS.positions, ATOMS.numbers)
CASES = [(ATOMS, "gth-dzvp-molopt-sr"), (LEFT_HANDED, "gth-dzvp-molopt-sr")]


def orbitals_of(structure, basis, shape=(18, 16, 20), *, limit=1000.0, threads=1, smallest=1e-9):
    cell = integrals.build_cell(structure, basis, "gth-pbe")
    grid = UniformGrid(structure.cell, shape)
    return cell, OrbitalGrid(cell, grid, smallest=smallest, memory_limit_mb=limit, threads=threads)


@pytest.mark.parametrize(("structure", "basis"), CASES)
def test_values_equal_pyscf(structure, basis):
    cell, orbitals = orbitals_of(structure, basis)
    ours = orbitals.evaluate(range(5, 8)).T
    theirs = cell.pbc_eval_gto("GTOval", orbitals.grid.points(5 * 320, 8 * 320))
    assert np.abs(theirs).max() > 0.5
    assert {cell.bas_angular(b) for b in range(cell.nbas)} == {0, 1, 2, 3}
    np.testing.assert_allclose(ours, theirs, atol=1e-7)


def test_unshared_exponents_equal_pyscf():
    methane_like = Structure(CELL, np.array([[0.1, 0.2, 0.3], [2.0, 1.0, 0.5]]), np.array([6, 1]))
    cell, orbitals = orbitals_of(methane_like, "gth-tzv2p")
    theirs = cell.pbc_eval_gto("GTOval", orbitals.grid.points(0, 640))
    np.testing.assert_allclose(orbitals.evaluate(range(2)).T, theirs, atol=1e-7)


@pytest.mark.parametrize(("structure", "basis"), CASES)
def test_contracted_gradients_equal_pyscf(structure, basis):
    cell, orbitals = orbitals_of(structure, basis)
    weights = np.random.default_rng(1).normal(size=(orbitals.n_orbitals, 2 * 320))
    derivatives = cell.pbc_eval_gto("GTOval_sph_deriv1", orbitals.grid.points(3 * 320, 5 * 320))[1:]
    theirs = [np.einsum("mg,xgm->x", weights[s], derivatives[:, :, s]) for s in orbitals.slices]
    ours = orbitals.contract_gradients(weights, range(3, 5))
    assert np.abs(ours).max() > 1
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_overlap_on_the_grid_converges_to_the_integral():
    soft = Structure(CELL, np.array([[0.1, 0.2, 0.3], [3.0, 3.0, 4.0]]), np.array([13, 14]))
    errors = []
    for shape in ((14, 14, 16), (20, 20, 24)):
        cell, orbitals = orbitals_of(soft, "gth-dzvp-molopt-sr", shape)
        values = orbitals.evaluate(range(shape[0]))
        s = integrals.overlap(cell)
        errors.append(np.abs(values @ values.T * orbitals.grid.dv - s).max())
    assert errors[0] < 1e-2
    assert errors[1] < 1e-6


def test_blocks_cover_the_grid_and_keeping_them_changes_nothing():
    shape = (30, 30, 40)
    _, kept = orbitals_of(ATOMS, "gth-dzvp-molopt-sr", shape, threads=2)
    _, anew = orbitals_of(ATOMS, "gth-dzvp-molopt-sr", shape, limit=1.0)
    assert kept.kept
    assert not anew.kept
    assert len(kept.planes) > 3
    for (points, ours), (_, theirs) in zip(
        kept.map(lambda _, points, values: (points, values)),
        anew.map(lambda _, points, values: (points, values)),
        strict=True,
    ):
        assert ours.shape == (kept.n_orbitals, points.stop - points.start)
        np.testing.assert_array_equal(ours, theirs)
    assert points.stop == kept.grid.n_points


def test_cut_off_is_as_small_as_it_says():
    _, fine = orbitals_of(ATOMS, "gth-dzvp-molopt-sr", smallest=1e-12)
    _, coarse = orbitals_of(ATOMS, "gth-dzvp-molopt-sr", smallest=1e-4)
    difference = np.abs(fine.evaluate(range(18)) - coarse.evaluate(range(18))).max()
    assert 1e-7 < difference < 1e-3


def test_integrals_do_not_depend_on_the_handedness_of_the_cell():
    cells = [integrals.build_cell(s, "gth-dzvp-molopt-sr", "gth-pbe") for s in (ATOMS, LEFT_HANDED)]
    for integral in (integrals.overlap, integrals.kinetic, integrals.nonlocal_pseudopotential):
        ours, theirs = (integral(cell) for cell in cells)
        assert np.abs(ours).max() > 0.5
        np.testing.assert_allclose(ours, theirs, atol=1e-7)


def test_elements_without_basis_are_refused():
    uranium = Structure(CELL, np.zeros((1, 3)), np.array([92]))
    with pytest.raises(UnknownElementError, match="no basis 'gth-dzvp-molopt-sr' for U"):
        integrals.build_cell(uranium, "gth-dzvp-molopt-sr", "gth-pbe")
