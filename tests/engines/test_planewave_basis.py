"""Plane waves: transforms, real orbitals at symmetric wave vectors, spherical harmonics, the eigensolver."""

import numpy as np
import pytest
import torch
from scipy.special import mathieu_a

from nearsight.engines.gth import gth_potential
from nearsight.engines.planewave.davidson import davidson, orthonormal
from nearsight.engines.planewave.hamiltonian import Hamiltonian, squared
from nearsight.engines.planewave.harmonics import real_harmonics
from nearsight.engines.planewave.nonlocal_potential import NonLocal
from nearsight.engines.planewave.sphere import PlaneWaves, box_shape, sphere
from nearsight.engines.planewave.threads import Workers, find_device, workers
from nearsight.errors import InputError
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

CELL = np.array([[5.4, 0.0, 0.0], [2.7, 4.8, 0.0], [0.3, 0.2, 6.9]])
CPU = torch.device("cpu")
#: Γ, two points where orbitals are real, and two where they are not
POINTS = [(0, 0, 0), (0.5, 0, 0), (0.5, -0.5, 0.5), (0.25, 0, 0), (0.1, -0.3, 0.2)]
ECUT = 4.0


def plane_waves(k, ecut=ECUT, cell=CELL):
    points = np.array([k], dtype=float)
    grid = UniformGrid.with_spacing(cell, 0.25)
    return PlaneWaves(cell, points[0], ecut, box_shape(grid, points, ecut), CPU)


def values_at(waves, x, r):
    """ψ at Cartesian points by the plain sum over plane waves, for vectors (m, len)."""
    if waves.real:
        half = torch.view_as_complex(x.reshape(len(x), -1, 2)) / waves._root
        c = half.numpy()
        plain = c @ np.exp(1j * waves.waves @ r.T)
        own = waves._root.numpy() == 1.0
        mirrored = np.conj(c[:, ~own]) @ np.exp(-1j * waves.waves[~own] @ r.T)
        return (plain + mirrored) / np.sqrt(waves.volume)
    return x.numpy() @ np.exp(1j * waves.waves @ r.T) / np.sqrt(waves.volume)


@pytest.mark.parametrize("k", POINTS)
def test_sphere_holds_every_wave_below_the_cutoff(k):
    index = sphere(CELL, np.array(k), ECUT)
    b = 2 * np.pi * np.linalg.inv(CELL).T
    everything = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3, indexing="ij"), -1).reshape(-1, 3)
    waves = (everything + np.array(k)) @ b
    inside = 0.5 * (waves**2).sum(axis=1) <= ECUT
    assert len(index) == inside.sum() > 50
    assert {tuple(row) for row in index} == {tuple(row) for row in everything[inside]}


@pytest.mark.parametrize("k", POINTS)
@pytest.mark.parametrize("n", [4, 5])
def test_there_and_back_again(k, n):
    waves = plane_waves(k)
    x = waves.random(n, np.random.default_rng(0))
    torch.testing.assert_close(waves.from_box(waves.to_box(x), n), x)
    single = x.to(waves.dtype(single=True))
    assert waves.from_box(waves.to_box(single), n).dtype == single.dtype


@pytest.mark.parametrize("k", POINTS)
def test_vectors_are_the_orbitals_they_stand_for(k):
    """Values, scalar products, gradients and densities, by the plain sum over plane waves."""
    waves = plane_waves(k)
    assert waves.real == bool(np.allclose(2 * np.array(k), np.rint(2 * np.array(k))))
    x = waves.random(3, np.random.default_rng(1))
    box = UniformGrid(CELL, waves.shape)
    psi = values_at(waves, x, box.points())
    if waves.real:
        assert np.abs(psi.imag).max() < 1e-12 < np.abs(psi.real).max()
    products = (psi.conj() @ psi.T) * box.dv
    np.testing.assert_allclose(products, (x.conj() @ x.mT).numpy(), atol=1e-12)

    f = torch.tensor([2.0, 0.7, 1.3], dtype=torch.float64)
    with workers(2, CPU) as pool:
        rho = squared(waves, x, f, pool).numpy()
    np.testing.assert_allclose(rho.ravel(), f.numpy() @ np.abs(psi) ** 2, atol=1e-12)

    step = 1e-4
    for axis in range(3):
        move = step * np.eye(3)[axis]
        ahead, behind = (values_at(waves, x, box.points()[:20] + sign * move) for sign in (1, -1))
        slope = values_at(waves, waves.gradient(x, axis), box.points()[:20])
        np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), atol=1e-6)


def test_box_is_refused_where_it_cannot_hold_the_orbitals():
    with pytest.raises(InputError, match=r"too coarse for orbitals up to 4 hartree; use a spacing of 0\.555"):
        box_shape(UniformGrid(CELL, (4, 20, 20)), np.zeros((1, 3)), ECUT)


def test_box_is_no_larger_than_the_grid():
    assert box_shape(UniformGrid(CELL, (6, 64, 64)), np.zeros((1, 3)), ECUT)[0] == 6


@pytest.mark.parametrize("ell", range(4))
def test_harmonics_are_orthonormal_on_the_sphere(ell):
    z, weights = np.polynomial.legendre.leggauss(10)
    phi = 2 * np.pi * np.arange(16) / 16
    z, phi = (a.ravel() for a in np.meshgrid(z, phi, indexing="ij"))
    s = np.sqrt(1 - z**2)
    vectors = np.stack([s * np.cos(phi), s * np.sin(phi), z], axis=1)
    y = np.concatenate([real_harmonics(degree, 2.5 * vectors) for degree in range(ell + 1)])
    overlap = (y * np.repeat(weights, 16) * 2 * np.pi / 16) @ y.T
    np.testing.assert_allclose(overlap, np.eye((ell + 1) ** 2), atol=1e-13)


def test_harmonics_beyond_f_are_refused():
    with pytest.raises(InputError, match="l = 4"):
        real_harmonics(4, np.ones((1, 3)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_davidson_finds_what_dense_algebra_finds(dtype):
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(120, 120, dtype=dtype, generator=generator)
    diagonal = torch.linspace(0.0, 60.0, 120, dtype=torch.float64)
    matrix = torch.diag(diagonal).to(dtype) + 0.3 * (noise + noise.mH)
    start = torch.randn(8, 120, dtype=dtype, generator=generator)
    with workers(1, CPU) as pool:
        found = davidson(
            lambda x: x @ matrix.mT, diagonal, start, pool,
            tolerance=1e-9, importance=torch.ones(8, dtype=torch.float64), max_steps=80,
        )  # fmt: skip
    torch.testing.assert_close(found.values, torch.linalg.eigvalsh(matrix)[:8], rtol=0, atol=1e-10)
    assert found.residuals.max() < 1e-9
    torch.testing.assert_close(found.vectors.conj() @ found.vectors.mT, torch.eye(8, dtype=dtype))


def test_dependent_rows_drop_out():
    rows = torch.eye(4, dtype=torch.float64)
    with workers(1, CPU) as pool:
        assert orthonormal(torch.cat([rows, rows[:2]]), pool).shape == (4, 4)


@pytest.mark.parametrize("k", POINTS)
def test_empty_lattice_has_free_electrons(k):
    """Without a potential the eigenvalues are ½|k + G|²."""
    waves = plane_waves(k)
    values = lowest_values(waves, np.zeros(waves.shape), 7)
    full = sphere(CELL, np.array(k), ECUT) + np.array(k)
    free = np.sort(0.5 * ((full @ (2 * np.pi * np.linalg.inv(CELL).T)) ** 2).sum(axis=1))
    np.testing.assert_allclose(values, free[:7], atol=1e-10)


def test_cosine_potential_has_mathieus_energies():
    """−½ψ'' + V cos(Gx) ψ along one axis, the others empty."""
    cell = np.diag([6.0, 2.0, 2.0])
    g, v = 2 * np.pi / 6.0, 0.4
    waves = plane_waves((0, 0, 0), ecut=25.0, cell=cell)
    x = np.arange(waves.shape[0]) / waves.shape[0]
    potential = v * np.cos(2 * np.pi * x)[:, None, None] * np.ones(waves.shape)
    found = lowest_values(waves, potential, 1)[0]
    assert abs(found - g**2 / 8 * mathieu_a(0, 4 * v / g**2)) < 1e-9


def test_threads_change_nothing_and_are_given_back():
    waves = plane_waves((0.5, 0, 0))
    x = waves.random(40, np.random.default_rng(2))
    before = torch.get_num_threads()
    results = []
    for count in (1, 2):
        with workers(count, CPU) as pool:
            assert torch.get_num_threads() == 1
            potential = torch.as_tensor(np.random.default_rng(5).random(waves.shape))
            results.append(Hamiltonian(waves, projectors(waves), potential, pool)(x))
    torch.testing.assert_close(*results, rtol=0, atol=1e-13)
    assert torch.get_num_threads() == before


def test_unknown_devices_are_refused():
    with pytest.raises(InputError, match="device 'abacus' is not available"):
        find_device("abacus")
    assert find_device("auto").type in ("cpu", "cuda")


def projectors(waves):
    """Of a silicon atom."""
    structure = Structure(waves.cell, np.array([[0.3, 0.1, 0.5]]), np.array([14]))
    return NonLocal(structure, {14: gth_potential("gth-pbe", 14)}, waves, 100.0)


def lowest_values(waves, potential, n):
    """Eigenvalues without any projectors."""
    hydrogen = Structure(waves.cell, np.zeros((1, 3)), np.array([1]))
    none = NonLocal(hydrogen, {1: gth_potential("gth-pbe", 1)}, waves, 1.0)
    pool = Workers(1, CPU)
    found = davidson(
        Hamiltonian(waves, none, torch.as_tensor(potential), pool),
        waves.kinetic, waves.random(n + 4, np.random.default_rng(0)), pool,
        tolerance=1e-7, importance=torch.ones(n + 4, dtype=torch.float64), max_steps=100,
    )  # fmt: skip
    return found.values[:n].numpy()
