"""The second-order estimate of what self-consistency would add to a Harris–Foulkes energy."""

import numpy as np
import pytest

from nearsight.engines import LcaoEngine, LcaoSettings
from nearsight.engines.correction import second_order_correction
from nearsight.engines.xc import ExchangeCorrelation
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure
from nearsight.units import ANGSTROM

#: eight atoms in a long cell, where long waves matter
ALUMINIUM = Structure(
    4.05 * ANGSTROM * np.diag([1, 1, 2]),
    4.05
    * ANGSTROM
    * np.array(
        [
            [0.05, 0, 0], [0, 0.5, 0.5], [0.5, 0.03, 0.5], [0.5, 0.5, 0.0],
            [0, 0, 1.04], [0, 0.5, 1.5], [0.5, 0, 1.47], [0.5, 0.46, 1.0],
        ]
    ),
    np.full(8, 13),
)  # fmt: skip
WATER = Structure(
    np.diag([8.0, 8.0, 8.0]), np.array([[1.1, 1.2, 1.3], [2.53, 2.3, 1.3], [-0.33, 2.3, 1.4]]), [8, 1, 1]
)


def _wave(grid: UniformGrid, amplitude: float) -> ScalarField:
    """A long wave of no net charge along the third cell vector."""
    phase = 2 * np.pi * np.arange(grid.shape[2]) / grid.shape[2]
    return ScalarField(grid, np.broadcast_to(amplitude * np.cos(phase), grid.shape))


@pytest.fixture(scope="module")
def metal() -> tuple[LcaoEngine, ScalarField, float]:
    engine = LcaoEngine(LcaoSettings(spacing=0.5, density_tolerance=1e-8))
    state = engine.ground_state(ALUMINIUM, forces=False)
    return engine, state.density, state.free_energy


def test_most_of_a_long_wave_s_error_is_seen(metal: tuple[LcaoEngine, ScalarField, float]) -> None:
    engine, rho, energy = metal
    found = engine.harris(ALUMINIUM, rho + _wave(rho.grid, 1e-3), output_density=True)
    error = found.free_energy - energy
    assert error < -1e-5
    assert found.correction is not None
    assert abs(error + found.correction) < 0.5 * abs(error)


def test_the_estimate_is_second_order(metal: tuple[LcaoEngine, ScalarField, float]) -> None:
    engine, rho, _ = metal
    whole, half = (
        engine.harris(ALUMINIUM, rho + _wave(rho.grid, size), output_density=True).correction
        for size in (1e-4, 5e-5)
    )
    assert whole is not None
    assert half is not None
    assert whole / half == pytest.approx(4, rel=0.05)


def test_it_is_no_part_of_the_energy(metal: tuple[LcaoEngine, ScalarField, float]) -> None:
    engine, rho, energy = metal
    found = engine.harris(ALUMINIUM, rho, output_density=True)
    assert found.free_energy == pytest.approx(sum(found.terms.values()), abs=1e-12)
    assert found.correction == pytest.approx(0, abs=1e-9)
    assert found.free_energy == pytest.approx(energy, abs=1e-8)
    assert engine.harris(ALUMINIUM, rho).correction is None


def test_the_hartree_part_is_kerkers_formula() -> None:
    grid = UniformGrid(np.diag([9.0, 10.0, 11.0]), (12, 12, 12))
    flat = ScalarField(grid, np.full(grid.shape, 0.03))
    wave, q = 1e-6, 1.2
    found = second_order_correction(flat, flat + _wave(grid, wave), ExchangeCorrelation("LDA,VWN"), q)
    g2 = (2 * np.pi / 11.0) ** 2
    step = g2 / (g2 + q**2)
    density = np.array([0.03, 0.03 * (1 + 1e-4)])
    potential = [
        ExchangeCorrelation("LDA,VWN").evaluate(ScalarField(grid, np.full(grid.shape, n)))[1].flat[0]
        for n in density
    ]
    kernel = 4 * np.pi / g2 + (potential[1] - potential[0]) / (density[1] - density[0])
    assert found == pytest.approx(0.5 * wave**2 / 2 * kernel * step * grid.volume, rel=1e-3)


def test_an_insulator_gets_none() -> None:
    engine = LcaoEngine(LcaoSettings(spacing=0.4))
    rho = engine.starting_density(WATER, engine.default_grid(WATER))
    assert engine.harris(WATER, rho, output_density=True).correction is None


def test_points_without_electrons_do_not_spoil_it(metal: tuple[LcaoEngine, ScalarField, float]) -> None:
    engine, rho, _ = metal
    moved = rho + _wave(rho.grid, 1e-4)
    usual = engine.harris(ALUMINIUM, moved, output_density=True).correction
    holes = moved.values.copy()
    lowest = np.argsort(holes, axis=None)[:20]
    holes.flat[lowest] = 0.0
    found = engine.harris(ALUMINIUM, ScalarField(rho.grid, holes), output_density=True)
    assert usual is not None
    assert found.correction == pytest.approx(usual, rel=0.1)
