"""The conformance suite on what ships here, and on descriptors that break the rules."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from nearsight.descriptors import DESCRIPTORS, LocalFrame, PowerSpectrum
from nearsight.descriptors.conformance import check_descriptor
from nearsight.descriptors.evaluator import check_points, species_index


@pytest.mark.parametrize(
    "descriptor",
    [
        PowerSpectrum([13]),
        PowerSpectrum([1, 8]),
        PowerSpectrum([24, 26, 27, 28], cutoff=7.0, channels=(6, 5, 4, 3, 2), cross="full"),
        LocalFrame([13]),
        LocalFrame([1, 8], 24),
        LocalFrame([24, 26, 27, 28], 5),
    ],
    ids=repr,
)
def test_what_ships_conforms(descriptor):
    check_descriptor(descriptor)


@DESCRIPTORS.register("test_only_nearest")
@dataclass(frozen=True)
class Nearest:
    """Distance and number of the nearest atom, with a fault to order."""

    species: tuple[int, ...]
    fault: str = ""
    name: ClassVar[str] = "test_only_nearest"

    def __post_init__(self):
        object.__setattr__(self, "species", tuple(self.species))

    @property
    def n_features(self):
        return 2

    def settings(self):
        extra = {} if self.fault == "forgets a setting" else {"fault": self.fault}
        return {"name": self.name, "species": list(self.species), **extra}

    def prepare(self, structure):
        if self.fault != "takes any element":
            species_index(structure, self.species)
        shifts = np.array(np.meshgrid(*[(-2, -1, 0, 1, 2)] * 3)).reshape(3, -1).T @ structure.cell
        images = (_wrap(structure.positions, structure.cell) + shifts[:, None]).reshape(-1, 3)

        def evaluate(points):
            points = check_points(np.nan_to_num(points) if self.fault == "takes NaN" else points)
            inside = points if self.fault == "does not wrap" else _wrap(points, structure.cell)
            if self.fault == "depends on the block" and len(points):
                inside = inside - inside.mean(axis=0)
            vectors = images - inside[:, None]
            distance = np.linalg.norm(vectors, axis=2)
            nearest = distance.argmin(axis=1)
            second = structure.numbers[nearest % structure.n_atoms].astype(float)
            if self.fault == "is not invariant":
                second = vectors[np.arange(len(points)), nearest, 0]
            if self.fault == "ignores species":
                second = np.ones(len(points))
            features = np.stack([distance.min(axis=1), second], axis=1)
            return features if self.fault == "double precision" else features.astype(np.float32)

        return evaluate


def _wrap(points, cell):
    fractional = points @ np.linalg.inv(cell)
    return (fractional - np.floor(fractional)) @ cell


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("forgets a setting", "survive JSON"),
        ("takes any element", "not made for"),
        ("takes NaN", "accepted"),
        ("does not wrap", "lattice vectors"),
        ("depends on the block", "blocks differ"),
        ("is not invariant", "not invariant under rotation"),
        ("double precision", "float32"),
        ("ignores species", "elements make no difference"),
    ],
)
def test_the_suite_finds_faults(fault, message):
    with pytest.raises(AssertionError, match=message):
        check_descriptor(Nearest((8, 13), fault))


def test_the_suite_passes_a_plug_in_without_faults():
    check_descriptor(Nearest((8, 13)))
