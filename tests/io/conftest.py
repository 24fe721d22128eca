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


@pytest.fixture
def blobs() -> Snapshot:
    """A Gaussian at each of four atoms: a density that shows where its atoms are, whatever the axes."""
    cell = np.array([[9.0, 0.0, 0.0], [2.4, 8.0, 0.0], [-1.1, 1.7, 10.0]])
    fractional = np.array([[0.1, 0.2, 0.05], [0.6, 0.15, 0.4], [0.3, 0.7, 0.65], [0.8, 0.55, 0.9]])
    structure = Structure(cell, fractional @ cell, np.array([3, 3, 8, 3]))
    grid = UniformGrid(cell, (20, 18, 24))
    charges, widths = np.array([1.0, 1.0, 6.0, 1.0]), np.array([1.3, 1.3, 0.8, 1.3])
    g = grid.g_vectors()
    spectrum = np.zeros(g.shape[1:], dtype=complex)
    for position, charge, width in zip(structure.positions, charges, widths, strict=True):
        phase = np.exp(-1j * np.tensordot(position, g, 1))
        spectrum += charge / grid.dv * phase * np.exp(-grid.g_squared * width**2 / 2)
    return Snapshot(structure, ScalarField(grid, grid.ifft(spectrum)), 9.0)
