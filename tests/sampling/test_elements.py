import numpy as np
import pytest
from ase.collections import dcdft
from pydantic import ValidationError

from nearsight.sampling import ElementalCrystal, read_recipe

RNG = np.random.default_rng(0)


def test_crystals_are_those_of_the_collection() -> None:
    iron = ElementalCrystal(name="Fe").build(RNG)
    np.testing.assert_allclose(iron.cell.array, dcdft["Fe"].cell.array)
    assert not iron.get_initial_magnetic_moments().any()
    strained = ElementalCrystal(name="Al", strain=(0.03, 0.03, 0.03, 0, 0, 0)).build(RNG)
    assert strained.get_volume() == pytest.approx(1.03**3 * dcdft["Al"].get_volume())
    with pytest.raises(ValidationError, match="has no 'Uuo'"):
        ElementalCrystal(name="Uuo")


def test_the_recipe_has_every_element_with_a_basis() -> None:
    """All but lutetium of the 71 have a GTH pseudopotential and a DZVP-MOLOPT-SR basis in PySCF."""
    used = {t.structure.model_dump()["name"] for t in read_recipe("elements", "paper").trajectories}
    assert used == set(dcdft.names) - {"Lu"}
