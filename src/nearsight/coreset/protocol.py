"""What a selection method is: columns of numbers in, indices (and loss weights) out; never a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from nearsight.errors import InputError
from nearsight.registry import Registry

#: scores that `nearsight.training` makes, one finite non-negative number a point, larger where harder
SCORES = ("grand", "last_layer", "residual", "disagreement", "leverage", "dual", "difficulty")


@dataclass(frozen=True, eq=False)
class Candidates:
    """The points that a method chooses from, and what it may know of them; rows belong together.

    Only what a method's `needs` names has to be there; what is absent is None or missing.

    Parameters
    ----------
    n_points : int
    scores : mapping of str to ndarray (n_points,)
        By their names in `SCORES`, or a plug-in's own; finite, ≥ 0.
    features : ndarray (n_points, n_features), float32, optional
        Standardised model features; may be a memory map, so read it in blocks.
    density : ndarray (n_points,), optional
        e/bohr³.
    gradient : ndarray (n_points,), optional
        |∇ρ|, e/bohr⁴.
    snapshot : ndarray (n_points,), int32, optional
        The snapshot of each point.

    Raises
    ------
    InputError
        A column that has not one entry a point, or no points at all.
    """

    n_points: int
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    features: np.ndarray | None = None
    density: np.ndarray | None = None
    gradient: np.ndarray | None = None
    snapshot: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.n_points < 1:
            raise InputError("there are no points to choose from")
        columns = {**self.scores, "features": self.features, "density": self.density}
        columns |= {"gradient": self.gradient, "snapshot": self.snapshot}
        for name, column in columns.items():
            if column is not None and len(column) != self.n_points:
                raise InputError(f"'{name}' has {len(column)} entries for {self.n_points} points")

    def score(self, method: str, name: str) -> np.ndarray:
        """A score as a float64 vector.

        Raises
        ------
        InputError
            Missing, no vector, not finite, or negative.
        """
        if name not in self.scores:
            raise InputError(f"the method '{method}' needs the score '{name}' of each point")
        scores = np.asarray(self.scores[name], dtype=np.float64)
        if scores.ndim != 1:
            raise InputError(f"scores are a vector with one number a point, not of shape {scores.shape}")
        if not np.isfinite(scores).all():
            raise InputError(f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are not finite")
        if scores.min() < 0:
            raise InputError("scores must not be negative")
        return scores

    def column(self, method: str, name: str) -> np.ndarray:
        """``features``, ``density``, ``gradient`` or ``snapshot``; raises `InputError` where absent."""
        found = getattr(self, name)
        if found is None:
            raise InputError(f"the method '{method}' needs the {name} of each point")
        return np.asarray(found) if not isinstance(found, np.memmap) else found


@dataclass(frozen=True, eq=False)
class Selection:
    """The points that a method keeps.

    Attributes
    ----------
    indices : ndarray (n,), int64
        Positions of the kept points among those offered, ascending, without repetition.
    weights : ndarray (n,), float32, or None
        Weight of each kept point in the loss, mean one; None where the method asks for none.
    notes : tuple of str
        What the user should know, such as a budget that could not be spent.
    """

    indices: np.ndarray
    weights: np.ndarray | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        order = np.argsort(self.indices, kind="stable")
        object.__setattr__(self, "indices", np.asarray(self.indices, dtype=np.int64)[order])
        if self.weights is not None:
            object.__setattr__(self, "weights", np.asarray(self.weights, dtype=np.float32)[order])

    def __len__(self) -> int:
        return len(self.indices)


@runtime_checkable
class SelectionMethod(Protocol):
    """A frozen strategy; `nearsight.coreset.conformance` holds its suite."""

    #: registered name
    name: ClassVar[str]

    @property
    def needs(self) -> frozenset[str]:
        """What `select` reads: names of scores, ``features``, ``density``, ``gradient``, ``snapshot``."""
        ...

    def select(self, candidates: Candidates, n_keep: int, rng: np.random.Generator) -> Selection:
        """Keep `n_keep` of the points offered.

        Parameters
        ----------
        candidates : Candidates
        n_keep : int
            How many to keep, 1 … n_points.
        rng : numpy.random.Generator

        Raises
        ------
        InputError
            A column that it needs is missing or unusable; a count outside its range.
        """
        ...


#: method names to classes, each buildable without arguments
METHODS: Registry[type[SelectionMethod]] = Registry("selection method", "nearsight.coreset")


def checked_count(n_keep: int, n_points: int) -> int:
    """`n_keep` as an int, or an `InputError` where it is outside 1 … n_points."""
    if not 1 <= n_keep <= n_points:
        raise InputError(f"cannot keep {n_keep} of {n_points} points; ask for 1 to {n_points}")
    return int(n_keep)
