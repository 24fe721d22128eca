"""Gaussian cube files: reading at the speed of the disk, and writing.

Header (P. Bourke, "Gaussian Cube Files"): two comments; the number of atoms and the origin; for each
axis the number of points and the step; for each atom its number, a charge and its position. Numbers
of points that are negative mean that all lengths are in Å. Values follow with the last axis fastest.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from nearsight.errors import FileFormatError
from nearsight.io.checks import checked_snapshot, count_of, quantity_of, structure_of, write_bytes
from nearsight.io.digits import format_floats
from nearsight.io.formats import FORMATS, Format
from nearsight.io.textfile import TextFile, numbers_in, stated_count, times
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure
from nearsight.units import ANGSTROM


class CubeHeader(NamedTuple):
    """What stands before the values."""

    structure: Structure
    shape: tuple[int, int, int]
    n_electrons: float | None
    comments: tuple[str, str]


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
    file = TextFile(path, "cube file")
    header = read_cube_header(file)
    return checked_snapshot(
        path,
        header.structure,
        read_cube_values(file, header.shape),
        stated=header.n_electrons,
        given=n_electrons,
        file_format="cube",
    )


def read_cube_values(file: TextFile, shape: tuple[int, int, int]) -> np.ndarray:
    """The values behind the header, shape `shape`; nothing may follow them."""
    values = file.values(shape)
    if not file.at_end():
        raise FileFormatError(
            f"{file.path} holds more than the {values.size} values of its {times(shape)} grid"
        )
    return values


def write_cube(path: Path, snapshot: Snapshot) -> None:
    """Write a density in e/bohr³, six significant digits as the format has them, lengths in bohr.

    The electron count goes into the second comment line, where `read_cube` finds it.
    """
    content = _header_text(snapshot).encode("ascii") + format_floats(
        snapshot.density.values, 5, 6, row=snapshot.density.grid.shape[2]
    )
    write_bytes(path, content)


def _header_text(snapshot: Snapshot) -> str:
    structure, shape = snapshot.structure, snapshot.density.grid.shape
    steps = structure.cell / np.array(shape)[:, None]
    charges = np.column_stack([structure.numbers, structure.positions])
    lines = [
        f"{quantity_of(snapshot)} in e/bohr^3, written by nearsight",
        f"{count_of(snapshot)}all lengths in bohr, last axis fastest",
        f"{structure.n_atoms:5d} {0.0:17.12f} {0.0:17.12f} {0.0:17.12f}",
        *(f"{n:5d} " + _three(step) for n, step in zip(shape, steps, strict=True)),
        *(f"{int(z):5d} {float(z):17.12f} " + _three(r) for z, *r in charges),
    ]
    return "\n".join(lines) + "\n"


def _three(vector: np.ndarray) -> str:
    return " ".join(f"{x:17.12f}" for x in vector)


def read_cube_header(file: TextFile) -> CubeHeader:
    """Structure, grid and stated count; the file then stands before its first value."""
    lines = file.lines(6)
    try:
        n_atoms, origin, n_values = _first_numbers(lines[2])
        axes = [_counted(line) for line in lines[3:6]]
        atoms = np.array([numbers_in(line, 5) for line in file.lines(abs(n_atoms))]).reshape(-1, 5)
        if n_atoms < 0:
            n_values = int(file.line().split()[0])
    except (ValueError, IndexError, OverflowError) as error:
        raise file.unreadable(error) from error
    counts = np.array([count for count, _ in axes])
    if not ((counts > 0).all() or (counts < 0).all()):
        raise FileFormatError(
            f"{file.path}: numbers of points {counts.tolist()} must be all positive (bohr) or all "
            "negative (Å)"
        )
    if n_values != 1:
        raise FileFormatError(f"{file.path} holds {n_values} values a point; export the density alone")
    unit = 1.0 if counts[0] > 0 else ANGSTROM
    cell = np.array([abs(count) * step for count, step in axes]) * unit
    structure = structure_of(file.path, cell, (atoms[:, 2:] - origin) * unit, np.rint(atoms[:, 0]))
    shape = (abs(int(counts[0])), abs(int(counts[1])), abs(int(counts[2])))
    return CubeHeader(structure, shape, stated_count(" ".join(lines[:2])), (lines[0], lines[1]))


def _first_numbers(line: str) -> tuple[int, np.ndarray, int]:
    """Atoms, origin, and values a point, from the third line."""
    words = line.split()
    n_values = int(words[4]) if len(words) > 4 else 1
    return int(words[0]), numbers_in(" ".join(words[1:4])), n_values


def _counted(line: str) -> tuple[int, np.ndarray]:
    """Number of points and step of one axis."""
    count, *step = line.split()[:4]
    return int(count), numbers_in(" ".join(step))


FORMATS.register("cube")(Format("cube", ("*.cube", "*.cub"), read_cube, write_cube))
