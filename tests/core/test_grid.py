from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearsight.errors import InputError
from nearsight.grid import UniformGrid


@given(...)
def test_points_sit_where_the_convention_says_in_c_order(grid: UniformGrid) -> None:
    n1, n2, n3 = grid.shape
    a1, a2, a3 = grid.cell
    expected = [i / n1 * a1 + j / n2 * a2 + k / n3 * a3 for i, j, k in product(*map(range, grid.shape))]
    np.testing.assert_allclose(grid.points(), expected, atol=1e-13)


@given(grid=..., data=st.data())
def test_blocks_of_points_are_slices_of_all_points(grid: UniformGrid, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, grid.n_points))
    stop = data.draw(st.integers(start, grid.n_points + 5))
    assert np.array_equal(grid.points(start, stop), grid.points()[start:stop])
    index = np.arange(start, min(stop, grid.n_points))[::-1]
    assert np.array_equal(grid.points_at(index), grid.points()[index])


@given(...)
def test_volume_elements_fill_the_cell(grid: UniformGrid) -> None:
    assert grid.dv * grid.n_points == pytest.approx(grid.volume)
    a, b, c = grid.cell
    assert grid.volume == pytest.approx(abs(np.dot(a, np.cross(b, c))))
    assert grid.zeros().shape == grid.shape


@given(...)
def test_reciprocal_vectors_are_dual_to_the_cell(grid: UniformGrid) -> None:
    np.testing.assert_allclose(grid.cell @ grid.reciprocal_cell.T, 2 * np.pi * np.eye(3), atol=1e-12)


@given(...)
def test_every_fourier_component_is_the_plane_wave_of_its_g_vector(grid: UniformGrid) -> None:
    """e^{iG·r} sampled on the grid has one coefficient, at G's place, of n_points."""
    g = grid.g_vectors()
    rng = np.random.default_rng(0)
    place = tuple(int(rng.integers(n)) for n in g.shape[1:])
    phase = (grid.points() @ g[(slice(None), *place)]).reshape(grid.shape)
    spectrum = np.fft.fftn(np.exp(1j * phase))
    assert spectrum[place] == pytest.approx(grid.n_points)
    spectrum[place] = 0
    np.testing.assert_allclose(spectrum, 0, atol=1e-8)


@given(...)
def test_g_squared_is_the_square_of_g(grid: UniformGrid) -> None:
    np.testing.assert_allclose(grid.g_squared, (grid.g_vectors() ** 2).sum(axis=0), rtol=1e-12)
    assert grid.g_squared[0, 0, 0] == 0
    assert np.count_nonzero(grid.g_squared == 0) == 1


@given(...)
def test_only_nyquist_frequencies_are_dropped(grid: UniformGrid) -> None:
    """In units of the reciprocal vectors, frequencies agree except at n/2, which becomes zero."""
    whole, dropped = (
        np.einsum("ax,xijk->aijk", grid.cell / (2 * np.pi), g)
        for g in (grid.g_vectors(), grid.g_vectors(zero_nyquist=True))
    )
    for axis, n in enumerate(grid.shape):
        nyquist = np.isclose(2 * np.abs(whole[axis]), n)
        assert nyquist.any() == (n % 2 == 0)
        np.testing.assert_allclose(dropped[axis][~nyquist], whole[axis][~nyquist], atol=1e-12)
        np.testing.assert_allclose(dropped[axis][nyquist], 0, atol=1e-12)


@given(...)
def test_wave_weights_make_the_real_fft_keep_the_scalar_product(grid: UniformGrid) -> None:
    """Parseval: a plane that stands for one wave or for two must be counted so."""
    values = np.random.default_rng(2).normal(size=grid.shape)
    power = np.abs(grid.fft(values)) ** 2 * grid.wave_weights / grid.n_points
    np.testing.assert_allclose(power.sum(), (values**2).sum(), rtol=1e-12)


@given(...)
def test_fft_and_back_is_the_identity_for_stacks_too(grid: UniformGrid) -> None:
    values = np.random.default_rng(1).normal(size=(2, *grid.shape))
    coefficients = grid.fft(values)
    assert coefficients.shape[1:] == grid.g_squared.shape
    np.testing.assert_allclose(grid.ifft(coefficients), values, atol=1e-13)
    np.testing.assert_allclose(coefficients[0, 0, 0, 0], values[0].sum(), atol=1e-11)


@given(grid=..., spacing=st.floats(0.2, 3.0))
def test_a_grid_by_spacing_is_fine_enough_and_not_much_finer(grid: UniformGrid, spacing: float) -> None:
    made = UniformGrid.with_spacing(grid.cell, spacing)
    assert (made.spacing <= spacing * (1 + 1e-4)).all()
    lengths = np.linalg.norm(made.cell, axis=1)
    assert (made.shape <= 1.25 * lengths / spacing + 2).all()  # smooth numbers are never far apart


def test_a_grid_by_the_spacing_of_a_grid_is_that_grid() -> None:
    grid = UniformGrid(7.653 * np.eye(3), (48, 48, 48))
    assert UniformGrid.with_spacing(grid.cell, grid.spacing[0]).shape == grid.shape


def test_grids_match_by_shape_and_cell() -> None:
    grid = UniformGrid(5 * np.eye(3), (4, 4, 4))
    assert grid.matches(UniformGrid(5 * np.eye(3) + 1e-8, (4, 4, 4)))
    assert not grid.matches(UniformGrid(5 * np.eye(3), (4, 4, 5)))
    assert not grid.matches(UniformGrid(5.001 * np.eye(3), (4, 4, 4)))
    assert grid.digest() != UniformGrid(5 * np.eye(3), (4, 4, 5)).digest()
    assert repr(grid) == "UniformGrid((4, 4, 4), spacing 1.250 1.250 1.250 bohr)"


@pytest.mark.parametrize(
    ("cell", "shape"),
    [
        (np.eye(2), (4, 4, 4)),
        (np.zeros((3, 3)), (4, 4, 4)),
        (np.full((3, 3), np.nan), (4, 4, 4)),
        (np.eye(3), (4, 4)),
        (np.eye(3), (4, 4, 0)),
    ],
)
def test_what_is_no_grid_is_refused(cell: np.ndarray, shape: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match=r"^a grid"):
        UniformGrid(cell, shape)


@pytest.mark.parametrize("spacing", [0.0, -0.3, np.nan, np.inf])
def test_what_is_no_spacing_is_refused(spacing: float) -> None:
    with pytest.raises(InputError, match="positive number of bohr"):
        UniformGrid.with_spacing(np.eye(3), spacing)
