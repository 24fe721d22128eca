"""What every reader does: open the file, and refuse a density that cannot be right."""

import gzip
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from nearsight.errors import ChargeError, FileFormatError, InputError, NearsightError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.snapshot import CHARGE_TOLERANCE, Snapshot
from nearsight.structure import Structure
from nearsight.units import BOHR_IN_ANGSTROM

#: how far (electrons) an integral may be from a whole number to stand for an electron count
WHOLE_TOLERANCE = 0.01


def read_bytes(path: Path) -> bytes:
    """The whole file, unpacked if its name ends in ``.gz``.

    Raises
    ------
    FileFormatError
        Missing, a folder, empty, or a truncated archive.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except FileNotFoundError:
        raise FileFormatError(f"there is no file {path}") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise FileFormatError(f"{path} is a truncated or damaged gzip file; copy it again") from error
    except OSError as error:
        raise FileFormatError(f"cannot read {path}: {error.strerror or error}") from error
    if not content:
        raise FileFormatError(f"{path} is empty; copy it again")
    return content


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file, packed if its name ends in ``.gz``."""
    path.write_bytes(gzip.compress(content, compresslevel=4) if path.suffix == ".gz" else content)


def quantity_of(snapshot: Snapshot) -> str:
    """What a file holds, for its comment: the density, unless the provenance names something else."""
    return str(snapshot.provenance.get("quantity", "electron density"))


def count_of(snapshot: Snapshot) -> str:
    """The electron count as a comment states it; nothing for what is no density."""
    return "" if "quantity" in snapshot.provenance else f"n_electrons = {snapshot.n_electrons:.9g}, "


def structure_of(path: Path, cell: np.ndarray, positions: np.ndarray, numbers: np.ndarray) -> Structure:
    """A `Structure` of cell (3, 3) and positions (n, 3) in bohr, numbers (n,), whose errors name the file."""
    try:
        return Structure(cell, positions, numbers)
    except NearsightError as error:
        raise type(error)(f"{path}: {error}") from error


def require_finite(path: Path, values: np.ndarray, what: str) -> None:
    """Raise `FileFormatError` with count and place of NaN and infinite values."""
    finite = np.isfinite(values)
    if not finite.all():
        bad = np.argwhere(~finite)
        first = ", ".join(str(int(i)) for i in bad[0])
        raise FileFormatError(
            f"{path}: {len(bad)} of {values.size} values of '{what}' are NaN or infinite, the first at "
            f"({first}); the calculation behind it has failed, run it again"
        )


def checked_snapshot(
    path: Path,
    structure: Structure,
    density: np.ndarray,
    *,
    stated: float | None,
    given: float | None,
    energy: float | None = None,
    forces: np.ndarray | None = None,
    rho_saed: np.ndarray | None = None,
    file_format: str,
    notes: Sequence[str] = (),
    extras: Mapping[str, Any] = MappingProxyType({}),
) -> Snapshot:
    """A snapshot from what a file holds, or an error that names the file.

    Parameters
    ----------
    path : Path
    structure : Structure
    density, rho_saed : ndarray (n1, n2, n3)
        e/bohr³.
    stated, given : float or None
        Electron count in the file, and from the caller; the caller's word counts more.
    energy, forces
        As in `Snapshot`.
    file_format : str
        Recorded in the provenance.
    notes : sequence of str
        What a person should know of this file, one line each; recorded in the provenance.
    extras : mapping
        What else the provenance keeps of the file: anything JSON can hold.

    Raises
    ------
    FileFormatError
        NaN or infinite values.
    ChargeError
        A wrong integral, or no count stated and an integral that is no whole number.
    """
    for name, array in (("density", density), ("forces", forces), ("rho_saed", rho_saed)):
        if array is not None:
            require_finite(path, array, name)
    try:
        field = ScalarField(UniformGrid(structure.cell, density.shape), density)
        count, source = electron_count(field, stated, given)
        return Snapshot(
            structure=structure,
            density=field,
            n_electrons=count,
            energy=energy,
            forces=forces,
            rho_saed=None if rho_saed is None else ScalarField(field.grid, rho_saed),
            provenance={
                "file": path.name,
                "format": file_format,
                "electron_count_from": source,
                "integral": field.integrate(),
                **({"notes": list(notes)} if notes else {}),
                **extras,
            },
        )
    except NearsightError as error:
        raise type(error)(f"{path}: {error}") from error


def electron_count(field: ScalarField, stated: float | None, given: float | None) -> tuple[float, str]:
    """The electron count of a density, and where it comes from: ``caller``, ``file`` or ``integral``.

    Raises
    ------
    ChargeError
        The integral differs from the count that is stated, or none is stated and the integral is
        further than `WHOLE_TOLERANCE` from a whole number.
    InputError
        A count that is not positive.
    """
    found = field.integrate()
    for count, source in ((given, "caller"), (stated, "file")):
        if count is not None:
            if not (np.isfinite(count) and count > 0):
                raise InputError(f"an electron count is a positive number, not {count}")
            if abs(found - count) > CHARGE_TOLERANCE * count:
                raise ChargeError(
                    f"the density integrates to {found:.6g} electrons where {count:.6g} are stated; "
                    + _units_hint(field, count)
                )
            return float(count), source
    if not _is_whole(found):
        raise ChargeError(
            f"no electron count is stated and the density integrates to {found:.6g}, no whole number; "
            "state the count (--electrons, n_electrons=); " + _units_hint(field, None)
        )
    return float(round(found)), "integral"


def _is_whole(n: float) -> bool:
    return round(n) > 0 and abs(n - round(n)) <= WHOLE_TOLERANCE


def _units_hint(field: ScalarField, count: float | None) -> str:
    """What the values may be instead of e/bohr³, judged by what they would integrate to."""
    found = field.integrate()
    readings = {
        f"the values look like e/Å³: multiply them by {BOHR_IN_ANGSTROM**3:.9f}": BOHR_IN_ANGSTROM**3,
        "the values look like density times cell volume, as VASP writes": 1 / field.grid.volume,
        "the values look like electrons per grid point": 1 / field.grid.dv,
    }
    for phrase, factor in readings.items():
        n = found * factor
        if _is_whole(n) if count is None else abs(n - count) <= CHARGE_TOLERANCE * count:
            return phrase
    return "check its units (e/bohr³ is needed, not e/Å³), its grid and its cell"
