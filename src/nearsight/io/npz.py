"""The ``.npz`` snapshot: a NumPy archive with fixed keys, the simplest way in from any code.

``positions`` (Å), ``cell`` (Å, 3 × 3), ``numbers``, ``density`` (e/bohr³, n1 × n2 × n3) and, where
known, ``energy`` (Ha), ``forces`` (Ha/bohr), ``n_electrons``, ``rho_saed`` (e/bohr³). A prediction may also
hold ``aleatoric`` and ``epistemic`` (`nearsight.io.uncertainty`). Other keys are ignored; Python objects
inside are refused, not unpickled.
"""

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nearsight.errors import FileFormatError, GridMismatchError, NearsightError
from nearsight.io.checks import checked_snapshot, read_bytes
from nearsight.io.formats import FORMATS, Format
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure
from nearsight.units import ANGSTROM, BOHR_IN_ANGSTROM

#: what zipfile, its codecs and NumPy raise on an archive that is cut or damaged
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(ValueError, KeyError, TypeError, RuntimeError, MemoryError),
)
_REQUIRED = ("positions", "cell", "numbers", "density")
_OPTIONAL = ("energy", "forces", "n_electrons", "rho_saed")


def read_npz(path: Path, n_electrons: float | None = None) -> Snapshot:
    """Read a snapshot; see the module for the keys.

    Parameters
    ----------
    path : Path
        ``.gz`` is unpacked.
    n_electrons : float, optional
        Electron count; else the archive's, else the integral, which must then be a whole number.

    Raises
    ------
    FileFormatError
        Missing, truncated, a missing key, wrong shapes or types, NaN.
    ChargeError
        A density that does not integrate to its electron count.
    """
    arrays = _read_arrays(path)
    density, saed = arrays["density"], arrays.get("rho_saed")
    if density.ndim != 3 or density.size == 0:
        raise FileFormatError(f"{path}: 'density' has shape {density.shape}; it must be (n1, n2, n3)")
    if saed is not None and saed.shape != density.shape:
        raise GridMismatchError(
            f"{path}: 'rho_saed' {saed.shape} and 'density' {density.shape} differ in shape"
        )
    try:
        structure = Structure(arrays["cell"] * ANGSTROM, arrays["positions"] * ANGSTROM, arrays["numbers"])
    except NearsightError as error:
        raise type(error)(f"{path}: {error}") from error
    return checked_snapshot(
        path,
        structure,
        density,
        stated=_scalar(path, arrays, "n_electrons"),
        given=n_electrons,
        energy=_scalar(path, arrays, "energy"),
        forces=arrays.get("forces"),
        rho_saed=saed,
        file_format="npz",
    )


def write_npz(
    path: Path, snapshot: Snapshot, fields: Mapping[str, np.ndarray] = MappingProxyType({})
) -> None:
    """Write a snapshot with everything known of it, in full precision, and further fields by name."""
    arrays = {
        **fields,
        "positions": snapshot.structure.positions * BOHR_IN_ANGSTROM,
        "cell": snapshot.structure.cell * BOHR_IN_ANGSTROM,
        "numbers": snapshot.structure.numbers,
        "density": snapshot.density.values,
        "n_electrons": np.float64(snapshot.n_electrons),
        "energy": None if snapshot.energy is None else np.float64(snapshot.energy),
        "forces": snapshot.forces,
        "rho_saed": None if snapshot.rho_saed is None else snapshot.rho_saed.values,
    }
    known = {name: array for name, array in arrays.items() if array is not None}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **known)
    content = buffer.getvalue()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)


def read_npz_fields(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Those of the arrays called `names` that an archive holds; raises as `read_npz`."""
    arrays = _read_arrays(path, (*_REQUIRED, *names))
    return {name: arrays[name] for name in names if name in arrays}


def _read_arrays(path: Path, names: Sequence[str] = (*_REQUIRED, *_OPTIONAL)) -> dict[str, np.ndarray]:
    """The arrays of these names, as numbers."""
    content = read_bytes(path)
    try:
        archive = np.load(io.BytesIO(content), allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise FileFormatError(f"{path} is a single array, not an .npz archive of named arrays")
        with archive:
            arrays = {name: archive[name] for name in names if name in archive}
            held = ", ".join(archive) or "nothing"
    except _DAMAGE as error:
        if isinstance(error, NearsightError):
            raise
        reason = " ".join(str(error).split())
        raise FileFormatError(f"{path} is a damaged .npz archive: {reason}; copy it again") from error
    if missing := [name for name in _REQUIRED if name not in arrays]:
        raise FileFormatError(f"{path} lacks {', '.join(missing)}; it holds {held}")
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise FileFormatError(f"{path}: '{name}' holds {array.dtype}, numbers are needed")
    if (arrays["numbers"] % 1 != 0).any():
        raise FileFormatError(f"{path}: 'numbers' must be atomic numbers, whole and finite")
    return {name: array if name == "numbers" else array.astype(np.float64) for name, array in arrays.items()}


def _scalar(path: Path, arrays: dict[str, np.ndarray], name: str) -> float | None:
    if name not in arrays:
        return None
    if arrays[name].size != 1:
        raise FileFormatError(f"{path}: '{name}' has shape {arrays[name].shape}; one number is needed")
    value = float(arrays[name].reshape(()))
    if not np.isfinite(value):
        raise FileFormatError(f"{path}: '{name}' is {value}; leave it out where it is not known")
    return value


FORMATS.register("npz")(Format("npz", ("*.npz",), read_npz, write_npz, read_fields=read_npz_fields))
