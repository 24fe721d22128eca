"""XCrySDen's XSF with one DATAGRID_3D (XCrySDen, "XSF format specification"); lengths in Å.

The grid is a *general* one: its points span the vectors from end to end, so that the first plane along
each axis comes again as the last; inside nearsight no plane is repeated. First axis fastest. The format
states no unit of the values: pp.x of Quantum ESPRESSO and `write_xsf` write e/bohr³, which is what is
read; the electron count shows where it was another.
"""

import re
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from nearsight.errors import FileFormatError, GridMismatchError
from nearsight.io.checks import checked_snapshot, count_of, quantity_of, structure_of, write_bytes
from nearsight.io.digits import format_floats
from nearsight.io.formats import FORMATS, Format
from nearsight.io.textfile import TextFile, numbers_in, stated_count, times
from nearsight.snapshot import Snapshot
from nearsight.units import ANGSTROM, BOHR_IN_ANGSTROM

#: how far (Å) the grid's vectors, printed with few digits, may be off the cell's
_SAME = 2e-3
#: how far, as a share of the largest value, a repeated plane may be off the first
_REPEATED = 1e-4
_GRID = re.compile(r"(BEGIN_)?DATAGRID_3D", re.IGNORECASE)
_NEXT_GRID = re.compile(rb"^[ \t]*(BEGIN_)?DATAGRID_3D", re.IGNORECASE | re.MULTILINE)


def read_xsf(path: Path, n_electrons: float | None = None) -> Snapshot:
    """Read a density in e/bohr³ from an XSF file.

    Atoms are moved so that the grid's origin is the cell's origin.

    Parameters
    ----------
    path : Path
        ``.gz`` is unpacked.
    n_electrons : float, optional
        Electron count; else what a comment states as ``n_electrons = …``, else the integral, which
        must then be a whole number.

    Raises
    ------
    FileFormatError
        Missing, truncated, several structures or grids, planes that are not repeated, NaN.
    GridMismatchError
        A grid of another cell than that of the atoms.
    ChargeError
        A density that does not integrate to its electron count.
    """
    file = TextFile(path, "XSF file with a DATAGRID_3D")
    sections, comments = _read_head(file)
    try:
        counts = tuple(int(word) for word in _say(file).split())
        origin, *vectors = (numbers_in(_say(file)) for _ in range(4))
        numbers, positions = _atoms(sections)
        span = np.array(vectors)
        cell = np.array([numbers_in(row) for row in sections.get("PRIMVEC", [])] or span)
        positions = positions - origin
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        raise file.unreadable(error) from error
    if len(counts) != 3 or min(counts) < 1 or cell.shape != (3, 3):
        raise FileFormatError(f"{path}: its cell or its grid of {times(counts)} points cannot be")
    values = file.values(counts, order="F")
    if not file.text[file.at : file.at + 12].upper().startswith(b"END_DATAGRID"):
        raise FileFormatError(f"{path} is damaged: END_DATAGRID_3D must follow its {values.size} values")
    if _NEXT_GRID.search(file.text, file.at):
        raise FileFormatError(f"{path} holds several data grids; export the density alone")
    return checked_snapshot(
        path,
        structure_of(path, cell * ANGSTROM, positions * ANGSTROM, numbers),
        _without_repeats(path, values, cell, span),
        stated=stated_count(comments),
        given=n_electrons,
        file_format="xsf",
    )


def write_xsf(path: Path, snapshot: Snapshot) -> None:
    """Write a density in e/bohr³, eight significant digits, repeated planes as the format wants them.

    The electron count goes into a comment, where `read_xsf` finds it.
    """
    structure = snapshot.structure
    cell = [_three(vector) for vector in structure.cell * BOHR_IN_ANGSTROM]
    atoms = zip(structure.numbers, structure.positions * BOHR_IN_ANGSTROM, strict=True)
    values = np.pad(snapshot.density.values, [(0, 1)] * 3, mode="wrap")
    lines = [
        f"# {count_of(snapshot)}{quantity_of(snapshot)} in e/bohr^3, written by nearsight",
        "CRYSTAL",
        "PRIMVEC",
        *cell,
        "PRIMCOORD",
        f"{structure.n_atoms} 1",
        *(f"{int(z):3d} {_three(position)}" for z, position in atoms),
        "BEGIN_BLOCK_DATAGRID_3D",
        "electron_density",
        "BEGIN_DATAGRID_3D_rho",
        " ".join(f"{n}" for n in values.shape),
        _three(np.zeros(3)),
        *cell,
    ]
    head, tail = "\n".join(lines) + "\n", "END_DATAGRID_3D\nEND_BLOCK_DATAGRID_3D\n"
    body = format_floats(values.transpose(), 7, 6)
    write_bytes(path, head.encode("ascii") + body + tail.encode("ascii"))


def _three(vector: np.ndarray) -> str:
    return " ".join(f"{x:19.14f}" for x in vector)


def _say(file: TextFile) -> str:
    """The next line that is neither empty nor a comment."""
    line = ""
    while not line or line.startswith("#"):
        line = file.line().strip()
    return line


def _read_head(file: TextFile) -> tuple[dict[str, list[str]], str]:
    """Lines of each section before the grid, by its keyword, and the comments."""
    sections: dict[str, list[str]] = {}
    comments: list[str] = []
    keyword = ""
    while True:
        line = file.line().strip()
        if line.startswith("#"):
            comments.append(line)
        elif _GRID.match(line):
            return sections, " ".join(comments)
        elif line[:4].isalpha() and line[:4].isupper():
            keyword = line.split()[0]
            if keyword == "ANIMSTEPS" or keyword in sections:
                raise FileFormatError(f"{file.path} holds several structures; export one with its density")
            sections[keyword] = []
        elif line and keyword:
            sections[keyword].append(line)


def _atoms(sections: dict[str, list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers and positions in Å."""
    lines = sections["ATOMS"] if "ATOMS" in sections else sections["PRIMCOORD"]
    if "ATOMS" not in sections:
        n_atoms = int(lines[0].split()[0])
        lines = lines[1 : n_atoms + 1]
        if len(lines) != n_atoms:
            raise ValueError(f"{n_atoms} atoms stated, {len(lines)} found")
    words = [line.split() for line in lines]
    numbers = [
        int(w[0]) if w[0].isdigit() else atomic_numbers[re.split(r"[^A-Za-z]", w[0])[0]] for w in words
    ]
    return np.array(numbers), np.array([numbers_in(" ".join(w[1:])) for w in words])


def _without_repeats(path: Path, values: np.ndarray, cell: np.ndarray, span: np.ndarray) -> np.ndarray:
    """The values without the planes that come again.

    Some writers span ``(n − 1)/n`` of the cell instead, with no plane repeated: all are kept then.
    """
    counts = np.array(values.shape)[:, None]
    if np.allclose(span * counts, cell * (counts - 1), rtol=0, atol=_SAME * counts.max()) and not np.allclose(
        span, cell, rtol=0, atol=_SAME
    ):
        return values
    if not np.allclose(span, cell, rtol=0, atol=_SAME):
        raise GridMismatchError(
            f"{path}: the data grid spans {span.round(3).tolist()} Å where the cell is "
            f"{cell.round(3).tolist()}; export the density on the primitive cell"
        )
    if min(values.shape) < 2:
        raise FileFormatError(f"{path}: a general grid has two planes along each axis at least")
    largest = np.abs(values).max()
    for axis in range(3):
        off = np.abs(values.take(-1, axis) - values.take(0, axis)).max()
        if not off <= _REPEATED * largest and np.isfinite(largest):
            raise FileFormatError(
                f"{path}: the last plane along axis {axis + 1} must repeat the first (a general grid) and "
                f"is off by {off:.2g}; export the density with repeated end points"
            )
    return values[:-1, :-1, :-1]


FORMATS.register("xsf")(Format("xsf", ("*.xsf",), read_xsf, write_xsf))
