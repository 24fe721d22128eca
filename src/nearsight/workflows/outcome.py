"""`Outcome`: how labelling one structure went, and what kind of failure it was."""

from dataclasses import dataclass

from nearsight.errors import ConvergenceError, InputError, NearsightError

#: kinds of failure, and the error (so the exit code) that each would have been on its own
KINDS: dict[str, type[NearsightError]] = {
    "input": InputError,
    "convergence": ConvergenceError,
    "timeout": NearsightError,
    "killed": NearsightError,
    "memory": NearsightError,
    "error": NearsightError,
}
#: what may go better the next time; the rest would only fail again
_WORTH_RETRYING = frozenset({"killed", "memory", "error"})


@dataclass(frozen=True)
class Outcome:
    """How one calculation went.

    Attributes
    ----------
    number : int
        Of the snapshot.
    kind : str or None
        One of `KINDS`; None where the snapshot is in the store.
    message : str
        Why it failed, one line.
    warnings : tuple of str
        What the engine warned of.
    tries : int
        How often it was begun.
    """

    number: int
    kind: str | None = None
    message: str = ""
    warnings: tuple[str, ...] = ()
    tries: int = 1

    @property
    def worth_retrying(self) -> bool:
        """Whether the same calculation may succeed if it is begun again."""
        return self.kind in _WORTH_RETRYING


def failure(number: int, error: BaseException) -> Outcome:
    """The outcome of a calculation that raised."""
    if isinstance(error, NearsightError):
        kind = next((k for k in ("input", "convergence") if isinstance(error, KINDS[k])), "error")
        return Outcome(number, kind, one_line(str(error)))
    kind = "memory" if isinstance(error, MemoryError) else "error"
    return Outcome(number, kind, one_line(f"{type(error).__name__}: {error}"))


def one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())
