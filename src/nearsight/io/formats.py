"""The registry of density file formats: which module reads and writes which names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from nearsight.errors import FileFormatError
from nearsight.registry import Registry
from nearsight.snapshot import Snapshot


@dataclass(frozen=True)
class Format:
    """One file format; its module registers it with `FORMATS`.

    Attributes
    ----------
    name : str
        Registered name.
    patterns : tuple of str
        File names it answers to, as shell patterns, case ignored, ``.gz`` left out. An extension
        (``*.cube``) counts more than any other pattern (``chgcar*``).
    read : callable (path, n_electrons) -> Snapshot
        `n_electrons` is the caller's word, or None.
    write : callable (path, snapshot), optional
        Writes the file under exactly this path, which is a temporary one; ends in ``.gz`` where the
        file is to be packed. May return what it had to change, a line each, for people.
    is_folder : bool
        Whether such a "file" is a folder; `write` then fills an empty one.
    read_fields : callable (path, names) -> dict of str to ndarray, optional
        For formats that hold further arrays on the density's grid: those of the names that are there.
        `write` then takes them as a third argument, a mapping.
    """

    name: str
    patterns: tuple[str, ...]
    read: Callable[[Path, float | None], Snapshot]
    write: Callable[..., Sequence[str] | None] | None = None
    is_folder: bool = False
    read_fields: Callable[[Path, Sequence[str]], dict[str, np.ndarray]] | None = None

    @property
    def takes_fields(self) -> bool:
        """Whether a file has room for further fields by name."""
        return self.read_fields is not None

    def claims(self, path: Path, *, by_extension: bool) -> bool:
        """Whether a file of this name is of this format, by its extension or by another pattern."""
        name = path.name.lower().removesuffix(".gz")
        patterns = [p for p in self.patterns if p.startswith("*.") == by_extension]
        return any(fnmatch(name, pattern.lower()) for pattern in patterns)


FORMATS: Registry[Format] = Registry("density format", "nearsight.formats")


def format_of(path: Path, name: str | None = None) -> Format:
    """The format of a file, by `name` if given, else by its file name.

    Raises
    ------
    FileFormatError
        No format claims such a name.
    UnknownNameError
        No format has the name given.
    """
    if name is not None:
        return FORMATS[name]
    if (claimed := _claimed_by(path)) is not None:
        return claimed
    known = ", ".join(pattern for item in FORMATS for pattern in FORMATS[item].patterns)
    raise FileFormatError(f"{path}: no density format has such a name; known: {known} (.gz too)")


def is_density_name(path: Path) -> bool:
    """Whether some format claims a file of this name."""
    return _claimed_by(path) is not None


def writable_format_of(path: Path, name: str | None = None) -> Format:
    """The format to write a file in; as `format_of`, and `FileFormatError` where it can only be read."""
    found = format_of(path, name)
    if found.write is None:
        able = ", ".join(
            pattern for item in FORMATS if FORMATS[item].write for pattern in FORMATS[item].patterns
        )
        raise FileFormatError(f"{path}: files of format '{found.name}' can only be read; written are {able}")
    return found


def _claimed_by(path: Path) -> Format | None:
    for by_extension in (True, False):
        for candidate in FORMATS:
            if FORMATS[candidate].claims(path, by_extension=by_extension):
                return FORMATS[candidate]
    return None
