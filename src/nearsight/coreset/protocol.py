"""What a selection method is: scores in, indices (and loss weights) out; never a model."""

from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from nearsight.errors import InputError
from nearsight.registry import Registry


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
    #: whether `select` must be given scores
    needs_scores: ClassVar[bool]

    def select(
        self,
        scores: np.ndarray | None,
        n_keep: int,
        rng: np.random.Generator,
        *,
        n_points: int | None = None,
    ) -> Selection:
        """Keep `n_keep` of the points offered.

        Parameters
        ----------
        scores : ndarray (n_points,) or None
            One finite, non-negative number a point, larger where the point is harder; None only for
            methods that need none.
        n_keep : int
            How many to keep, 1 … n_points.
        rng : numpy.random.Generator
        n_points : int, optional
            How many points there are; needed where `scores` is None.

        Raises
        ------
        InputError
            Scores missing, not finite, negative or not a vector; a count outside its range.
        """
        ...


#: method names to classes, each buildable without arguments
METHODS: Registry[type[SelectionMethod]] = Registry("selection method", "nearsight.coreset")


def checked_scores(name: str, scores: np.ndarray | None) -> np.ndarray:
    """The scores as a float64 vector, or an `InputError` that says what is wrong with them."""
    if scores is None:
        raise InputError(f"the method '{name}' needs a score for each point")
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1 or len(scores) == 0:
        raise InputError(f"scores are a vector with one number a point, not an array of shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise InputError(f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are NaN or infinite")
    if scores.min() < 0:
        raise InputError("scores must not be negative")
    return scores


def checked_count(n_keep: int, n_points: int) -> int:
    """`n_keep` as an int, or an `InputError` where it is outside 1 … n_points."""
    if not 1 <= n_keep <= n_points:
        raise InputError(f"cannot keep {n_keep} of {n_points} points; ask for 1 to {n_points}")
    return int(n_keep)
