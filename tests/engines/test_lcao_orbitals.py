"""Orbitals on the grid against PySCF's, their gradients, and independence of blocks and threads."""

import numpy as np
import pytest

from nearsight.engines.kpoints import KPoints
from nearsight.engines.lcao.integrals import Integrals, build_cell
from nearsight.engines.lcao.orbitals import Block, OrbitalGrid
from nearsight.errors import UnknownElementError
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

#: shells up to f, exponents shared or not, a cell smaller than the orbitals, atoms outside the cell
CELL = np.array([[7.0, 0.0, 0.3], [3.1, 6.5, 0.0], [-2.0, 1.0, 8.0]])
ATOMS = Structure(CELL, np.array([[0.0, -9.0, 0.0], [3.0, 2.0, 1.0], [1.0, 4.0, 12.0]]), np.array([8, 26, 1]))
LEFT_HANDED = Structure(CELL[[1, 0, 2]], ATOMS.positions, ATOMS.numbers)
CASES = [(ATOMS, "gth-dzvp-molopt-sr"), (LEFT_HANDED, "gth-dzvp-molopt-sr")]


def orbitals_of(structure, basis, shape=(18, 16, 20), *, limit=1000.0, threads=1, smallest=1e-9):
    cell = build_cell(structure, basis, "gth-pbe")
    grid = UniformGrid(structure.cell, shape)
    return cell, OrbitalGrid(cell, grid, smallest=smallest, memory_limit_mb=limit, threads=threads)


@pytest.mark.parametrize(("structure", "basis"), CASES)
def test_values_equal_pyscf(structure, basis):
    cell, orbitals = orbitals_of(structure, basis)
    ours = orbitals.evaluate(Block(slice(5, 8), slice(0, 16)), orbitals.waves[0]).T
    theirs = cell.pbc_eval_gto("GTOval", orbitals.grid.points(5 * 320, 8 * 320))
    assert np.abs(theirs).max() > 0.5
    assert {cell.bas_angular(b) for b in range(cell.nbas)} == {0, 1, 2, 3}
    np.testing.assert_allclose(ours, theirs, atol=1e-7)


def test_unshared_exponents_equal_pyscf():
    methane_like = Structure(CELL, np.array([[0.1, 0.2, 0.3], [2.0, 1.0, 0.5]]), np.array([6, 1]))
    cell, orbitals = orbitals_of(methane_like, "gth-tzv2p")
    theirs = cell.pbc_eval_gto("GTOval", orbitals.grid.points(0, 640))
    np.testing.assert_allclose(
        orbitals.evaluate(Block(slice(0, 2), slice(0, 16)), orbitals.waves[0]).T, theirs, atol=1e-7
    )


@pytest.mark.parametrize(("structure", "basis"), CASES)
def test_contracted_gradients_equal_pyscf(structure, basis):
    cell, orbitals = orbitals_of(structure, basis)
    weights = np.random.default_rng(1).normal(size=(orbitals.n_orbitals, 2 * 320))
    derivatives = cell.pbc_eval_gto("GTOval_sph_deriv1", orbitals.grid.points(3 * 320, 5 * 320))[1:]
    theirs = [np.einsum("mg,xgm->x", weights[s], derivatives[:, :, s]) for s in orbitals.slices]
    ours = orbitals.contract_gradients(weights, Block(slice(3, 5), slice(0, 16)), orbitals.waves[0])
    assert np.abs(ours).max() > 1
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_overlap_on_the_grid_converges_to_the_integral():
    soft = Structure(CELL, np.array([[0.1, 0.2, 0.3], [3.0, 3.0, 4.0]]), np.array([13, 14]))
    errors = []
    for shape in ((14, 14, 16), (20, 20, 24)):
        cell, orbitals = orbitals_of(soft, "gth-dzvp-molopt-sr", shape)
        values = orbitals.evaluate(Block(slice(0, shape[0]), slice(0, shape[1])), orbitals.waves[0])
        s = Integrals(soft, cell).overlap()[0]
        errors.append(np.abs(values @ values.T * orbitals.grid.dv - s).max())
    assert errors[0] < 1e-2
    assert errors[1] < 1e-6


def test_blocks_cover_the_grid_and_keeping_them_changes_nothing():
    shape = (30, 30, 40)
    _, kept = orbitals_of(ATOMS, "gth-dzvp-molopt-sr", shape, threads=2)
    _, anew = orbitals_of(ATOMS, "gth-dzvp-molopt-sr", shape, limit=1.0)
    assert kept.kept
    assert not anew.kept
    assert len(kept.blocks) > 3
    count = np.zeros(shape, dtype=int)
    for (block, _, ours), (_, _, theirs) in zip(
        kept.map(lambda _, __, values: values), anew.map(lambda _, __, values: values), strict=True
    ):
        count[block.planes, block.columns] += 1
        assert ours.shape == (kept.n_orbitals, block.of(count).size)
        np.testing.assert_array_equal(ours, theirs)
    assert (count == 1).all()


def test_cut_off_is_as_small_as_it_says():
    _, fine = orbitals_of(ATOMS, "gth-dzvp-molopt-sr", smallest=1e-12)
    _, coarse = orbitals_of(ATOMS, "gth-dzvp-molopt-sr", smallest=1e-4)
    everything = Block(slice(0, 18), slice(0, 16))
    difference = np.abs(
        fine.evaluate(everything, fine.waves[0]) - coarse.evaluate(everything, coarse.waves[0])
    ).max()
    assert 1e-7 < difference < 1e-3


def test_integrals_do_not_depend_on_the_handedness_of_the_cell():
    points = KPoints(np.array([[0.0, 0.0, 0.0], [0.1, 0.2, 0.3]]), np.full(2, 0.5))
    swapped = KPoints(points.fractional[:, [1, 0, 2]], points.weights)
    one, other = (
        Integrals(s, build_cell(s, "gth-dzvp-molopt-sr", "gth-pbe"), k)
        for s, k in ((ATOMS, points), (LEFT_HANDED, swapped))
    )
    for name in ("overlap", "kinetic", "nonlocal_pseudopotential"):
        for ours, theirs in zip(getattr(one, name)(), getattr(other, name)(), strict=True):
            assert np.abs(ours).max() > 0.5
            np.testing.assert_allclose(ours, theirs, atol=1e-7)


def test_elements_without_basis_are_refused():
    lanthanum = Structure(CELL, np.zeros((1, 3)), np.array([57]))
    with pytest.raises(UnknownElementError, match="no basis 'gth-dzvp-molopt-sr' for La"):
        build_cell(lanthanum, "gth-dzvp-molopt-sr", "gth-pbe")
