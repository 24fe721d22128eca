"""The structure in SPARC's input files: ``.ion`` (atoms) and ``.inpt`` (cell); SPARC's manual, "Input".

Lengths in bohr. ``CELL`` with ``LATVEC``: lengths along the directions of the lattice vectors;
``LATVEC_SCALE`` with ``LATVEC``: factors of the vectors as they stand. ``COORD`` is Cartesian,
``COORD_FRAC`` in units of the cell vectors. What follows ``#`` is a comment.
"""

import re
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from nearsight.errors import FileFormatError
from nearsight.io.checks import read_bytes, structure_of
from nearsight.io.textfile import numbers_in
from nearsight.structure import Structure


def read_sparc_structure(ion: Path, inpt: Path) -> Structure:
    """Structure of a SPARC calculation from its two input files, ``.gz`` or not.

    Raises
    ------
    FileFormatError
        A file is missing, or its cell or atoms cannot be read.
    StructureError
        A structure that cannot be.
    """
    cell = _read_cell(inpt)
    numbers, positions = _read_atoms(ion, cell)
    return structure_of(ion, cell, positions, numbers)


def _read_cell(path: Path) -> np.ndarray:
    """Cell vectors in bohr, one a row."""
    lines = _lines(path)
    found = {key: i for i, (key, _) in enumerate(map(_split, lines)) if key}
    try:
        vectors = np.eye(3)
        if "LATVEC" in found:
            first = found["LATVEC"]
            words = " ".join([_split(lines[first])[1], *lines[first + 1 : first + 4]]).split()
            vectors = numbers_in(" ".join(words), 9).reshape(3, 3)
        key = "LATVEC_SCALE" if "LATVEC_SCALE" in found else "CELL"
        factors = numbers_in(_split(lines[found[key]])[1]).reshape(3, 1)
        if key == "CELL":
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    except (KeyError, ValueError) as error:
        raise FileFormatError(f"{path}: no CELL (or LATVEC_SCALE) and LATVEC can be read from it") from error
    return factors * vectors


def _read_atoms(path: Path, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers and positions in bohr."""
    lines = _lines(path)
    numbers: list[int] = []
    positions: list[np.ndarray] = []
    element, count = "", 0
    try:
        for i, line in enumerate(lines):
            key, value = _split(line)
            if key == "ATOM_TYPE":
                element = re.split(r"[^A-Za-z]", value.strip())[0].capitalize()
            elif key == "N_TYPE_ATOM":
                count = int(value)
            elif key in ("COORD", "COORD_FRAC"):
                rows = [value, *lines[i + 1 :]] if value.strip() else lines[i + 1 :]
                block = np.array([numbers_in(row) for row in rows[:count]]).reshape(count, 3)
                positions.append(block @ cell if key == "COORD_FRAC" else block)
                numbers += count * [atomic_numbers[element]]
    except (KeyError, ValueError) as error:
        raise FileFormatError(f"{path}: its atoms cannot be read ({error})") from error
    if not numbers:
        raise FileFormatError(f"{path} holds no atoms (ATOM_TYPE, N_TYPE_ATOM, COORD)")
    return np.array(numbers), np.concatenate(positions)


def _lines(path: Path) -> list[str]:
    """Lines that say something, comments left out."""
    text = read_bytes(path).decode("utf-8", "replace")
    return [line for raw in text.splitlines() if (line := raw.split("#")[0].strip())]


def _split(line: str) -> tuple[str, str]:
    """``KEY: value`` apart; no key for a line of numbers."""
    key, colon, value = line.partition(":")
    return (key.strip().upper(), value) if colon else ("", line)
