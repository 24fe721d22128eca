"""The registry of density file formats: which module reads and writes which names."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

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
        File names it answers to, as shell patterns, case ignored, ``.gz`` left out.
    read : callable (path, n_electrons) -> Snapshot
        `n_electrons` is the caller's word, or None.
    write : callable (path, snapshot), optional
        Writes the file under exactly this path, which is a temporary one; ends in ``.gz`` where the
        file is to be packed.
    is_folder : bool
        Whether such a "file" is a folder; `write` then fills an empty one.
    """

    name: str
    patterns: tuple[str, ...]
    read: Callable[[Path, float | None], Snapshot]
    write: Callable[[Path, Snapshot], None] | None = None
    is_folder: bool = False

    def claims(self, path: Path) -> bool:
        """Whether a file of this name is of this format."""
        name = path.name.lower().removesuffix(".gz")
        return any(fnmatch(name, pattern.lower()) for pattern in self.patterns)


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
    for candidate in FORMATS:
        if FORMATS[candidate].claims(path):
            return FORMATS[candidate]
    known = ", ".join(pattern for item in FORMATS for pattern in FORMATS[item].patterns)
    raise FileFormatError(f"{path}: no density format has such a name; known: {known} (.gz too)")
