"""How long work reports where it stands, without knowing who listens."""

from typing import Protocol


class Progress(Protocol):
    """Called as ``progress(stage, done, total)`` by anything that takes longer than a moment.

    `stage` is a short phrase ("labelling"), `done` and `total` count its units; a new stage starts
    with the first call that names it.
    """

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Note that `done` of `total` units of `stage` are behind us."""
        ...


def silent(stage: str, done: int, total: int) -> None:
    """The progress that tells nobody."""
