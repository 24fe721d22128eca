"""A density with the standard deviations of its two uncertainties, in one file or in three beside each other.

A format with named arrays (``.npz``, ``.zarr``) takes ``aleatoric`` and ``epistemic`` beside ``density``,
which is read as ever. The others hold one field a file: ``rho.cube`` gets ``rho.aleatoric.cube`` and
``rho.epistemic.cube``, ``CHGCAR`` gets ``CHGCAR.aleatoric.vasp`` and ``CHGCAR.epistemic.vasp``, names by
which viewers know the format. Their comment says what they hold, in place of an electron count, so that they
are not taken for a density (whose integral must then be a whole number).
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from nearsight.errors import FileFormatError, NearsightError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io.atomic import atomic_file
from nearsight.io.density import write_snapshot
from nearsight.io.formats import format_of, writable_format_of
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure

#: names of the two fields, as arrays and in file names
KINDS: Final = ("aleatoric", "epistemic")
_TIMES_VOLUME = "the standard deviations are written as VASP writes a density: times the cell volume"


@dataclass(frozen=True)
class Written:
    """What a density was written to.

    Attributes
    ----------
    files : tuple of Path
        The density's first.
    notes : tuple of str
        As `nearsight.io.density.write_snapshot` gives them.
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...]


def write_uncertain_density(
    path: str | Path,
    structure: Structure,
    density: ScalarField,
    aleatoric: ScalarField,
    epistemic: ScalarField,
    *,
    n_electrons: float | None = None,
) -> Written:
    """Write a density and the standard deviations of it, all or none of them.

    Parameters
    ----------
    path : path
        Of the density, as `nearsight.io.density.write_density` takes it.
    structure : Structure
    density, aleatoric, epistemic : ScalarField
        e/bohr³, on one grid.
    n_electrons : float, optional
        What the density integrates to; the integral itself unless given.

    Raises
    ------
    GridMismatchError
        Fields on different grids.
    FileFormatError, NearsightError
        As `nearsight.io.density.write_snapshot`.
    """
    path, fields = Path(path), dict(zip(KINDS, (aleatoric, epistemic), strict=True))
    for field in fields.values():
        density.require_same_grid(field)
    count = density.integrate() if n_electrons is None else n_electrons
    snapshot = Snapshot(structure, density, count)
    if writable_format_of(path).takes_fields:
        arrays = {name: field.values for name, field in fields.items()}
        return Written((path,), write_snapshot(path, snapshot, fields=arrays))
    return _write_beside(path, snapshot, fields)


def sibling(path: Path, kind: str) -> Path:
    """Name of the file that holds a field beside the density at `path`."""
    chosen = format_of(path)
    packed = ".gz" if path.name.lower().endswith(".gz") else ""
    name = path.name[: len(path.name) - len(packed)]
    if chosen.claims(path, by_extension=True):
        stem, dot, extension = name.rpartition(".")
        return path.with_name(f"{stem}.{kind}{dot}{extension}{packed}")
    extension = next(pattern[1:] for pattern in chosen.patterns if pattern.startswith("*."))
    return path.with_name(f"{name}.{kind}{extension}{packed}")


def read_uncertainty(path: str | Path) -> dict[str, ScalarField] | None:
    """The two standard deviations, e/bohr³, that lie in a ``.npz`` or ``.zarr`` density by name.

    Returns
    -------
    dict of str to ScalarField, or None
        ``aleatoric`` and ``epistemic``; None where the density was written without them.

    Raises
    ------
    FileFormatError
        A format without room for them, or a file that cannot be read.
    """
    path = Path(path)
    chosen = format_of(path)
    if chosen.read_fields is None:
        raise FileFormatError(f"{path}: only .npz and .zarr hold uncertainties; others hold one field a file")
    structure = chosen.read(path, None).structure
    arrays = chosen.read_fields(path, KINDS)
    if arrays.keys() != set(KINDS):
        return None
    try:
        return {name: _field(structure, arrays[name]) for name in KINDS}
    except NearsightError as error:
        raise FileFormatError(f"{path}: {error}") from error


def _field(structure: Structure, values: np.ndarray) -> ScalarField:
    return ScalarField(UniformGrid(structure.cell, values.shape), values)


def _write_beside(path: Path, snapshot: Snapshot, fields: Mapping[str, ScalarField]) -> Written:
    """Three files, renamed together once all are complete; the density's last."""
    write = writable_format_of(path).write
    assert write is not None
    targets = [path, *(sibling(path, kind) for kind in fields)]
    for target in targets:
        if target.is_dir():
            raise FileFormatError(f"{target} is a folder; choose another name")
    snapshots = [snapshot, *(_deviation(snapshot, kind, field) for kind, field in fields.items())]
    with ExitStack() as stack:
        temporary = [stack.enter_context(atomic_file(target)) for target in targets]
        notes = [write(file, content) or () for file, content in zip(temporary, snapshots, strict=True)]
    said = [*notes[0], _TIMES_VOLUME] if format_of(path).name == "chgcar" else notes[0]
    return Written(tuple(targets), tuple(said))


def _deviation(snapshot: Snapshot, kind: str, field: ScalarField) -> Snapshot:
    """A standard deviation as what a format of one field writes; it is no density and counts nothing."""
    quantity = f"{kind} standard deviation of the electron density"
    return Snapshot(snapshot.structure, field, field.integrate(), provenance={"quantity": quantity})
