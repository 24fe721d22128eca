"""Correlation of errors whose length and content are known."""

import numpy as np
import pytest

from nearsight.errors import InputError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.metrics.correlation import error_correlation

CUBE = UniformGrid(np.eye(3) * 16.0, (32, 32, 32))
SKEWED = UniformGrid(np.array([[16.0, 0, 0], [5.0, 15.0, 0], [-3.0, 4.0, 17.0]]), (32, 30, 35))
FLAT = UniformGrid(np.diag([12.0, 12.0, 20.0]), (16, 48, 40))


def noise(grid: UniformGrid, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(grid.shape)


def filtered(grid: UniformGrid, width: float, seed: int = 0) -> ScalarField:
    """White noise convolved with exp(−r²/2w²): C(R) = exp(−R²/4w²) falls to 1/e at 2w."""
    spectrum = grid.fft(noise(grid, seed)) * np.exp(-0.5 * width**2 * grid.g_squared)
    return ScalarField(grid, grid.ifft(spectrum))


@pytest.mark.parametrize("grid", [CUBE, SKEWED, FLAT], ids=["cube", "skewed", "flat"])
def test_white_noise_is_independent_everywhere(grid: UniformGrid) -> None:
    found = error_correlation(ScalarField(grid, noise(grid)))
    assert found.n_effective == pytest.approx(grid.n_points, rel=0.05)
    assert 0 < found.length_bohr < grid.spacing.min()


@pytest.mark.parametrize("grid", [CUBE, SKEWED, FLAT], ids=["cube", "skewed", "flat"])
@pytest.mark.parametrize("width", [0.8, 1.2])
def test_filtered_noise_has_the_length_of_its_filter(grid: UniformGrid, width: float) -> None:
    lengths = [error_correlation(filtered(grid, width, seed)).length_bohr for seed in range(4)]
    assert np.mean(lengths) == pytest.approx(2 * width, rel=0.05)


@pytest.mark.parametrize("grid", [CUBE, SKEWED], ids=["cube", "skewed"])
def test_filtered_noise_holds_volume_over_correlated_volume(grid: UniformGrid) -> None:
    """∫C² = (2π)^(3/2) w³ for that filter."""
    width = 0.8
    counts = [error_correlation(filtered(grid, width, seed)).n_effective for seed in range(6)]
    assert np.mean(counts) == pytest.approx(grid.volume / ((2 * np.pi) ** 1.5 * width**3), rel=0.1)


def test_the_count_says_how_much_the_mean_square_scatters() -> None:
    """What it is for: Var⟨e²⟩ = 2⟨e²⟩²/n over many errors of one kind."""
    grid = UniformGrid(np.eye(3) * 16.0, (16, 16, 16))
    fields = [filtered(grid, 1.3, seed) for seed in range(300)]
    squares = np.array([np.mean(f.values**2) for f in fields])
    counts = np.mean([error_correlation(f).n_effective for f in fields])
    assert counts == pytest.approx(2 * squares.mean() ** 2 / squares.var(), rel=0.25)
    assert 20 < counts < 0.1 * grid.n_points


@pytest.mark.parametrize(
    ("index", "count"), [((1, 0, 0), 2), ((2, -1, 3), 2), ((16, 0, 0), 1), ((0, 0, 16), 1)]
)
def test_a_plane_wave_is_one_value_or_two(index: tuple[int, int, int], count: int) -> None:
    """Sine and cosine, of which the shortest wave of an even grid has only one."""
    phase = CUBE.points().reshape(*CUBE.shape, 3) @ (np.array(index) @ CUBE.reciprocal_cell)
    found = error_correlation(ScalarField(CUBE, 0.02 * np.cos(phase) + 0.5))
    assert found.n_effective == pytest.approx(count)


def test_a_long_wave_has_the_length_of_its_sinc() -> None:
    """The spherical average of cos(G·R) is sin(GR)/GR, 1/e at GR = 2.2."""
    g = 2 * np.pi / 16
    x = CUBE.points()[:, 0].reshape(CUBE.shape)
    found = error_correlation(ScalarField(CUBE, np.sin(g * x)))
    assert found.length_bohr * g == pytest.approx(2.2, rel=0.03)


def test_size_sign_and_offset_do_not_matter() -> None:
    field = filtered(SKEWED, 1.0)
    one = error_correlation(field)
    other = error_correlation(ScalarField(SKEWED, -3e-7 * field.values + 1e-8))
    assert other.n_effective == pytest.approx(one.n_effective)
    assert other.length_bohr == pytest.approx(one.length_bohr)


def test_a_finer_grid_holds_no_more() -> None:
    coarse = filtered(CUBE, 1.2)
    fine = coarse.resampled((48, 48, 48))
    one, two = error_correlation(coarse), error_correlation(fine)
    assert two.n_effective == pytest.approx(one.n_effective, rel=1e-6)
    assert two.length_bohr == pytest.approx(one.length_bohr, rel=0.03)


def test_a_longer_wave_than_the_ball_gives_its_radius() -> None:
    """Twelve bohr across, a wave of 60: nothing falls off within six."""
    grid = UniformGrid(np.diag([12.0, 12.0, 60.0]), (12, 12, 60))
    z = grid.points()[:, 2].reshape(grid.shape)
    found = error_correlation(ScalarField(grid, np.cos(2 * np.pi * z / 60)))
    assert found.length_bohr == pytest.approx(6.0)


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_constant_error_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="same at all points"):
        error_correlation(ScalarField(CUBE, np.full(CUBE.shape, value)))
