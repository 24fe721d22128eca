import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nearsight.errors import ChargeError, GridMismatchError, InputError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid

SHAPES = st.tuples(st.integers(1, 11), st.integers(1, 11), st.integers(1, 11))
PHASES = st.floats(0.0, 6.0)


def resolved_by(*shapes: tuple[int, int, int]) -> st.SearchStrategy[tuple[int, int, int]]:
    """Whole numbers m of plane waves below the Nyquist frequency of all the given grids."""
    highest = [(min(n) - 1) // 2 for n in zip(*shapes, strict=True)]
    return st.tuples(*(st.integers(-m, m) for m in highest))


def wave(grid: UniformGrid, m: tuple[int, int, int], phase: float = 0.0) -> ScalarField:
    """cos(G·r + phase) with G = m1 b1 + m2 b2 + m3 b3."""
    argument = grid.points() @ (np.array(m) @ grid.reciprocal_cell)
    return ScalarField(grid, np.cos(argument + phase).reshape(grid.shape))


# -- integrals and arithmetic ---------------------------------------------------------------


@given(grid=..., phase=PHASES, data=st.data())
def test_a_plane_wave_integrates_to_zero_and_a_constant_to_the_volume(
    grid: UniformGrid, phase: float, data: st.DataObject
) -> None:
    m = data.draw(resolved_by(grid.shape))
    expected = grid.volume * np.cos(phase) if m == (0, 0, 0) else 0.0
    assert wave(grid, m, phase).integrate() == pytest.approx(expected, abs=1e-10 * grid.volume)


@given(...)
def test_fields_form_a_vector_space(field: ScalarField) -> None:
    np.testing.assert_allclose((2 * field - field).values, field.values, rtol=1e-15)
    assert (field + field).integrate() == pytest.approx((field * 2).integrate())


def test_fields_on_different_grids_do_not_mix() -> None:
    one = ScalarField(UniformGrid(5 * np.eye(3), (3, 4, 5)), np.ones((3, 4, 5)))
    stretched = ScalarField(UniformGrid(5.1 * np.eye(3), (3, 4, 5)), np.ones((3, 4, 5)))
    for other in (stretched, one.resampled((3, 4, 6))):
        with pytest.raises(GridMismatchError, match="resample one of them"):
            one - other
        with pytest.raises(GridMismatchError):
            one + other


def test_values_are_checked() -> None:
    grid = UniformGrid(np.eye(3), (2, 3, 4))
    with pytest.raises(GridMismatchError, match=r"\(4, 3, 2\) on a grid of shape \(2, 3, 4\)"):
        ScalarField(grid, np.zeros((4, 3, 2)))
    values = grid.zeros()
    values[0, 0, 0], values[1, 2, 3] = np.nan, np.inf
    with pytest.raises(InputError, match="2 of 24 values"):
        ScalarField(grid, values)


# -- rescaling ------------------------------------------------------------------------------


@given(field=..., n_electrons=st.floats(0.1, 500))
def test_rescaling_restores_the_count_and_reports_what_it_clipped(
    field: ScalarField, n_electrons: float
) -> None:
    negative = np.minimum(field.values, 0).sum() * field.grid.dv
    rescaled, clipped, factor = field.rescaled(n_electrons)
    assert rescaled.integrate() == pytest.approx(n_electrons, rel=1e-12)
    assert (rescaled.values >= 0).all()
    assert clipped == pytest.approx(-negative, rel=1e-9, abs=1e-12)
    positive = field.values > 0
    np.testing.assert_allclose(rescaled.values[positive], factor * field.values[positive], rtol=1e-12)


@given(...)
def test_rescaling_twice_changes_nothing(field: ScalarField) -> None:
    once = field.rescaled(7.0).field
    again = once.rescaled(7.0)
    assert again.clipped_charge == pytest.approx(0.0, abs=1e-12)
    assert again.factor == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(
    ("value", "n_electrons"), [(-1.0, 3.0), (0.0, 3.0), (1.0, 0.0), (1.0, -2.0), (1.0, np.nan)]
)
def test_what_cannot_be_scaled_is_refused(value: float, n_electrons: float) -> None:
    grid = UniformGrid(np.eye(3), (2, 2, 2))
    with pytest.raises(ChargeError, match="cannot scale"):
        ScalarField(grid, np.full(grid.shape, value)).rescaled(n_electrons)


# -- gradient -------------------------------------------------------------------------------


@given(grid=..., phase=PHASES, data=st.data())
def test_the_gradient_of_a_resolved_plane_wave_is_exact(
    grid: UniformGrid, phase: float, data: st.DataObject
) -> None:
    """∇cos(G·r + φ) = G cos(G·r + φ + π/2)."""
    m = data.draw(resolved_by(grid.shape).filter(any))
    g = np.array(m) @ grid.reciprocal_cell
    expected = g[:, None, None, None] * wave(grid, m, phase + np.pi / 2).values
    np.testing.assert_allclose(wave(grid, m, phase).gradient(), expected, atol=1e-10)


@given(grid=..., axis=st.integers(0, 2), phase=PHASES, data=st.data())
def test_the_gradient_drops_the_nyquist_frequency_and_nothing_else(
    grid: UniformGrid, axis: int, phase: float, data: st.DataObject
) -> None:
    """A wave at n/2 along one axis changes along the others alone."""
    assume(grid.shape[axis] % 2 == 0)
    m = list(data.draw(resolved_by(grid.shape)))
    m[axis] = 0
    along_others = np.array(m) @ grid.reciprocal_cell
    m[axis] = grid.shape[axis] // 2
    shifted = wave(grid, (m[0], m[1], m[2]), phase + np.pi / 2).values
    gradient = wave(grid, (m[0], m[1], m[2]), phase).gradient()
    np.testing.assert_allclose(gradient, along_others[:, None, None, None] * shifted, atol=1e-10)


@given(field=..., seed=st.integers(0, 999))
def test_the_gradient_is_antisymmetric(field: ScalarField, seed: int) -> None:
    """∫ f ∇g = −∫ g ∇f for noise, Nyquist components included: what a GGA potential rests on."""
    other = ScalarField(field.grid, np.random.default_rng(seed).normal(size=field.grid.shape))
    left = np.einsum("ijk,xijk->x", other.values, field.gradient())
    right = np.einsum("ijk,xijk->x", field.values, other.gradient())
    assert np.abs(left).max() > 1e-3
    np.testing.assert_allclose(left, -right, atol=1e-10)


@given(...)
def test_the_gradient_integrates_to_zero_and_ignores_a_constant(field: ScalarField) -> None:
    gradient = field.gradient()
    assert np.abs(gradient).max() > 1e-3
    np.testing.assert_allclose(gradient.sum(axis=(1, 2, 3)), 0, atol=1e-9)
    lifted = ScalarField(field.grid, field.values + 5.0)
    np.testing.assert_allclose(lifted.gradient(), gradient, atol=1e-11)


def test_the_gradient_agrees_with_finite_differences_in_a_skewed_cell() -> None:
    cell = np.array([[6.0, 0.0, 0.0], [2.0, 5.0, 0.0], [-1.0, 1.5, 7.0]])
    coarse = UniformGrid(cell, (5, 5, 5))
    smooth = ScalarField(coarse, np.random.default_rng(3).normal(size=coarse.shape)).resampled((80, 80, 80))
    along = np.einsum("x,xijk->ijk", cell[1] / 80, smooth.gradient())  # one step along the second vector
    difference = (np.roll(smooth.values, -1, axis=1) - np.roll(smooth.values, 1, axis=1)) / 2
    assert np.abs(along).max() > 0.05
    np.testing.assert_allclose(along, difference, atol=0.01 * np.abs(along).max())


# -- resampling -----------------------------------------------------------------------------


@given(grid=..., phase=PHASES, shape=SHAPES, data=st.data())
def test_resampling_is_exact_for_what_both_grids_resolve(
    grid: UniformGrid, phase: float, shape: tuple[int, int, int], data: st.DataObject
) -> None:
    m = data.draw(resolved_by(grid.shape, shape))
    expected = wave(UniformGrid(grid.cell, shape), m, phase)
    np.testing.assert_allclose(wave(grid, m, phase).resampled(shape).values, expected.values, atol=1e-11)


@given(grid=..., phase=PHASES, data=st.data())
def test_what_the_new_grid_cannot_hold_is_dropped_and_not_aliased(
    grid: UniformGrid, phase: float, data: st.DataObject
) -> None:
    m = data.draw(resolved_by(grid.shape).filter(any))
    n1, n2, n3 = (max(1, 2 * abs(a) - 1) for a in m)  # one point short of the frequency along each axis
    np.testing.assert_allclose(wave(grid, m, phase).resampled((n1, n2, n3)).values, 0, atol=1e-11)


@given(field=..., shape=SHAPES)
def test_resampling_conserves_the_integral(field: ScalarField, shape: tuple[int, int, int]) -> None:
    assert abs(field.integrate()) > 1e-3
    assert field.resampled(shape).integrate() == pytest.approx(field.integrate(), rel=1e-9)


@given(field=..., extra=SHAPES)
def test_refining_and_coarsening_gives_the_field_back(
    field: ScalarField, extra: tuple[int, int, int]
) -> None:
    """For noise, Nyquist components included, and mixed odd and even grids."""
    n1, n2, n3 = (n + e for n, e in zip(field.grid.shape, extra, strict=True))
    again = field.resampled((n1, n2, n3)).resampled(field.grid.shape)
    np.testing.assert_allclose(again.values, field.values, atol=1e-12)


@given(field=..., factor=st.integers(1, 3))
def test_a_refined_field_passes_through_its_points(field: ScalarField, factor: int) -> None:
    n1, n2, n3 = (factor * n for n in field.grid.shape)
    refined = field.resampled((n1, n2, n3))
    np.testing.assert_allclose(refined.values[::factor, ::factor, ::factor], field.values, atol=1e-12)


def test_the_repr_says_how_much_there_is() -> None:
    grid = UniformGrid(2 * np.eye(3), (2, 2, 2))
    assert repr(ScalarField(grid, np.ones(grid.shape))) == "ScalarField((2, 2, 2), integral 8)"
