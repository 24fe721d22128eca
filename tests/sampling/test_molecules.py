import numpy as np
import pytest
from ase.collections import g2
from pydantic import ValidationError

from nearsight.sampling import Molecule, closed_shell_molecules

RNG = np.random.default_rng(0)


def test_there_are_119_closed_shells() -> None:
    names = closed_shell_molecules()
    assert len(names) == len(set(names)) == 119
    assert all(g2[name].numbers.sum() % 2 == 0 for name in names)
    assert [name for name in names if len(g2[name]) == 1] == ["Be"]
    assert not {"O2", "NO", "CH3", "OH", "NO2", "CN"} & set(names)


def test_the_box() -> None:
    atoms = Molecule(name="C6H6", vacuum=3.5).build(RNG)
    low, high = atoms.positions.min(axis=0), atoms.positions.max(axis=0)
    np.testing.assert_allclose(low, 3.5)
    np.testing.assert_allclose(atoms.cell.lengths() - high, 3.5)
    assert atoms.get_chemical_formula() == "C6H6"
    np.testing.assert_allclose(atoms.get_all_distances(), g2["C6H6"].get_all_distances())
    assert atoms.pbc.all()
    assert Molecule(name="Be").build(RNG).cell.lengths().min() == pytest.approx(8.0)


def test_displacements() -> None:
    still = Molecule(name="C6H6").build(RNG)
    moved = Molecule(name="C6H6", rattle=0.1).build(RNG)
    assert 0.05 < (moved.positions - still.positions).std() < 0.15


@pytest.mark.parametrize(("name", "message"), [("O2", "unpaired electrons"), ("C60", "has no 'C60'")])
def test_what_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Molecule(name=name)
