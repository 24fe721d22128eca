"""What all text formats share: lines of a header, then a block of values of a known number."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nearsight.errors import FileFormatError
from nearsight.io.checks import read_bytes
from nearsight.io.floats import Parsed, parse_floats

#: how writers state the electron count in a comment
_STATED = re.compile(r"n_electrons\s*=\s*([0-9.+\-eEdD]+)")
_WORD = re.compile(rb"[^\s]")
#: so many bytes before the end show how a file spells its values
_TAIL = 2000


class TextFile:
    """A density file in text form, read from front to back.

    Parameters
    ----------
    path : Path
        ``.gz`` is unpacked.
    kind : str
        What the file should be, for messages: ``cube file``.

    Raises
    ------
    FileFormatError
        Missing, a folder, empty, or a damaged archive.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self.kind = kind
        self.text = read_bytes(path)
        #: offset of what is read next
        self.at = 0

    def line(self) -> str:
        """The next line, without its end.

        Raises
        ------
        FileFormatError
            The file ends before it.
        """
        stop = self.text.find(b"\n", self.at)
        if stop < 0:
            raise FileFormatError(f"{self.path} is truncated in its header, or no {self.kind}")
        line = self.text[self.at : stop].decode("utf-8", "replace")
        self.at = stop + 1
        return line

    def lines(self, n: int) -> list[str]:
        """The next `n` lines."""
        return [self.line() for _ in range(n)]

    def unreadable(self, error: Exception) -> FileFormatError:
        """The error for a header that makes no sense."""
        reason = " ".join(str(error).split()) or type(error).__name__
        return FileFormatError(f"{self.path} is no {self.kind}: its header cannot be read ({reason})")

    def values(self, shape: Sequence[int], what: str = "values", *, order: str = "C") -> np.ndarray:
        """The next values, as many as a grid has points, shape `shape`; `at` then stands behind them.

        Parameters
        ----------
        shape : three int
        what : str
            What they are, for messages.
        order : {"C", "F"}
            Whether the last or the first axis runs fastest.

        Raises
        ------
        FileFormatError
            Too few values, a word that is no number, or a last value that may have been cut.
        """
        n = int(np.prod(shape, dtype=object))
        # a value takes two bytes at least: a damaged header must not ask for all the memory there is
        n_asked = min(n, (len(self.text) - self.at) // 2 + 1)
        parsed = parse_floats(self.text, self.at, n_asked)
        self._require(parsed, shape, n, what)
        self.at = parsed.end
        if order == "C":
            return parsed.values.reshape(shape)
        return np.ascontiguousarray(parsed.values.reshape(shape[::-1]).transpose())

    def at_end(self) -> bool:
        """Whether only white space is left."""
        return _WORD.search(self.text, self.at) is None

    def _require(self, parsed: Parsed, shape: Sequence[int], n: int, what: str) -> None:
        """Raise unless all `n` values were there and whole."""
        if parsed.bad >= 0:
            word = self.text[parsed.bad : parsed.bad + 20].split()[0].decode("ascii", "replace")
            raise FileFormatError(
                f"{self.path}: value {parsed.found + 1} of {n} is '{word}', which is no number"
            )
        if parsed.found < n or (parsed.end >= len(self.text) and self._may_be_cut(self.at)):
            found = min(parsed.found, n - 1)
            raise FileFormatError(
                f"{self.path} is truncated: {n} {what} expected for a {times(shape)} grid, "
                f"{found} found; copy or write it again"
            )

    def _may_be_cut(self, start: int) -> bool:
        """Whether the file ends in a value that is spelled unlike others of those from offset `start` on.

        A complete file ends with a line end, or all its values are spelled alike; ``1.5E-0``, cut from
        ``1.5E-02``, would be a number and wrong.
        """
        if self.text[-1] <= 32:
            return False
        tail = max(start, len(self.text) - _TAIL)
        words = self.text[tail:].split()[0 if tail == start else 1 :]
        spellings = {re.sub(rb"[0-9]", b"0", word.lstrip(b"+-")) for word in words}
        return len(spellings) != 1


def times(shape: Sequence[int]) -> str:
    """A grid's shape for messages: ``6 x 7 x 8``."""
    return " x ".join(str(n) for n in shape)


def numbers_in(line: str, n: int = 3) -> np.ndarray:
    """The first `n` numbers of a line, shape (n,).

    Raises
    ------
    ValueError
        Fewer, or one that is no length or count of this world: NaN, infinite, beyond 1e9.
    """
    words = line.replace("D", "E").replace("d", "e").split()[:n]
    found = np.array([float(word) for word in words])
    if len(found) < n or not (np.abs(found) < 1e9).all():
        raise ValueError(f"{n} finite numbers are needed, not '{line.strip()[:60]}'")
    return found


def stated_count(comment: str) -> float | None:
    """The electron count that a comment states as ``n_electrons = …``."""
    match = _STATED.search(comment)
    if match is None:
        return None
    try:
        return float(match[1].replace("D", "E").replace("d", "e"))
    except ValueError:
        return None
