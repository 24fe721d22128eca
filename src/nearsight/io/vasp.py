"""VASP's CHGCAR, CHG and AECCAR: density times cell volume, first axis fastest (VASP wiki, "CHGCAR").

A structure, the grid, the values; then, in a CHGCAR, the augmentation occupancies of each atom. A
spin-polarised file goes on with the grid again and the magnetisation density. The file states no
electron count: it is the mean of the values.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase.data import chemical_symbols

from nearsight.errors import FileFormatError
from nearsight.io.checks import checked_snapshot, count_of, quantity_of, require_finite, write_bytes
from nearsight.io.digits import format_floats
from nearsight.io.floats import parse_floats
from nearsight.io.formats import FORMATS, Format
from nearsight.io.textfile import TextFile, stated_count, times
from nearsight.io.vasp_header import by_element, read_vasp_header, vasp_header
from nearsight.provenance import digest
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure

#: Fortran's ``2I4`` leaves no space before the number of an atom above 999
_OCCUPANCIES = re.compile(rb"augmentation occupancies *(\(imaginary part\))? *(\d+) +(\d+)[ \t]*\r?\n")
_KINDS = {
    "aeccar0": "core electrons alone: no valence density",
    "aeccar1": "superposed atoms, not the self-consistent density",
    "aeccar2": "valence density with the nodes of all-electron orbitals, which a grid integrates poorly",
}


class _Rest(NamedTuple):
    """What follows the total density."""

    #: the text of each atom's occupancies, without its heading
    occupancies: list[str]
    #: integrals of the magnetisation's components, in Bohr magnetons
    moments: list[float]


def read_chgcar(path: Path, n_electrons: float | None = None) -> Snapshot:
    """Read the total density of a CHGCAR, CHG or AECCAR.

    Augmentation occupancies are kept as they stand in ``provenance["augmentation"]``, and
    `write_chgcar` writes them back for the same structure and grid. Of a magnetisation density only
    the integral is kept, in ``provenance["magnetic_moment"]``.

    Parameters
    ----------
    path : Path
        ``.gz`` is unpacked.
    n_electrons : float, optional
        Electron count; else what the comment line states as ``n_electrons = …``, else the integral,
        which must then be a whole number.

    Raises
    ------
    FileFormatError
        Missing, truncated (in any of its parts), several structures, no element names, NaN.
    ChargeError
        A density that does not integrate to its electron count.
    """
    file = TextFile(path, "CHGCAR")
    structure, comment = read_vasp_header(file)
    shape = _read_shape(file)
    density = file.values(shape, order="F") / structure.volume
    rest = _read_rest(file, shape, structure.n_atoms)
    return checked_snapshot(
        path,
        structure,
        density,
        stated=stated_count(comment),
        given=n_electrons,
        file_format="chgcar",
        notes=_notes(path, rest),
        extras=_extras(rest, structure, shape),
    )


def write_chgcar(path: Path, snapshot: Snapshot) -> list[str]:
    """Write a CHGCAR that VASP reads, twelve significant digits.

    Atoms are grouped by element, elements as they first appear, which is the order of the POTCAR that
    VASP needs. VASP refuses left-handed cells: the first two vectors change places then. Augmentation
    occupancies are written where the snapshot was read with them and its structure and grid are the
    same; without them VASP starts from the density with ``ICHARG = 1`` and atomic occupancies.

    Returns
    -------
    list of str
        What was changed, one line each.
    """
    structure, cell, density = snapshot.structure, snapshot.structure.cell, snapshot.density.values
    occupancies, notes = _kept_occupancies(snapshot), []
    if np.linalg.det(cell) < 0:
        notes.append("the cell is left-handed, which VASP refuses: its first two vectors changed places")
        cell, density = cell[[1, 0, 2]], density.swapaxes(0, 1)
    order = by_element(structure.numbers)
    elements = " ".join(chemical_symbols[z] for z in dict.fromkeys(structure.numbers.tolist()))
    if not np.array_equal(order, np.arange(structure.n_atoms)):
        notes.append(f"atoms are grouped by element, as VASP needs them; the POTCAR is of {elements}")
    grouped = Structure(cell, structure.positions[order], structure.numbers[order])
    comment = f"{count_of(snapshot)}written by nearsight; POTCAR of {elements}"
    if "quantity" in snapshot.provenance:
        comment = f"{quantity_of(snapshot)} (times volume), written by nearsight; atoms {elements}"
    head = vasp_header(grouped, comment) + "\n" + "".join(f" {n:4d}" for n in density.shape) + "\n"
    tail = "".join(
        f"augmentation occupancies{i:4d}{len(text.split()):4d}\n{text}"
        for i, text in enumerate((occupancies[k] for k in order) if occupancies else (), start=1)
    )
    values = format_floats(density.transpose() * structure.volume, 11, 5)
    write_bytes(path, head.encode("ascii") + values + tail.encode("ascii"))
    return notes


def _read_shape(file: TextFile) -> tuple[int, int, int]:
    """The grid, behind an empty line."""
    if file.at_end():
        raise FileFormatError(f"{file.path} holds a structure and no density")
    line = ""
    while not line.strip():
        line = file.line()
    try:
        n1, n2, n3 = (int(word) for word in line.split())
    except ValueError as error:
        raise file.unreadable(error) from error
    if min(n1, n2, n3) < 1:
        raise FileFormatError(f"{file.path}: a grid of {times((n1, n2, n3))} points cannot be")
    return n1, n2, n3


def _read_rest(file: TextFile, shape: tuple[int, int, int], n_atoms: int) -> _Rest:
    """Occupancies and magnetisation; anything else behind the density is refused."""
    occupancies = _read_occupancies(file, n_atoms)
    again = re.compile(rb"^[ \t]*%d[ \t]+%d[ \t]+%d[ \t]*\r?\n" % shape, re.MULTILINE)
    moments: list[float] = []
    while not file.at_end():
        found = again.search(file.text, file.text.rfind(b"\n", 0, file.at) + 1)
        between = file.text[file.at : found.start()] if found else file.text[file.at :]
        n_words = len(between.split())
        if found is None or parse_floats(between, 0, n_words).found != n_words:
            word = file.text[file.at : file.at + 20].split()[0].decode("ascii", "replace")
            raise FileFormatError(
                f"{file.path}: '{word}' behind the {times(shape)} values is neither occupancies nor a "
                "magnetisation on that grid; if it holds several structures, split it, else copy it again"
            )
        file.at = found.end()
        magnetisation = file.values(shape, "values of the magnetisation")
        require_finite(file.path, magnetisation, "magnetisation")
        moments.append(float(magnetisation.mean()))
        _read_occupancies(file, n_atoms)
    if len(moments) not in (0, 1, 3):
        raise FileFormatError(
            f"{file.path} holds {len(moments) + 1} densities: one, two or four are expected"
        )
    return _Rest(occupancies, moments)


def _read_occupancies(file: TextFile, n_atoms: int) -> list[str]:
    """The text of each atom's block, if there are any; imaginary parts are checked and left out."""
    cut = FileFormatError(f"{file.path} is truncated in its augmentation occupancies; copy it again")
    blocks: list[str] = []
    while file.text.startswith(b"augmentation", file.at):
        match = _OCCUPANCIES.match(file.text, file.at)
        if match is None:
            raise cut
        start, n = match.end(), int(match[3])
        file.at = start
        file.values((n, 1, 1), f"augmentation occupancies of atom {int(match[2])}")
        if match[1] is None:
            blocks.append(file.text[start : file.at].decode("ascii", "replace").rstrip() + "\n")
    if len(blocks) not in (0, n_atoms):
        raise cut
    return blocks


def _notes(path: Path, rest: _Rest) -> list[str]:
    kind = next((text for name, text in _KINDS.items() if path.name.lower().startswith(name)), None)
    notes = [kind] if kind else []
    if rest.moments:
        total = " ".join(f"{m:.4g}" for m in rest.moments)
        notes.append(f"spin-polarised: the total density was read, of the magnetisation its integral {total}")
    return notes


def _extras(rest: _Rest, structure: Structure, shape: tuple[int, int, int]) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if rest.moments:
        extras["magnetic_moment"] = rest.moments
    if rest.occupancies:
        extras["augmentation"] = {"of": _identity(structure, shape), "occupancies": rest.occupancies}
    return extras


def _kept_occupancies(snapshot: Snapshot) -> list[str]:
    """Occupancies that came with this structure and grid, or none."""
    kept = snapshot.provenance.get("augmentation", {})
    same = kept.get("of") == _identity(snapshot.structure, snapshot.density.grid.shape)
    return list(kept["occupancies"]) if same else []


def _identity(structure: Structure, shape: tuple[int, int, int]) -> str:
    return digest(structure.cell, structure.positions, structure.numbers, list(shape))


FORMATS.register("chgcar")(
    Format(
        "chgcar",
        ("*.vasp", "*.chgcar", "chgcar*", "*chgcar", "chg", "chg[._]*", "aeccar[012]*"),
        read_chgcar,
        write_chgcar,
    )
)
