"""Fitted radial densities: tables recovered from their own superposition."""

from collections.abc import Sequence

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from nearsight.atomic.fit import FitSettings, fit_radial
from nearsight.atomic.radial import RadialDensity
from nearsight.atomic.superposition import superpose
from nearsight.errors import GridMismatchError, InputError, UnknownElementError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure


def table(number: int, n_electrons: float, power: int, width: float) -> RadialDensity:
    """Gaussian times a polynomial: a dip at the nucleus, as pseudo-atoms have, for power > 0."""
    r = np.linspace(0, 6, 601)
    rho = (0.1 + (r / width) ** power) * np.exp(-((r / width) ** 2)) * (1 - (r / 6) ** 2) ** 3
    charge = RadialDensity(number, r, rho, n_electrons, {}).integrate()
    return RadialDensity(number, r, rho * n_electrons / charge, n_electrons, {})


TABLES = {11: table(11, 1.0, 0, 1.8), 17: table(17, 7.0, 2, 1.4)}
COUNTS = {11: 1.0, 17: 7.0}
SETTINGS = FitSettings(cutoff=6.0, n_intervals=24, points_per_field=5000)


def data(atoms: Atoms, n: int = 2, shape: int = 24) -> tuple[list[Structure], list[ScalarField]]:
    structures = []
    for seed in range(n):
        shaken = atoms.copy()
        shaken.rattle(0.15, seed=seed)
        structures.append(Structure.from_ase(shaken))
    grids = [UniformGrid(s.cell, (shape,) * 3) for s in structures]
    return structures, [superpose(s, g, TABLES) for s, g in zip(structures, grids, strict=True)]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


SALT = data(bulk("NaCl", "rocksalt", a=5.0, cubic=True))
METAL = data(bulk("Na", "bcc", a=3.8, cubic=True))


def compare(found: dict[int, RadialDensity], numbers: Sequence[int], share: float) -> None:
    r = np.linspace(0.05, 6, 400)
    for z in numbers:
        moved = np.trapezoid(4 * np.pi * r**2 * np.abs(found[z](r) - TABLES[z](r)), r)
        assert moved < share * TABLES[z].n_electrons


@pytest.mark.parametrize("counts", [None, COUNTS])
def test_one_element_is_recovered(counts: dict[int, float] | None) -> None:
    found = fit_radial(*METAL, counts, rng=rng(), settings=SETTINGS)
    assert set(found) == {11}
    compare(found, [11], 1e-3)
    assert found[11].n_electrons == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("counts", [None, COUNTS])
def test_two_elements_are_told_apart(counts: dict[int, float] | None) -> None:
    found = fit_radial(*SALT, counts, rng=rng(), settings=SETTINGS)
    compare(found, [11, 17], 2e-2)
    structure, field = SALT[0][0], SALT[1][0]
    again = superpose(structure, field.grid, found)
    assert np.abs((again - field).values).max() < 5e-3 * field.values.max()
    assert found[17].source["rms_residual"] < 1e-3 * field.values.std()


def test_stated_counts_are_held_even_against_the_data() -> None:
    found = fit_radial(*SALT, {11: 1.5, 17: 6.5}, rng=rng(), settings=SETTINGS)
    for z, count in {11: 1.5, 17: 6.5}.items():
        assert found[z].n_electrons == count
        assert found[z].integrate() == pytest.approx(count, abs=1e-9)


def test_noise_gives_no_negative_density() -> None:
    structures, fields = METAL
    noise = np.random.default_rng(5).normal(0, 0.2 * fields[0].values.std(), fields[0].values.shape)
    noisy = [ScalarField(f.grid, f.values + noise) for f in fields]
    found = fit_radial(structures, noisy, rng=rng(), settings=SETTINGS)[11]
    assert (found.rho >= 0).all()
    assert found.rho[-1] == 0
    assert found.n_electrons == pytest.approx(1.0, abs=0.05)
    compare({11: found}, [11], 0.2)


def test_table_is_smooth_at_both_ends() -> None:
    found = fit_radial(*METAL, rng=rng(), settings=SETTINGS)[11]
    assert found.cutoff == 6.0
    assert found.rho[1] == pytest.approx(found.rho[0], rel=1e-3)
    assert found.rho[-3:].max() < 1e-6


def test_same_generator_gives_the_same_tables() -> None:
    few = FitSettings(cutoff=5.0, points_per_field=500)
    one, two = (fit_radial(*METAL, rng=rng(), settings=few)[11] for _ in range(2))
    other = fit_radial(*METAL, rng=np.random.default_rng(1), settings=few)[11]
    assert one.digest() == two.digest() != other.digest()


def test_bad_input_is_refused() -> None:
    structures, fields = METAL
    with pytest.raises(InputError, match="one field a structure"):
        fit_radial(structures, fields[:1], rng=rng())
    with pytest.raises(InputError, match="one field a structure"):
        fit_radial([], [], rng=rng())
    with pytest.raises(UnknownElementError, match="no electron count for Na"):
        fit_radial(structures, fields, {17: 7.0}, rng=rng())
    with pytest.raises(GridMismatchError, match="cell"):
        fit_radial(structures[:1], SALT[1][:1], rng=rng())
    with pytest.raises(InputError, match="cut-off"):
        FitSettings(cutoff=0.0)
    with pytest.raises(InputError, match="electrons for Na"):
        fit_radial(structures, fields, {11: 0.0}, rng=rng())
