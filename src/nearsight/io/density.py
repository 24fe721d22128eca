"""Densities in and out of files, whatever the format."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nearsight.errors import FileFormatError
from nearsight.field import ScalarField
from nearsight.io.atomic import atomic_file, atomic_folder, remove_leftovers
from nearsight.io.formats import format_of, writable_format_of
from nearsight.io.zarr_header import store_kind
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure


def read_snapshot(
    path: str | Path, n_electrons: float | None = None, *, file_format: str | None = None
) -> Snapshot:
    """Read a density with its structure.

    Parameters
    ----------
    path : path
        Its name settles the format (``.cube``, ``CHGCAR``, ``.xsf``, ``.npz``, ``.zarr`` …; ``.gz`` too).
    n_electrons : float, optional
        Electron count that the density must integrate to. Without it the file's own statement
        holds; where the file states none, the integral must be a whole number to 0.01.
    file_format : str, optional
        Name of a registered format, where the file's name does not tell.

    Raises
    ------
    FileFormatError
        Missing, truncated, damaged, NaN, or of no known format.
    ChargeError
        A density that does not integrate to its electron count.
    """
    path = Path(path)
    return format_of(path, file_format).read(path, n_electrons)


def write_snapshot(
    path: str | Path,
    snapshot: Snapshot,
    *,
    file_format: str | None = None,
    fields: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> tuple[str, ...]:
    """Write a snapshot atomically, in place of a file that may be there.

    What the format has no room for (forces in a cube) is left out. `fields` are further arrays on the
    density's grid, by name, for formats that take them (``.npz``, ``.zarr``).

    Returns
    -------
    tuple of str
        What the format made it change, a line each: atoms in another order, another choice of vectors.

    Raises
    ------
    FileFormatError
        No format of such a name can be written, or the name is taken by something that is no density.
    NearsightError
        The disk is full.
    """
    path = Path(path)
    chosen = writable_format_of(path, file_format)
    assert chosen.write is not None
    write = partial(chosen.write, fields=fields) if fields else chosen.write
    if chosen.is_folder:
        return _write_folder(path, snapshot, write)
    if path.is_dir():
        raise FileFormatError(f"{path} is a folder; choose another name")
    with atomic_file(path) as temporary:
        return tuple(write(temporary, snapshot) or ())


def write_density(
    path: str | Path,
    structure: Structure,
    density: ScalarField,
    *,
    n_electrons: float | None = None,
    energy: float | None = None,
    file_format: str | None = None,
) -> tuple[str, ...]:
    """Write a density in e/bohr³ with its structure, atomically.

    Parameters
    ----------
    path : path
        ``.cube``, ``CHGCAR``, ``.xsf`` (each ``.gz`` too), ``.npz`` or ``.zarr``.
    structure : Structure
    density : ScalarField
    n_electrons : float, optional
        What it integrates to; the integral itself unless given.
    energy : float, optional
        Hartree, for formats that hold it.
    file_format : str, optional
        Name of a registered format, where the file's name does not tell.

    Returns
    -------
    tuple of str
        As `write_snapshot`.
    """
    count = density.integrate() if n_electrons is None else n_electrons
    return write_snapshot(path, Snapshot(structure, density, count, energy), file_format=file_format)


def _write_folder(
    path: Path, snapshot: Snapshot, write: Callable[[Path, Snapshot], Sequence[str] | None]
) -> tuple[str, ...]:
    """Write a format that is a folder; only a density is ever replaced."""
    if path.exists() and store_kind(path) != "density":
        raise FileFormatError(f"{path} exists and is no density; choose another name or remove it")
    remove_leftovers(path.parent, path.name)
    with atomic_folder(path, replace=True) as temporary:
        return tuple(write(temporary, snapshot) or ())
