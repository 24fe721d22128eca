"""What every descriptor must do; plug-ins run it on theirs.

>>> from nearsight.descriptors import PowerSpectrum
>>> from nearsight.descriptors.conformance import check_descriptor
>>> check_descriptor(PowerSpectrum(species=[8, 13]))
"""

import dataclasses
import json

import numpy as np
from scipy.spatial.transform import Rotation

from nearsight.descriptors.protocol import Descriptor
from nearsight.descriptors.registered import descriptor_from_settings
from nearsight.errors import InputError, UnknownElementError
from nearsight.structure import Structure

#: no descriptor under test is asked to know this element
_STRANGER = 86


def check_descriptor(descriptor: Descriptor, tolerance: float = 1e-4) -> None:
    """Assert that `descriptor` keeps the protocol and the symmetries of a scalar density.

    Parameters
    ----------
    descriptor : Descriptor
        Made for any species but radon.
    tolerance : float
        Largest difference between features that ought to be equal, relative to the largest absolute
        value of any feature; a descriptor that is discontinuous is tried away from its jumps.
    """
    _check_settings(descriptor)
    for structure in _structures(descriptor.species):
        points = _points(structure)
        _check_block(descriptor, structure, points)
        _check_blocks(descriptor, structure, points, tolerance)
        _check_symmetries(descriptor, structure, points, tolerance)
    _check_species(descriptor)
    _check_refusals(descriptor)


def _structures(species: tuple[int, ...]) -> list[Structure]:
    """A skewed cell with several atoms, one with a single atom, and a long left-handed one."""
    rng = np.random.default_rng(11)
    skewed = np.array([[11.0, 0.3, -0.2], [2.9, 9.5, 0.4], [-1.8, 2.2, 10.3]])
    small = np.array([[4.9, 0.1, 0.0], [1.2, 5.2, 0.3], [0.7, -0.9, 5.4]])
    long = np.array([[0.2, 6.1, 0.3], [6.4, 0.1, -0.2], [0.5, 0.7, 23.0]])
    return [_filled(cell, n, species, rng) for cell, n in ((skewed, 8), (small, 1), (long, 6))]


def _filled(cell: np.ndarray, n: int, species: tuple[int, ...], rng: np.random.Generator) -> Structure:
    """Atoms at random, none closer to another than 3 bohr, the species in turn."""
    shifts = np.array(np.meshgrid(*[(-1, 0, 1)] * 3)).reshape(3, -1).T @ cell
    placed: list[np.ndarray] = []
    while len(placed) < n:
        trial = rng.random(3) @ cell
        if all(np.linalg.norm(trial - other + shifts, axis=1).min() > 3.0 for other in placed):
            placed.append(trial)
    return Structure(cell, np.array(placed), np.resize(species, n))


def _points(structure: Structure, n: int = 75) -> np.ndarray:
    return np.random.default_rng(12).random((n, 3)) @ structure.cell


def _check_settings(descriptor: Descriptor) -> None:
    assert dataclasses.is_dataclass(descriptor), "a descriptor is a frozen dataclass"
    assert isinstance(descriptor, Descriptor), "the protocol is not complete"
    stored = json.loads(json.dumps(descriptor.settings()))
    assert stored["name"] == descriptor.name, "settings state the name"
    assert descriptor_from_settings(stored) == descriptor, "settings do not survive JSON"
    assert tuple(sorted(set(descriptor.species))) == descriptor.species, "species ascend"
    try:
        descriptor_from_settings({**stored, "no such setting": 1})
    except InputError:
        return
    raise AssertionError("an unknown setting was accepted")


def _check_block(descriptor: Descriptor, structure: Structure, points: np.ndarray) -> None:
    """Shape, type, and features that say something."""
    before = points.copy()
    evaluator = descriptor.prepare(structure)
    features = evaluator(points)
    assert features.shape == (len(points), descriptor.n_features), "a feature vector a point"
    assert features.dtype == np.float32, "features are float32"
    assert features.flags.c_contiguous, "features are in C order"
    assert np.isfinite(features).all(), "features are finite"
    assert features.std(axis=0).max() > 1e-3, "the features are the same everywhere"
    assert np.array_equal(points, before), "the points were changed in place"
    assert np.array_equal(evaluator(points), features), "a second call gave other features"
    assert evaluator(points[:0]).shape == (0, descriptor.n_features), "an empty block is a block"


def _check_blocks(descriptor: Descriptor, structure: Structure, points: np.ndarray, tolerance: float) -> None:
    """A point's features do not depend on the points evaluated with it, or on their order."""
    evaluator = descriptor.prepare(structure)
    whole = evaluator(points)
    parts = np.concatenate([evaluator(points[a : a + 7]) for a in range(0, len(points), 7)])
    _assert_equal(parts, whole, tolerance, "blocks differ from the whole")
    _assert_equal(evaluator(points[::-1])[::-1], whole, tolerance, "the order of the points matters")


def _check_symmetries(
    descriptor: Descriptor, structure: Structure, points: np.ndarray, tolerance: float
) -> None:
    """Translation, lattice translations, rotation, reflection, permutation, and a supercell."""
    expected = descriptor.prepare(structure)(points)
    rng = np.random.default_rng(13)
    rotation = Rotation.random(random_state=5).as_matrix()
    cell, positions, numbers = structure.cell, structure.positions, structure.numbers
    order = rng.permutation(len(numbers))
    away = np.array([0.7, -1.1, 0.4])
    jump, hop = rng.integers(-3, 4, points.shape) @ cell, rng.integers(-3, 4, positions.shape) @ cell
    doubled = np.concatenate([positions, positions + cell[2]]), np.concatenate([numbers, numbers])
    cases = {
        "translation": (Structure(cell, positions + away, numbers), points + away),
        "points moved by lattice vectors": (structure, points + jump),
        "atoms moved by lattice vectors": (Structure(cell, positions + hop, numbers), points),
        "rotation": (Structure(cell @ rotation, positions @ rotation, numbers), points @ rotation),
        "inversion": (Structure(-cell, -positions, numbers), -points),
        "permutation of the atoms": (Structure(cell, positions[order], numbers[order]), points),
        "a doubled cell": (Structure(cell * np.array([[1], [1], [2]]), *doubled), points),
    }
    for name, (moved, where) in cases.items():
        _assert_equal(descriptor.prepare(moved)(where), expected, tolerance, f"not invariant under {name}")


def _check_species(descriptor: Descriptor) -> None:
    """Exchanging the elements changes the features; an element not asked for is refused."""
    structure = _structures(descriptor.species)[0]
    points = _points(structure)
    if len(descriptor.species) > 1:
        exchanged = Structure(structure.cell, structure.positions, np.roll(structure.numbers, 1))
        one, two = (descriptor.prepare(s)(points) for s in (structure, exchanged))
        assert np.abs(one - two).max() > 1e-3 * np.abs(one).max(), "the elements make no difference"
    numbers = structure.numbers.copy()
    numbers[0] = _STRANGER
    try:
        descriptor.prepare(Structure(structure.cell, structure.positions, numbers))
    except UnknownElementError:
        return
    raise AssertionError("an element that the descriptor was not made for was accepted")


def _check_refusals(descriptor: Descriptor) -> None:
    evaluator = descriptor.prepare(_structures(descriptor.species)[0])
    for bad in (np.zeros(3), np.zeros((4, 2)), np.full((4, 3), np.nan)):
        try:
            evaluator(bad)
        except InputError:
            continue
        raise AssertionError(f"points of shape {bad.shape} and value {bad.flat[0]} were accepted")


def _assert_equal(found: np.ndarray, expected: np.ndarray, tolerance: float, what: str) -> None:
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    assert error <= tolerance, f"{what}: features differ by {error:.2e} of the largest"
