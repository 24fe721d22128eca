import numpy as np
import pytest
from ase.build import bulk

from nearsight.io import Frame
from nearsight.sampling import decorrelation, rms_displacement
from nearsight.structure import Structure


def _moved(width: float, seed: int, shift: float = 0.0, symbol: str = "Al") -> Structure:
    atoms = bulk(symbol, "fcc", a=4.05, cubic=True).repeat((3, 3, 3))
    atoms.positions += np.random.default_rng(seed).normal(scale=width, size=atoms.positions.shape) + shift
    return Structure.from_ase(atoms)


def test_displacement_of_known_width() -> None:
    """Two independent sets of displacements of width w are √6 w apart; shifts and images do not count."""
    a, b = _moved(0.1, 1), _moved(0.1, 2, shift=3.0)
    assert rms_displacement(a, b) == pytest.approx(np.sqrt(6) * 0.1, rel=0.1)
    assert rms_displacement(a, b) == pytest.approx(rms_displacement(b, a))
    assert rms_displacement(a, _moved(0.1, 1, shift=12.15)) == pytest.approx(0.0, abs=1e-9)


def test_other_atoms_do_not_compare() -> None:
    a = _moved(0.1, 1)
    assert rms_displacement(a, _moved(0.1, 1, symbol="Cu")) is None
    assert rms_displacement(a, Structure(a.cell * 1.1, a.positions, a.numbers)) is None
    assert rms_displacement(a, Structure(a.cell, a.positions[1:], a.numbers[1:])) is None


def _frame(structure: Structure, trajectory: str, split: str) -> Frame:
    return Frame(structure, f"{trajectory}/0", trajectory, split)


def test_which_frames_are_compared() -> None:
    far, near = _moved(0.2, 1), _moved(0.1, 3)
    frames = [
        _frame(near, "a", "train"),
        _frame(far, "a", "train"),
        _frame(_moved(0.05, 5), "b", "test"),
        _frame(near, "c", "test"),
    ]
    found = decorrelation(frames)
    assert found.nearest_test == pytest.approx(0.0, abs=1e-9)
    assert found.train_to_test == pytest.approx(rms_displacement(near, frames[2].structure) / 2)
    assert found.consecutive == pytest.approx(rms_displacement(near, far))
    none = decorrelation([frames[0], _frame(_moved(0.1, 1, symbol="Cu"), "d", "test")])
    assert (none.train_to_test, none.nearest_test, none.consecutive) == (None, None, None)
