import pytest
from scipy import constants

from nearsight import units


def test_constants_agree_with_codata() -> None:
    assert pytest.approx(constants.value("Bohr radius") * 1e10, rel=2e-9) == units.BOHR_IN_ANGSTROM
    assert pytest.approx(constants.value("Hartree energy in eV"), rel=2e-9) == units.HARTREE_IN_EV
    kelvin = constants.k / constants.value("Hartree energy")
    assert kelvin == pytest.approx(units.KELVIN, rel=2e-9)


def test_conversions_are_each_others_inverse() -> None:
    assert pytest.approx(1.0, rel=1e-15) == units.BOHR_IN_ANGSTROM * units.ANGSTROM
    assert pytest.approx(1.0, rel=1e-15) == units.HARTREE_IN_EV * units.EV


def test_chemical_accuracy_is_about_one_kilocalorie_per_mole() -> None:
    kilocalorie = 1000 * constants.calorie / constants.N_A / constants.value("Hartree energy")
    assert pytest.approx(kilocalorie, abs=1e-5) == units.CHEMICAL_ACCURACY
