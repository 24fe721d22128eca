from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.optimize import FIRE
from pydantic import ValidationError

from nearsight.sampling import Dislocation

pytest.importorskip("matscipy", reason="matscipy is not installed")
A = 4.05


def _dislocation(character: str, separation: int, **more: object) -> Dislocation:
    plain = {"element": "Al", "a": A, "elastic_constants": [107.3, 60.9, 28.3]}
    return Dislocation.model_validate(plain | {"character": character, "separation": separation} | more)


def _burgers_circuit(
    perfect: Atoms, moved: Atoms, core: np.ndarray, radius: float, b: np.ndarray
) -> np.ndarray:
    """Closure failure of a circuit around a core, in the axes of the cell.

    Steps between atoms next to the circuit, in the crystal with the dislocation, less the same steps in
    the perfect one; each step's change is small but for the slip ±b across the cut, which is taken off.
    """
    turns = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    track = core + radius * np.stack([np.cos(turns), np.sin(turns), 0 * turns], axis=1)
    images = perfect.repeat((3, 3, 3))
    offset = perfect.cell.array.sum(axis=0)
    flat = np.linalg.norm((images.positions - offset)[None, :, :] - track[:, None], axis=-1).argmin(axis=1)
    atoms = [a for i, a in enumerate(flat) if i == 0 or a != flat[i - 1]]
    reference = images.positions[atoms]
    where = np.array(atoms) % len(perfect)
    counts = np.array(list(product(range(-2, 3), repeat=3)))
    images_of_cell = counts @ moved.cell.array
    slips = np.array([-1, 0, 1])[:, None] * b
    total = np.zeros(3)
    for i in range(len(atoms)):
        j = (i + 1) % len(atoms)
        step = reference[j] - reference[i]
        apart = moved.positions[where[j]] - moved.positions[where[i]]
        candidates = (apart + images_of_cell)[:, None] + slips
        candidates = candidates.reshape(-1, 3)
        total += candidates[np.linalg.norm(candidates - step, axis=1).argmin()] - step
    return total


@pytest.mark.parametrize(("character", "separation"), [("edge", 12), ("screw", 8)])
def test_burgers_vectors_are_opposite_and_half_a_110(character: str, separation: int) -> None:
    perfect, moved, cores = _dislocation(character, separation).dipole()
    axis = {"edge": 0, "screw": 2}[character]
    b = A / np.sqrt(2) * np.eye(3)[axis]
    first, second = (_burgers_circuit(perfect, moved, core, 4.5, b) for core in cores)
    for found in (first, second):
        assert abs(found[axis]) == pytest.approx(A / np.sqrt(2), rel=0.15)
        assert np.abs(np.delete(found, axis)).max() < 0.5
    np.testing.assert_allclose(first, -second, atol=0.3)
    clear = _burgers_circuit(perfect, moved, cores.mean(axis=0), 1.5, b)
    assert np.linalg.norm(clear) < 0.1  # a circuit around nothing closes


@pytest.mark.parametrize(("character", "separation", "n"), [("edge", 6, 72), ("screw", 4, 48)])
def test_the_perfect_cell_is_the_crystal(character: str, separation: int, n: int) -> None:
    perfect, moved, _ = _dislocation(character, separation).dipole()
    assert len(perfect) == len(moved) == n
    perfect.calc = EMT()
    crystal = Atoms("Al", cell=A / 2 * (np.ones((3, 3)) - np.eye(3)), pbc=True, calculator=EMT())
    assert perfect.get_potential_energy() / n == pytest.approx(crystal.get_potential_energy(), abs=1e-6)
    assert moved.get_volume() == pytest.approx(perfect.get_volume())


@pytest.mark.parametrize(("character", "separation"), [("edge", 6), ("screw", 4)])
def test_the_cell_holds_the_dipole_without_stress(character: str, separation: int) -> None:
    """In the crystal's own cell the mean stress drives the two together; tilted, the dipole stays."""
    spec = _dislocation(character, separation)
    perfect, moved, _ = spec.dipole()
    energies = []
    for cell in (moved.cell.array, perfect.cell.array):
        atoms = moved.copy()
        atoms.set_cell(cell, scale_atoms=True)
        atoms.calc = EMT()
        FIRE(atoms, logfile=None).run(fmax=0.03, steps=300)
        bulk = perfect.copy()
        bulk.calc = EMT()
        energies.append(atoms.get_potential_energy() - bulk.get_potential_energy())
    assert energies[0] > 0.1  # eV: dislocations and their faults
    assert abs(energies[1]) < 0.05  # annihilated
    assert len(spec.build(np.random.default_rng(0))) == len(moved)


def test_longer_lines_and_wrong_settings() -> None:
    rng = np.random.default_rng(0)
    one, two = _dislocation("screw", 4).build(rng), _dislocation("screw", 4, length=2).build(rng)
    assert len(two) == 2 * len(one)
    np.testing.assert_allclose(two.cell.array[2], 2 * one.cell.array[2])
    assert _dislocation("screw", 4, rattle=0.1).build(rng).positions.std() > 0
    with pytest.raises(ValidationError, match="multiple of 2"):
        _dislocation("edge", 5)
    with pytest.raises(ValidationError, match="'edge' or 'screw'"):
        _dislocation("mixed", 4)
