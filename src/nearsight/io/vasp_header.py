"""The structure at the head of VASP's files, as in a POSCAR (VASP wiki, "POSCAR").

Comment; one scaling factor (negative: the cell's volume in Å³) or three (of the Cartesian components);
three lattice vectors; symbols of the groups of atoms; their sizes; perhaps ``Selective dynamics``;
``Direct`` or ``Cartesian``; a position a line. Lengths in Å.
"""

import re

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from nearsight.errors import FileFormatError
from nearsight.io.checks import structure_of
from nearsight.io.textfile import TextFile, numbers_in
from nearsight.structure import Structure
from nearsight.units import ANGSTROM, BOHR_IN_ANGSTROM


def read_vasp_header(file: TextFile) -> tuple[Structure, str]:
    """Structure and comment line; the file then stands behind the last position.

    Raises
    ------
    FileFormatError
        Truncated, unreadable, or of VASP 4, which names no elements.
    StructureError
        A structure that cannot be.
    """
    comment = file.line()
    try:
        scale, cell = _scaled_cell(file.lines(4))
        numbers = _numbers(file)
        mode = file.line().strip().lower()
        if mode.startswith("s"):  # selective dynamics: flags follow the positions
            mode = file.line().strip().lower()
        positions = np.array([numbers_in(line) for line in file.lines(len(numbers))])
    except (ValueError, IndexError, OverflowError) as error:
        raise file.unreadable(error) from error
    positions = positions * scale if mode[:1] in ("c", "k") else positions @ cell
    return structure_of(file.path, cell * ANGSTROM, positions * ANGSTROM, numbers), comment


def vasp_header(structure: Structure, comment: str) -> str:
    """The same as text, for atoms that stand in groups of one element each."""
    numbers, counts = _groups(structure.numbers)
    lines = [
        comment,
        "   1.00000000000000",
        *(" " + _three(vector, 22) for vector in structure.cell * BOHR_IN_ANGSTROM),
        "".join(f" {chemical_symbols[z]:>5s}" for z in numbers),
        "".join(f" {n:5d}" for n in counts),
        "Direct",
        *(_three(position, 20) for position in structure.fractional),
    ]
    return "\n".join(lines) + "\n"


def by_element(numbers: np.ndarray) -> np.ndarray:
    """The order that groups atoms by element, elements as they first appear, shape (n_atoms,)."""
    _, first, which = np.unique(numbers, return_index=True, return_inverse=True)
    return np.argsort(first[which], kind="stable")


def _groups(numbers: np.ndarray) -> tuple[list[int], list[int]]:
    """Runs of one element, and their lengths."""
    starts = np.flatnonzero(np.diff(numbers, prepend=0))
    return numbers[starts].tolist(), np.diff(starts, append=len(numbers)).tolist()


def _three(vector: np.ndarray, width: int) -> str:
    return " ".join(f"{x:{width}.16f}" for x in vector)


def _scaled_cell(lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Factors of the Cartesian components, shape (3,), and the scaled cell in Å."""
    leading = _leading_numbers(lines[0])
    factors = numbers_in(" ".join(leading), len(leading))
    cell = np.array([numbers_in(line) for line in lines[1:]])
    volume = abs(np.linalg.det(cell))
    if len(factors) == 1 and factors[0] < 0 and volume > 0:
        factors = np.cbrt(-factors / volume)
    if len(factors) not in (1, 3) or not (factors > 0).all():
        raise ValueError(f"scaling factors '{lines[0].strip()}'")
    scale = np.broadcast_to(factors, 3)
    return scale, cell * scale


def _leading_numbers(line: str) -> list[str]:
    """The numbers at the start of the line that scales; comments may follow."""
    words = line.split()
    numbers = [w for w in words[:3] if re.fullmatch(r"[-+]?[0-9.]+([eEdD][-+]?[0-9]+)?", w)]
    if not numbers:
        raise ValueError(f"no scaling factor in '{line.strip()}'")
    return numbers if len(numbers) == 3 else numbers[:1]


def _numbers(file: TextFile) -> np.ndarray:
    """Atomic numbers from the lines of symbols and counts."""
    symbols = [re.split(r"[_/]", word)[0] for word in file.line().split()]
    if symbols and symbols[0].isdigit():
        raise FileFormatError(
            f"{file.path} is of VASP 4, which names no elements: insert a line with their symbols, in the "
            f"order of the POTCAR, above the line '{' '.join(symbols)}'"
        )
    counts = [int(word) for word in file.line().split()[: len(symbols)]]
    unknown = [s for s in symbols if s not in atomic_numbers or s == "X"]
    if unknown or len(counts) != len(symbols) or min(counts, default=0) < 1 or sum(counts) > len(file.text):
        raise ValueError(f"elements {symbols} with counts {counts}")
    return np.repeat([atomic_numbers[s] for s in symbols], counts)
