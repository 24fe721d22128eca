import numpy as np
import pytest
import spglib
from ase.neighborlist import neighbor_list
from pydantic import ValidationError

from nearsight.sampling import Allotrope
from nearsight.sampling.silicon import SILICON

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", SILICON)
def test_space_group_and_neighbours(name: str) -> None:
    phase, atoms = SILICON[name], Allotrope(name=name).build(RNG)
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.get_symmetry_dataset(cell, symprec=1e-3)
    assert found is not None
    assert found.number == phase.space_group
    assert len(atoms) == phase.n_atoms
    assert len(spglib.find_primitive(cell)[1]) == phase.n_atoms
    bonds = np.bincount(neighbor_list("i", atoms, phase.bond), minlength=len(atoms))
    assert bonds.min() == phase.coordination
    assert bonds.max() <= phase.coordination + (name == "cmce")  # Cmce has sites of 10 and 11
    shortest = neighbor_list("d", atoms, phase.bond).min()
    assert 2.2 < shortest < 2.75
    assert phase.source


def test_fourfold_phases_have_the_density_of_networks() -> None:
    """Volume per atom in Å³: diamond 20.0, denser under pressure, open clathrates above."""

    def volume(name: str) -> float:
        atoms = Allotrope(name=name).build(RNG)
        return float(atoms.get_volume() / len(atoms))

    assert volume("diamond") == pytest.approx(20.02, abs=0.01)
    assert volume("lonsdaleite") == pytest.approx(volume("diamond"), rel=0.01)
    dense = [volume(name) for name in ("fcc", "hcp", "simple-hexagonal", "beta-tin", "bc8")]
    assert dense == sorted(dense)
    assert dense[-1] < 19
    assert min(volume("clathrate-34"), volume("clathrate-46"), volume("si24")) > 21


def test_volume_factor_and_modifications() -> None:
    plain = Allotrope(name="bc8").build(RNG)
    scaled = Allotrope(name="bc8", volume=0.9, repeat=(2, 1, 1), vacancies=(0,)).build(RNG)
    assert scaled.get_volume() == pytest.approx(2 * 0.9 * plain.get_volume())
    assert len(scaled) == 15


def test_at_least_twelve_and_no_others() -> None:
    assert len(SILICON) >= 12
    with pytest.raises(ValidationError, match="no allotrope 'graphite' of silicon; known: diamond"):
        Allotrope(name="graphite")
