"""How far apart frames are: near copies of training frames make a poor test."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nearsight.io.extxyz import Frame
from nearsight.structure import Structure
from nearsight.units import BOHR_IN_ANGSTROM


@dataclass(frozen=True)
class Decorrelation:
    """Root-mean-square displacements between frames of the same atoms, Å; None where none compare.

    Attributes
    ----------
    train_to_test : float or None
        Mean over the test frames of the distance to the nearest training frame.
    nearest_test : float or None
        The smallest of those distances.
    consecutive : float or None
        The smallest distance between consecutive frames of one trajectory.
    """

    train_to_test: float | None
    nearest_test: float | None
    consecutive: float | None


def rms_displacement(a: Structure, b: Structure) -> float | None:
    """Root-mean-square displacement of the atoms from one structure to another, Å.

    Over the atoms, each by its nearest image, a common shift taken off. None unless both have the same
    elements in the same order and the same cell.
    """
    if a.n_atoms != b.n_atoms or not np.array_equal(a.numbers, b.numbers) or not np.allclose(a.cell, b.cell):
        return None
    difference = b.fractional - a.fractional
    difference -= np.rint(difference)
    moved = difference @ a.cell
    moved -= moved.mean(axis=0)
    return float(np.sqrt((moved**2).sum(axis=1).mean()) * BOHR_IN_ANGSTROM)


def decorrelation(frames: Sequence[Frame]) -> Decorrelation:
    """Distances between the frames of a recipe."""
    train = [f.structure for f in frames if f.split == "train"]
    nearest = [_nearest(f.structure, train) for f in frames if f.split == "test"]
    known = [distance for distance in nearest if distance is not None]
    steps = [
        rms_displacement(a.structure, b.structure)
        for a, b in pairwise(frames)
        if a.trajectory == b.trajectory
    ]
    return Decorrelation(
        train_to_test=float(np.mean(known)) if known else None,
        nearest_test=min(known, default=None),
        consecutive=min((step for step in steps if step is not None), default=None),
    )


def _nearest(structure: Structure, others: Sequence[Structure]) -> float | None:
    distances = (rms_displacement(structure, other) for other in others)
    return min((d for d in distances if d is not None), default=None)
