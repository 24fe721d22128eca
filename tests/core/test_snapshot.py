import numpy as np
import pytest

from nearsight.errors import ChargeError, GridMismatchError, InputError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.snapshot import CHARGE_TOLERANCE, Snapshot
from nearsight.structure import Structure

CELL = np.array([[6.0, 0.0, 0.0], [1.0, 5.0, 0.0], [0.0, 2.0, 7.0]])
STRUCTURE = Structure(CELL, np.array([[0.0, 0.0, 0.0], [3.0, 2.0, 3.0]]), np.array([13, 13]))
GRID = UniformGrid(CELL, (6, 5, 8))
RNG = np.random.default_rng(0)
DENSITY = ScalarField(GRID, RNG.uniform(0.5, 1.0, GRID.shape)).rescaled(6.0).field


def test_a_density_of_the_stated_charge_is_accepted() -> None:
    snapshot = Snapshot(STRUCTURE, DENSITY, 6.0, energy=-4.0, forces=np.zeros((2, 3)), rho_saed=DENSITY)
    assert snapshot.provenance == {}
    Snapshot(STRUCTURE, DENSITY * (1 + 0.9 * CHARGE_TOLERANCE), 6.0)


@pytest.mark.parametrize("stated", [6 * (1 + 1.1 * CHARGE_TOLERANCE), 6 * 0.52917721**3, 0.0, -6.0, np.nan])
def test_a_density_of_another_charge_is_refused(stated: float) -> None:
    with pytest.raises(ChargeError, match=r"integrates to 6 electrons .* check its units"):
        Snapshot(STRUCTURE, DENSITY, stated)


def test_a_density_in_per_cubic_angstrom_is_noticed() -> None:
    with pytest.raises(ChargeError, match="units"):
        Snapshot(STRUCTURE, DENSITY * (1 / 0.52917721**3), 6.0)


def test_a_density_on_another_cell_is_refused() -> None:
    other = ScalarField(UniformGrid(CELL * 1.001, GRID.shape), DENSITY.values)
    with pytest.raises(GridMismatchError, match="cell differs"):
        Snapshot(STRUCTURE, other, 6.0)


def test_superposed_atoms_on_another_grid_are_refused() -> None:
    with pytest.raises(GridMismatchError, match="resample"):
        Snapshot(STRUCTURE, DENSITY, 6.0, rho_saed=DENSITY.resampled((6, 6, 8)))


def test_forces_and_energy_are_looked_at() -> None:
    with pytest.raises(InputError, match="forces of shape"):
        Snapshot(STRUCTURE, DENSITY, 6.0, forces=np.zeros((3, 3)))
    with pytest.raises(InputError, match="NaN or infinite values in the forces of Al2"):
        Snapshot(STRUCTURE, DENSITY, 6.0, forces=np.full((2, 3), np.nan))
    with pytest.raises(InputError, match="NaN or infinite values in the energy of Al2"):
        Snapshot(STRUCTURE, DENSITY, 6.0, energy=np.inf)
