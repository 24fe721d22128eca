"""Gaussian cube files: reading at the speed of the disk, and writing.

Header (P. Bourke, "Gaussian Cube Files"): two comments; the number of atoms and the origin; for each
axis the number of points and the step; for each atom its number, a charge and its position. Numbers
of points that are negative mean that all lengths are in Å. Values follow with the last axis fastest.
"""

import gzip
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nearsight.errors import FileFormatError, NearsightError
from nearsight.io.checks import checked_snapshot, read_bytes
from nearsight.io.floats import parse_floats
from nearsight.io.formats import FORMATS, Format
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure
from nearsight.units import ANGSTROM

#: how `write_cube` states the electron count in the second comment line
_STATED = re.compile(r"n_electrons\s*=\s*([0-9.+\-eEdD]+)")
#: a value and the space before it; the space stays when a three-digit exponent fills the field
_VALUE = " %12.5E"


class _Header(NamedTuple):
    structure: Structure
    shape: tuple[int, int, int]
    n_electrons: float | None
    end: int


def read_cube(path: Path, n_electrons: float | None = None) -> Snapshot:
    """Read a density in e/bohr³ from a cube file.

    Atoms are moved so that the grid's origin is the cell's origin.

    Parameters
    ----------
    path : Path
        ``.gz`` is unpacked.
    n_electrons : float, optional
        Electron count; else what the comment lines state as ``n_electrons = …``, else the integral,
        which must then be a whole number.

    Raises
    ------
    FileFormatError
        Missing, truncated (with expected and found counts), not a cube, several values a point, NaN.
    ChargeError
        A density that does not integrate to its electron count.
    """
    text = read_bytes(path)
    header = _read_header(path, text)
    n = int(np.prod(header.shape))
    parsed = parse_floats(text, header.end, n)
    if parsed.bad >= 0:
        word = text[parsed.bad : parsed.bad + 20].split()[0].decode("ascii", "replace")
        raise FileFormatError(f"{path}: value {parsed.found + 1} of {n} is '{word}', which is no number")
    if parsed.found < n:
        raise FileFormatError(
            f"{path} is truncated: {n} values expected for a {_times(header.shape)} grid, "
            f"{parsed.found} found; copy or write it again"
        )
    if parsed.found > n:
        raise FileFormatError(f"{path} holds more than the {n} values of its {_times(header.shape)} grid")
    return checked_snapshot(
        path,
        header.structure,
        parsed.values.reshape(header.shape),
        stated=header.n_electrons,
        given=n_electrons,
        file_format="cube",
    )


def write_cube(path: Path, snapshot: Snapshot) -> None:
    """Write a density in e/bohr³, six significant digits as the format has them, lengths in bohr.

    The electron count goes into the second comment line, where `read_cube` finds it.
    """
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(_as_text(snapshot).encode("ascii"), compresslevel=4))
    else:
        path.write_text(_as_text(snapshot), encoding="ascii")


def _as_text(snapshot: Snapshot) -> str:
    structure, values = snapshot.structure, snapshot.density.values
    steps = structure.cell / np.array(values.shape)[:, None]
    charges = np.column_stack([structure.numbers, structure.positions])
    lines = [
        "electron density in e/bohr^3, written by nearsight",
        f"n_electrons = {snapshot.n_electrons:.9g}, all lengths in bohr, last axis fastest",
        f"{structure.n_atoms:5d} {0.0:17.12f} {0.0:17.12f} {0.0:17.12f}",
        *(f"{n:5d} " + _three(step) for n, step in zip(values.shape, steps, strict=True)),
        *(f"{int(z):5d} {float(z):17.12f} " + _three(r) for z, *r in charges),
    ]
    n3 = values.shape[2]
    row = "\n".join(_VALUE * min(6, n3 - i) for i in range(0, n3, 6)) + "\n"
    slabs = (row * values.shape[1] % tuple(slab.ravel()) for slab in values)
    return "\n".join(lines) + "\n" + "".join(slabs)


def _three(vector: np.ndarray) -> str:
    return " ".join(f"{x:17.12f}" for x in vector)


def _times(shape: tuple[int, int, int]) -> str:
    return " x ".join(str(n) for n in shape)


def _read_header(path: Path, text: bytes) -> _Header:
    """Structure, grid and stated count; `end` is the offset of the first value."""
    lines, end = _take_lines(path, text, 0, 6)
    try:
        n_atoms, origin, n_values = _first_numbers(lines[2])
        axes = [_counted(line) for line in lines[3:6]]
        atom_lines, end = _take_lines(path, text, end, abs(n_atoms))
        atoms = np.array([[float(x) for x in line.split()[:5]] for line in atom_lines]).reshape(-1, 5)
        if n_atoms < 0:
            (ids,), end = _take_lines(path, text, end, 1)
            n_values = int(ids.split()[0])
    except (ValueError, IndexError) as error:
        raise FileFormatError(f"{path} is no cube file: its header cannot be read ({error})") from error
    counts = np.array([count for count, _ in axes])
    if not ((counts > 0).all() or (counts < 0).all()):
        raise FileFormatError(
            f"{path}: numbers of points {counts.tolist()} must be all positive (bohr) or all negative (Å)"
        )
    if n_values != 1:
        raise FileFormatError(f"{path} holds {n_values} values a point; export the density alone")
    unit = 1.0 if counts[0] > 0 else ANGSTROM
    cell = np.array([abs(count) * step for count, step in axes]) * unit
    try:
        structure = Structure(cell, (atoms[:, 2:] - origin) * unit, np.rint(atoms[:, 0]).astype(int))
    except NearsightError as error:
        raise type(error)(f"{path}: {error}") from error
    shape = (abs(int(counts[0])), abs(int(counts[1])), abs(int(counts[2])))
    return _Header(structure, shape, _stated_count(lines[:2]), end)


def _take_lines(path: Path, text: bytes, start: int, n: int) -> tuple[list[str], int]:
    """`n` lines from offset `start`, and the offset behind them."""
    lines = []
    for _ in range(n):
        stop = text.find(b"\n", start)
        if stop < 0:
            raise FileFormatError(f"{path} is truncated in its header, or no cube file")
        lines.append(text[start:stop].decode("utf-8", "replace"))
        start = stop + 1
    return lines, start


def _first_numbers(line: str) -> tuple[int, np.ndarray, int]:
    """Atoms, origin, and values a point, from the third line."""
    words = line.split()
    n_values = int(words[4]) if len(words) > 4 else 1
    return int(words[0]), np.array([float(x) for x in words[1:4]]), n_values


def _counted(line: str) -> tuple[int, np.ndarray]:
    """Number of points and step of one axis."""
    count, x, y, z = line.split()[:4]
    return int(count), np.array([float(x), float(y), float(z)])


def _stated_count(comments: list[str]) -> float | None:
    match = _STATED.search(" ".join(comments))
    return float(match[1].replace("D", "E")) if match else None


FORMATS.register("cube")(Format("cube", ("*.cube", "*.cub"), read_cube, write_cube))
