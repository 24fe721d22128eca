"""What a structures file may ask for and nearsight does not do: spin and charge."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from nearsight.errors import InputError
from nearsight.io.extxyz import frame_of, read_frames


def iron():
    return Atoms("Fe2", positions=[[0, 0, 0], [1.4, 1.4, 1.4]], cell=[2.8] * 3, pbc=True)


def with_result(**results):
    atoms = iron()
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def with_info(**info):
    atoms = iron()
    atoms.info.update(info)
    return atoms


@pytest.mark.parametrize(
    ("atoms", "what"),
    [
        (with_result(magmoms=np.array([2.2, 2.2])), r"magnetic moments \(magmoms, up to 2.2\)"),
        (with_result(magmom=4.4), r"magnetic moments \(magmom, up to 4.4\)"),
        (with_info(magmom=1.0), r"magnetic moments \(magmom, up to 1\)"),
        (with_info(charge=1), r"a charge \(charge 1\)"),
    ],
)
def test_spin_and_charge_are_refused_however_they_are_stored(atoms, what, tmp_path):
    with pytest.raises(InputError, match=what):
        frame_of(atoms)
    write(tmp_path / "asked.extxyz", atoms, format="extxyz")
    with pytest.raises(InputError, match=what) as refusal:
        read_frames(tmp_path / "asked.extxyz")
    assert "asked.extxyz, structure 0" in str(refusal.value)


def test_zeros_and_partial_charges_are_no_request(tmp_path):
    atoms = with_result(magmoms=np.zeros(2), magmom=0.0)
    atoms.set_initial_charges([0.3, -0.3])
    atoms.info["charge"] = "neutral"
    assert frame_of(atoms).structure.n_atoms == 2


def test_initial_moments_of_atoms_are_refused():
    atoms = iron()
    atoms.set_initial_magnetic_moments([2.0, 2.0])
    with pytest.raises(InputError, match="initial_magmoms, up to 2"):
        frame_of(atoms)
