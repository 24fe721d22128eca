"""The spherical atom: analytic spectra, derivatives of energies, Janak's theorem, PySCF."""

import numpy as np
import pytest
from ase.data import atomic_numbers
from pyscf import dft, gto

from nearsight.engines import radial_atom
from nearsight.engines.radial_atom import AtomSolution, solve_atom, solve_spherical
from nearsight.engines.radial_basis import RadialSpace
from nearsight.engines.radial_pseudopotential import load_radial
from nearsight.errors import InputError, UnknownElementError

SPACE = RadialSpace()


def radial_spectrum(potential: np.ndarray, ell: int, n: int) -> np.ndarray:
    s = SPACE
    v = potential + 0.5 * ell * (ell + 1) / s.r**2
    h = 0.5 * (s.du * s.weight) @ s.du.T + (s.u * (s.weight * v)) @ s.u.T
    return np.linalg.eigvalsh(h)[:n]


# -- the basis --------------------------------------------------------------------------------


def test_basis_is_orthonormal_and_vanishes_at_the_walls() -> None:
    overlap = (SPACE.u * SPACE.weight) @ SPACE.u.T
    np.testing.assert_allclose(overlap, np.eye(SPACE.order), atol=1e-10)
    ends, _ = SPACE.at(np.array([0.0, SPACE.box]))
    assert np.abs(ends).max() < 1e-8


def test_quadrature_and_running_integral_are_exact_for_an_exponential() -> None:
    f = np.exp(-1.3 * SPACE.r)
    assert SPACE.weight @ f == pytest.approx(1 / 1.3, rel=1e-12)
    np.testing.assert_allclose(SPACE.cumulative @ f, (1 - f) / 1.3, atol=1e-12)


def test_derivative_of_the_basis_matches_finite_differences() -> None:
    r, h = np.linspace(0.3, 20, 40), 1e-5
    _, slope = SPACE.at(r)
    expected = (SPACE.at(r + h)[0] - SPACE.at(r - h)[0]) / (2 * h)
    assert np.abs(slope).max() > 1
    np.testing.assert_allclose(slope, expected, atol=1e-5)


@pytest.mark.parametrize("ell", [0, 1, 2])
def test_hydrogen_like_spectrum(ell: int) -> None:
    found = radial_spectrum(-4 / SPACE.r, ell, 2)
    n = ell + 1 + np.arange(2)
    np.testing.assert_allclose(found, -8 / n**2, rtol=1e-7)


@pytest.mark.parametrize("ell", [0, 1, 3])
def test_oscillator_spectrum(ell: int) -> None:
    found = radial_spectrum(0.5 * SPACE.r**2, ell, 4)
    np.testing.assert_allclose(found, ell + 1.5 + 2 * np.arange(4), rtol=1e-9)


# -- Hartree, exchange and correlation --------------------------------------------------------


def orbital_density(c: np.ndarray) -> np.ndarray:
    """Density and slope of two electrons in the s orbital with coefficients c."""
    u, du, r = c @ SPACE.u, c @ SPACE.du, SPACE.r
    return np.array([2 * (u / r) ** 2, 4 * (u / r) * (du - u / r) / r]) / (4 * np.pi)


def test_hartree_energy_of_a_gaussian() -> None:
    a = 0.7
    rho = 3 * (a / np.pi) ** 1.5 * np.exp(-a * SPACE.r**2)
    found = radial_atom._mean_field(np.array([rho, -2 * a * SPACE.r * rho]), "PBE", SPACE).hartree
    assert found == pytest.approx(9 * 0.5 * np.sqrt(2 * a / np.pi), rel=1e-11)


@pytest.mark.parametrize("functional", ["LDA,VWN", "PBE"])
def test_potential_matrix_is_the_derivative_of_the_energy(functional: str) -> None:
    """dE/dh for an orbital c + h d is 2 · 2 d·V·c (two electrons)."""
    r = SPACE.r
    c = (SPACE.u * SPACE.weight) @ (r * np.exp(-1.1 * r))
    d = (SPACE.u * SPACE.weight) @ (r * np.exp(-0.8 * r**2))
    mean = radial_atom._mean_field(orbital_density(c), functional, SPACE)
    h = 1e-4
    plus, minus = (radial_atom._mean_field(orbital_density(c + s * d), functional, SPACE) for s in (h, -h))
    slope = (plus.hartree + plus.xc - minus.hartree - minus.xc) / (2 * h)
    assert abs(slope) > 1e-2
    assert 4 * d @ mean.matrix @ c == pytest.approx(slope, rel=1e-6)


# -- whole atoms ------------------------------------------------------------------------------


def pyscf_atom(symbol: str, occupations: list[int], exponents: np.ndarray) -> tuple[float, np.ndarray]:
    """Energy and density at r = 0, 0.5 … 3 by PySCF, shells spread evenly over m and spin."""
    basis = {symbol: [[ell, [a, 1.0]] for ell in range(len(occupations)) for a in exponents]}
    odd = sum(occupations) % 2
    mol = gto.M(atom=f"{symbol} 0 0 0", basis=basis, pseudo={symbol: "gth-pbe"}, spin=odd, verbose=0)
    mf = dft.rks.RKS(mol, xc="PBE")
    mf.grids.level, mf.conv_tol = 5, 1e-10
    ell_of = np.concatenate(
        [np.full(2 * mol.bas_angular(i) + 1, mol.bas_angular(i)) for i in range(mol.nbas)]
    )

    def get_occ(energies: np.ndarray, orbitals: np.ndarray) -> np.ndarray:
        found = np.zeros(len(energies))
        for ell, electrons in enumerate(occupations):
            part = np.einsum("pi,pi->i", orbitals * (ell_of == ell)[:, None], mf.get_ovlp() @ orbitals)
            found[np.flatnonzero(part > 0.5)[: 2 * ell + 1]] = electrons / (2 * ell + 1)
        return found

    mf.get_occ = get_occ
    energy = mf.kernel()
    assert mf.converged
    r = np.linspace(0, 3, 7)
    ao = mol.eval_gto("GTOval", np.stack([0 * r, 0 * r, r], axis=1))
    return float(energy), np.einsum("gp,pq,gq->g", ao, np.asarray(mf.make_rdm1()), ao)


@pytest.mark.parametrize(
    ("symbol", "occupations", "exponents", "tolerance"),
    [
        ("H", [1], np.geomspace(0.02, 60, 14), 1e-6),
        ("He", [2], np.geomspace(0.05, 120, 14), 1e-6),
        ("Al", [2, 1], np.geomspace(0.015, 8, 10), 2e-5),
    ],
)
def test_agrees_with_pyscf(symbol: str, occupations: list[int], exponents: np.ndarray, tolerance: float):
    energy, density = pyscf_atom(symbol, occupations, exponents)
    solution = solve_spherical(atomic_numbers[symbol])
    # the Gaussian basis is not complete: its energy lies above, by what its exponents miss
    assert -1e-7 < energy - solution.energy < tolerance
    np.testing.assert_allclose(solution.density(np.linspace(0, 3, 7)), density, atol=2e-3 * density.max())


@pytest.mark.parametrize("number", [8, 13, 28])
def test_energy_has_converged_with_the_basis(number: int) -> None:
    energies = [solve_spherical(number, space=RadialSpace(order)).energy for order in (40, 60, 80, 110)]
    assert abs(energies[0] - energies[3]) > 10 * abs(energies[1] - energies[3])
    assert energies[2] == pytest.approx(energies[3], abs=2e-8)


def test_larger_box_changes_nothing() -> None:
    small, large = (solve_spherical(13, space=RadialSpace(110, box)).energy for box in (32.0, 44.0))
    assert small == pytest.approx(large, abs=1e-8)


@pytest.mark.parametrize(("number", "ell"), [(2, 0), (13, 1), (26, 2)])
def test_eigenvalue_is_the_derivative_by_occupation(number: int, ell: int) -> None:
    """Janak's theorem, PRB 18, 7165 (1978)."""

    def solve(step: float) -> AtomSolution:
        atom = radial_atom._Atom(load_radial(number, "gth-pbe"), "PBE", SPACE)
        atom.occupations[atom.momenta.index(ell)][-1] += step
        return atom.solve()

    h = 1e-3
    slope = (solve(h).energy - solve(-h).energy) / (2 * h)
    eigenvalue = [shell.eigenvalue for shell in solve(0).shells if shell.ell == ell][-1]
    assert eigenvalue < -0.05
    assert slope == pytest.approx(eigenvalue, abs=1e-5)


@pytest.mark.parametrize("symbol", ["H", "C", "O", "Al", "Si", "Fe", "Ni", "Ge", "Sn"])
def test_table_is_a_proper_density(symbol: str) -> None:
    number = atomic_numbers[symbol]
    table, solution = solve_atom(number), solve_spherical(number)
    electrons = load_radial(number, "gth-pbe").electrons
    assert table.n_electrons == sum(electrons) == sum(shell.occupation for shell in solution.shells)
    assert table.integrate() == pytest.approx(table.n_electrons, abs=1e-8)
    assert table.rho[-1] == 0
    assert table.cutoff <= 12
    assert abs(table.spline(table.cutoff - 0.05, 1)) < 1e-6
    # inside, the table is the solution, up to the charge that its tail has lost
    r = np.linspace(0, 4, 50) + 0.003
    kept = table.n_electrons / (table.n_electrons - table.source["charge_cut"])
    assert 1 <= kept < 1.001
    np.testing.assert_allclose(table(r), kept * solution.density(r), atol=1e-6 * table.rho.max())


def test_all_elements_to_xenon_converge() -> None:
    tables = [solve_atom(number) for number in range(1, 55)]
    for number, table in enumerate(tables, 1):
        assert table.number == number
        assert table.integrate() == pytest.approx(table.n_electrons, abs=1e-7)
        assert table.source["energy"] < -0.4


def test_open_shells_are_averaged() -> None:
    shells = solve_spherical(28).shells
    assert [(s.ell, s.occupation) for s in shells] == [(0, 2), (0, 2), (1, 6), (2, 8)]
    assert all(s.eigenvalue < 0 for s in shells)


def test_result_is_cached() -> None:
    assert solve_atom(6) is solve_atom(6)


@pytest.mark.parametrize(("number", "family"), [(95, "gth-pbe"), (13, "no-such"), (0, "gth-pbe")])
def test_missing_pseudopotential_is_one_clear_error(number: int, family: str) -> None:
    with pytest.raises(UnknownElementError, match="no pseudopotential"):
        solve_atom(number, family)


@pytest.mark.parametrize("functional", ["TPSS", "B3LYP", "nonsense"])
def test_functionals_it_cannot_do_are_refused(functional: str) -> None:
    with pytest.raises(InputError, match="functional"):
        solve_atom(1, functional=functional)
