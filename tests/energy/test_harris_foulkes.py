"""Energy errors: definitions checked with an engine whose functional is known exactly."""

import numpy as np
import pytest

from nearsight.energy import energy_error_per_atom, harris_energy
from nearsight.engines.protocol import NonSelfConsistent
from nearsight.errors import GridMismatchError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure


class Quadratic:
    """An engine whose functional is stationary at a known density: E = −1 + ∫(ρ − ρ_0)²."""

    def __init__(self, ground: ScalarField) -> None:
        self.ground = ground

    def harris(
        self, structure: Structure, density: ScalarField, *, output_density: bool = False
    ) -> NonSelfConsistent:
        error = density - self.ground
        energy = -1.0 + float((error.values**2).sum() * error.grid.dv)
        return NonSelfConsistent(energy, None, np.zeros(1), np.zeros(1), 0.0)


def test_energy_error_is_the_difference_per_atom_and_second_order() -> None:
    structure = Structure(np.eye(3) * 8, np.array([[0.0, 0, 0], [4.0, 4, 4]]), np.array([13, 13]))
    grid = UniformGrid(structure.cell, (6, 6, 6))
    rng = np.random.default_rng(0)
    ground = ScalarField(grid, rng.random(grid.shape))
    bump = ScalarField(grid, rng.normal(size=grid.shape) * 0.1)
    engine = Quadratic(ground)
    full = energy_error_per_atom(engine, structure, ground + bump, ground)  # type: ignore[arg-type]
    half = energy_error_per_atom(engine, structure, ground + 0.5 * bump, ground)  # type: ignore[arg-type]
    expected = (harris_energy(engine, structure, ground + bump) + 1.0) / 2  # type: ignore[arg-type]
    assert full > 0.1
    assert full == pytest.approx(expected, rel=1e-12)
    assert full / half == pytest.approx(4.0, rel=1e-9)
    other = ScalarField(UniformGrid(structure.cell, (5, 6, 6)), np.ones((5, 6, 6)))
    with pytest.raises(GridMismatchError, match="different grids"):
        energy_error_per_atom(engine, structure, other, ground)  # type: ignore[arg-type]
