"""SPARC's ``.dens``: a cube file in e/bohr³ whose header has misplaced atoms in some versions.

Until SPARC's pull request 154, the positions of a cell that is not orthogonal were printed along the
cell vectors instead of Cartesian (SPARC issue 127). So the density itself is asked which positions
belong to it; ``.ion`` and ``.inpt`` beside the file give them with all their digits. Steps are printed
with six decimals; the comment states the cell's lengths, which are better.
"""

import re
from pathlib import Path

import numpy as np

from nearsight.errors import FileFormatError
from nearsight.io.agreement import LOWEST_SHARE, explained_shares
from nearsight.io.checks import checked_snapshot, require_finite
from nearsight.io.cube import CubeHeader, read_cube_header, read_cube_values
from nearsight.io.formats import FORMATS, Format
from nearsight.io.sparc_input import read_sparc_structure
from nearsight.io.textfile import TextFile, numbers_in
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure

_CELL = re.compile(r"Cell length:\s*(\S+)\s+(\S+)\s+(\S+?),\s*boundary condition:\s*(\S)\s+(\S)\s+(\S)")
#: how far (bohr) positions or cell vectors of two files may differ to be the same ones
_SAME = 1e-3
#: by how much another reading must explain the density better to be believed against the header
_BETTER = 0.02


def read_dens(path: Path, n_electrons: float | None = None) -> Snapshot:
    """Read the density of a SPARC calculation.

    Parameters
    ----------
    path : Path
        ``.gz`` is unpacked. ``NAME.ion`` and ``NAME.inpt`` beside it are used where they are.
    n_electrons : float, optional
        Electron count; else the integral, which must then be a whole number.

    Raises
    ------
    FileFormatError
        Missing, truncated, not a cube, NaN; or no reading of the positions agrees with the density.
    ChargeError
        A density that does not integrate to its electron count.
    """
    file = TextFile(path, "SPARC density (cube)")
    header = read_cube_header(file)
    density = read_cube_values(file, header.shape)
    require_finite(path, density, "density")
    cell, periodic = _cell(path, header)
    for axis in range(3):
        if not periodic[axis] and density.shape[axis] > 1:  # both faces of the box are on the grid
            density = np.delete(density, -1, axis=axis)
    printed = Structure(cell, header.structure.positions, header.structure.numbers)
    structure, notes = _settle(path, printed, density)
    return checked_snapshot(
        path, structure, density, stated=None, given=n_electrons, file_format="sparc", notes=notes
    )


def _cell(path: Path, header: CubeHeader) -> tuple[np.ndarray, list[bool]]:
    """Cell vectors with the digits of the comment, and along which of them the system is periodic."""
    cell = header.structure.cell
    match = _CELL.search(" ".join(header.comments))
    if match is None:
        return cell, [True, True, True]
    kinds = match.groups()[3:]
    try:
        lengths = numbers_in(" ".join(match.groups()[:3]))
    except ValueError as error:
        raise FileFormatError(f"{path}: its cell lengths cannot be read ({error})") from error
    if not set(kinds) <= {"P", "D"}:
        raise FileFormatError(
            f"{path}: boundary condition '{' '.join(kinds)}' is not periodic (P) or a box (D)"
        )
    intervals = [n if kind == "P" else n - 1 for n, kind in zip(header.shape, kinds, strict=True)]
    stepped = np.linalg.norm(cell, axis=1) * np.array(intervals) / np.array(header.shape)
    if not np.allclose(stepped, lengths, rtol=0, atol=1e-6 * np.array(header.shape).max() + 1e-4):
        raise FileFormatError(
            f"{path}: its cell lengths {lengths.tolist()} are not those of its grid, "
            f"{stepped.round(4).tolist()}"
        )
    return cell * (lengths / np.linalg.norm(cell, axis=1))[:, None], [kind == "P" for kind in kinds]


def _settle(path: Path, printed: Structure, density: np.ndarray) -> tuple[Structure, list[str]]:
    """The structure whose positions the density agrees with, and what to say of it."""
    inputs = _inputs(path)
    readings, along = {"the header": printed}, _along_vectors(printed)
    if _distance(along, printed) > _SAME:
        readings["the header, taken along the cell vectors"] = along
    if inputs is not None:
        name, given = inputs
        if not _same_cell_and_elements(given, printed):
            return _believed(
                path, printed, readings, density, [f"{name} describes another cell or other atoms"]
            )
        if _distance(given, printed) < _SAME:
            readings["the header"] = given
        else:
            readings[name] = given
    return _believed(path, printed, readings, density, [])


def _believed(
    path: Path, printed: Structure, readings: dict[str, Structure], density: np.ndarray, notes: list[str]
) -> tuple[Structure, list[str]]:
    """The reading that explains the density best; the header's unless another is clearly better."""
    shares = dict(zip(readings, explained_shares(list(readings.values()), density), strict=True))
    best = max(shares, key=lambda name: shares[name])
    if shares[best] < LOWEST_SHARE:
        raise FileFormatError(
            f"{path}: the density does not belong to the atoms of its header, which explain "
            f"{100 * shares['the header']:.0f} % of it; put the .ion and .inpt of that calculation beside it"
        )
    if shares[best] < shares["the header"] + _BETTER:
        return readings["the header"], notes
    found = readings[best]
    return found, [
        *notes,
        f"the header misplaces atoms by up to {_distance(found, printed):.2f} bohr (they explain "
        f"{100 * shares['the header']:.0f} % of the density): positions are from {best} "
        f"({100 * shares[best]:.0f} %)",
    ]


def _along_vectors(printed: Structure) -> Structure:
    """Positions read as lengths along the cell vectors."""
    units = printed.cell / np.linalg.norm(printed.cell, axis=1, keepdims=True)
    return Structure(printed.cell, printed.positions @ units, printed.numbers)


def _inputs(path: Path) -> tuple[str, Structure] | None:
    """Name of the ``.ion`` beside a density and the structure in it and the ``.inpt``, if both are there."""
    stem = re.sub(r"\.dens(_\d+)?(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    found = []
    for suffix in (".ion", ".inpt"):
        places = [path.with_name(stem + suffix + packed) for packed in ("", ".gz")]
        found.append(next((place for place in places if place.is_file()), None))
    ion, inpt = found
    if ion is None or inpt is None:
        return None
    return ion.name, read_sparc_structure(ion, inpt)


def _same_cell_and_elements(first: Structure, second: Structure) -> bool:
    return np.array_equal(first.numbers, second.numbers) and np.allclose(
        first.cell, second.cell, rtol=0, atol=_SAME
    )


def _distance(first: Structure, second: Structure) -> float:
    """Largest distance between atoms of one number, images counted as one, in bohr."""
    apart = (first.positions - second.positions) @ np.linalg.inv(second.cell)
    return float(np.linalg.norm((apart - np.round(apart)) @ second.cell, axis=1).max())


FORMATS.register("sparc")(Format("sparc", ("*.dens", "*.dens_[0-9][0-9]"), read_dens))
