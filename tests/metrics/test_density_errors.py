"""Density errors: plane waves with known integrals, scaling laws, norms' axioms."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearsight.errors import GridMismatchError, InputError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.metrics.density import DensityErrors, density_errors, h1_seminorm, l2_norm, mean_over
from nearsight.metrics.energy import energy_error_per_atom

SKEWED = np.array([[7.0, 0.4, -0.2], [1.1, 8.0, 0.6], [-0.5, 2.0, 9.0]])
GRID = UniformGrid(SKEWED, (10, 12, 15))


def random_field(seed: int, grid: UniformGrid = GRID, low: float = 0.5) -> ScalarField:
    return ScalarField(grid, low + np.random.default_rng(seed).random(grid.shape))


def plane_wave(grid: UniformGrid, index: tuple[int, int, int], amplitude: float) -> tuple[ScalarField, float]:
    """A cos(G·r) and |G|²."""
    g = np.array(index) @ grid.reciprocal_cell
    phase = grid.points().reshape(*grid.shape, 3) @ g
    return ScalarField(grid, amplitude * np.cos(phase)), float(g @ g)


@pytest.mark.parametrize("index", [(1, 0, 0), (2, -1, 3), (0, 4, 0)])
def test_plane_wave_error_has_its_analytic_norms(index: tuple[int, int, int]) -> None:
    amplitude, n_atoms = 0.03, 4
    reference = random_field(0)
    wave, g2 = plane_wave(GRID, index, amplitude)
    found = density_errors(reference + wave, reference, n_atoms)
    omega = GRID.volume
    l2 = amplitude**2 * omega / 2
    span = np.ptp(reference.values)
    assert found.nrmse_percent == pytest.approx(100 * np.sqrt(l2 / omega) / span)
    assert found.h1_seminorm == pytest.approx(np.sqrt(l2 * g2))
    assert found.h1_norm == pytest.approx(np.sqrt(l2 * (1 + g2)))
    assert found.h1_seminorm_per_sqrt_volume == pytest.approx(amplitude * np.sqrt(g2 / 2))
    assert found.h1_norm_per_sqrt_volume == pytest.approx(amplitude * np.sqrt((1 + g2) / 2))
    assert found.hartree_error_per_atom == pytest.approx(np.pi * amplitude**2 * omega / g2 / n_atoms)
    assert found.max_abs == pytest.approx(amplitude)


def test_uniform_error_is_pure_charge() -> None:
    reference = random_field(1)
    shifted = ScalarField(GRID, reference.values + 0.02)
    found = density_errors(shifted, reference, 2)
    assert found.nmae_percent == pytest.approx(100 * 0.02 * GRID.volume / reference.integrate())
    assert found.h1_seminorm == pytest.approx(0, abs=1e-10)
    assert found.hartree_error_per_atom == pytest.approx(0, abs=1e-12)
    assert found.h1_norm == pytest.approx(0.02 * np.sqrt(GRID.volume))


def test_equal_fields_have_no_error() -> None:
    field = random_field(2)
    assert all(value == 0 for value in asdict(density_errors(field, field, 3)).values())


@given(factor=st.floats(0.01, 50), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_scaling_laws(factor: float, seed: int) -> None:
    reference, other = random_field(seed), random_field(seed + 1)
    error = other - reference
    one = asdict(density_errors(reference + error, reference, 5))
    scaled = asdict(density_errors(reference + factor * error, reference, 5))
    for name, value in one.items():
        power = 2 if name == "hartree_error_per_atom" else 1
        assert value > 0
        assert scaled[name] == pytest.approx(factor**power * value, rel=1e-9), name


@given(factor=st.floats(0.01, 50))
@settings(max_examples=20, deadline=None)
def test_relative_errors_ignore_a_common_factor(factor: float) -> None:
    reference, other = random_field(3), random_field(4)
    one = density_errors(other, reference, 1)
    scaled = density_errors(factor * other, factor * reference, 1)
    assert scaled.nrmse_percent == pytest.approx(one.nrmse_percent)
    assert scaled.nmae_percent == pytest.approx(one.nmae_percent)


@given(seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_norms_obey_the_triangle_inequality(seed: int) -> None:
    a, b, c = (random_field(3 * seed + i) for i in range(3))
    for name in ("nrmse_percent", "h1_seminorm", "h1_norm", "max_abs"):
        # measured against one reference for all, as a norm needs
        direct, first, second = (
            getattr(density_errors(a + x, a, 1), name) for x in ((b - c) + (c - a), b - c, c - a)
        )
        assert 0 < direct <= first + second + 1e-12, name


def test_supercell_keeps_what_is_intensive() -> None:
    reference, other = random_field(5), random_field(6)
    big = UniformGrid(np.diag([1, 2, 1]) @ SKEWED, (10, 24, 15))
    doubled = [ScalarField(big, np.tile(f.values, (1, 2, 1))) for f in (other, reference)]
    one, two = asdict(density_errors(other, reference, 3)), asdict(density_errors(*doubled, 6))
    for name, value in one.items():
        extensive = name in ("h1_seminorm", "h1_norm")
        assert two[name] == pytest.approx(value * (np.sqrt(2) if extensive else 1), rel=1e-9), name


def test_seminorm_agrees_with_finite_differences() -> None:
    grid = UniformGrid(np.diag([6.0, 6.0, 6.0]), (36, 36, 36))
    x, y, z = grid.points().reshape(*grid.shape, 3).transpose(3, 0, 1, 2) * (2 * np.pi / 6)
    field = ScalarField(grid, np.exp(np.cos(x) + 0.5 * np.sin(y)) + np.cos(z + x))
    h = 6.0 / 36
    slopes = [
        (8 * (np.roll(field.values, -1, a) - np.roll(field.values, 1, a))
         - (np.roll(field.values, -2, a) - np.roll(field.values, 2, a))) / (12 * h)
        for a in range(3)
    ]  # fmt: skip
    expected = np.sqrt(sum((s**2).sum() for s in slopes) * grid.dv)
    assert h1_seminorm(field) == pytest.approx(expected, rel=1e-4)
    assert l2_norm(field) > 0


def test_mean_over_averages_each_error() -> None:
    a, b = DensityErrors(*range(8)), DensityErrors(*range(2, 10))
    assert mean_over([a, b]) == DensityErrors(*range(1, 9))
    with pytest.raises(InputError, match="no density errors"):
        mean_over([])


def test_what_cannot_be_compared_is_refused() -> None:
    field = random_field(7)
    coarse = random_field(7, UniformGrid(SKEWED, (5, 6, 5)))
    with pytest.raises(GridMismatchError, match="resample"):
        density_errors(coarse, field, 1)
    with pytest.raises(GridMismatchError):
        density_errors(random_field(7, UniformGrid(SKEWED * 1.01, GRID.shape)), field, 1)
    with pytest.raises(InputError, match="atom"):
        density_errors(field, field, 0)
    with pytest.raises(InputError, match="NRMSE"):
        density_errors(field, ScalarField(GRID, np.ones(GRID.shape)), 1)
    with pytest.raises(InputError, match="NMAE"):
        density_errors(field, -1 * field, 1)


def test_energy_error_is_per_atom_and_signed() -> None:
    assert energy_error_per_atom(-10.2, -10.0, 4) == pytest.approx(-0.05)
    with pytest.raises(InputError):
        energy_error_per_atom(-1.0, -1.0, 0)
