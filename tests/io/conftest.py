"""Snapshots to write and read."""

import numpy as np
import pytest

from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure


@pytest.fixture
def snapshot() -> Snapshot:
    """Two elements in a skewed cell, on a grid of three different odd and even lengths."""
    rng = np.random.default_rng(5)
    cell = np.array([[7.0, 0.0, 0.0], [1.5, 6.0, 0.3], [-0.7, 0.9, 8.0]])
    structure = Structure(cell, rng.uniform(0, 6, (3, 3)), np.array([8, 1, 1]))
    grid = UniformGrid(cell, (6, 7, 8))
    density = ScalarField(grid, rng.uniform(0.01, 1.0, grid.shape)).rescaled(8.0).field
    saed = ScalarField(grid, rng.uniform(0.01, 1.0, grid.shape)).rescaled(8.0).field
    return Snapshot(structure, density, 8.0, -17.25, rng.normal(size=(3, 3)), saed)
