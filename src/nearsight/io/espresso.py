"""Quantum ESPRESSO's ``charge-density.hdf5`` or ``.dat`` with the ``data-file-schema.xml`` beside it.

pw.x writes both into ``PREFIX.save``. The density is kept as ρ(G) = (1/N) Σ_r ρ(r) exp(−iG·r) in e/bohr³
with the Miller indices of each G (QE, ``Modules/io_base.f90``, `write_rhog`); of a Γ-only run one of
G and −G is there. Structure, FFT grid, electron count, energy and forces are in the XML, in Hartree
atomic units. With HDF5 support pw.x writes the one, without it the other file, in Fortran's records.
"""

import re
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from ase.data import atomic_numbers

from nearsight.errors import FileFormatError, NearsightError
from nearsight.io.checks import checked_snapshot, require_finite, structure_of
from nearsight.io.formats import FORMATS, Format
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure

_NAMES = ("charge-density.hdf5", "charge-density.dat")
_SCHEMA = "data-file-schema.xml"
#: how large the imaginary part of ρ(r) may be, as a share of the largest value
_REAL = 1e-6


class _Waves(NamedTuple):
    """ρ(G), total of both spins."""

    gamma_only: bool
    #: 1, 2 (collinear) or 4 (noncollinear) components in the file
    n_components: int
    miller: np.ndarray
    coefficients: np.ndarray


class _Run(NamedTuple):
    """What the XML says."""

    structure: Structure
    shape: tuple[int, int, int]
    n_electrons: float
    energy: float | None
    forces: np.ndarray | None


def read_espresso(path: Path, n_electrons: float | None = None) -> Snapshot:
    """Read the density of a pw.x calculation.

    Parameters
    ----------
    path : Path
        ``charge-density.hdf5``, ``charge-density.dat``, or the folder ``PREFIX.save`` that holds one.
    n_electrons : float, optional
        Electron count, in place of the XML's.

    Raises
    ------
    FileFormatError
        Missing, no XML beside it, truncated or damaged, or not on the XML's grid.
    ChargeError
        A density that does not integrate to the electron count.
    """
    file = _density_file(path)
    run = _read_schema(file.with_name(_SCHEMA))
    try:
        waves = _read_hdf5(file) if file.suffix == ".hdf5" else _read_records(file)
    except NearsightError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileFormatError(f"{file} is truncated or damaged ({reason}); copy it again") from error
    return checked_snapshot(
        file,
        run.structure,
        _on_grid(file, waves, run.shape),
        stated=run.n_electrons,
        given=n_electrons,
        energy=run.energy,
        forces=run.forces,
        file_format="espresso",
        notes=["spin-polarised: the total density was read"] if waves.n_components > 1 else [],
    )


def _density_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in _NAMES:
        if (path / name).is_file():
            return path / name
    raise FileFormatError(f"{path} holds neither {_NAMES[0]} nor {_NAMES[1]}")


def _read_schema(path: Path) -> _Run:
    """The last structure of the run, its grid, electrons, energy and forces."""
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise FileFormatError(
            f"there is no {path}: the density needs it for structure and electron count; copy it from "
            "PREFIX.save"
        ) from None
    except (OSError, ElementTree.ParseError) as error:
        raise FileFormatError(f"{path} is damaged ({error}); copy it again") from error
    try:
        output = _child(root, "output")
        atoms = _child(output, "atomic_structure")
        cell = np.array([_floats(_child(atoms, f"cell/a{i}")) for i in (1, 2, 3)])
        listed = atoms.findall("atomic_positions/atom")
        numbers = np.array([_element(atom.attrib["name"]) for atom in listed])
        positions = np.array([_floats(atom) for atom in listed])
        grid = _child(output, "basis_set/fft_grid").attrib
        n1, n2, n3 = (int(grid[f"nr{i}"]) for i in (1, 2, 3))
        n_electrons = float(_floats(_child(output, "band_structure/nelec"))[0])
        energy, forces = output.find("total_energy/etot"), output.find("forces")
        found = None if forces is None else np.array(_floats(forces)).reshape(-1, 3)
    except (KeyError, ValueError, IndexError) as error:
        raise FileFormatError(f"{path} lacks what pw.x writes at the end of a run ({error})") from error
    return _Run(
        structure_of(path, cell, positions, numbers),
        (n1, n2, n3),
        n_electrons,
        None if energy is None else float(_floats(energy)[0]),
        found if found is not None and len(found) == len(numbers) else None,
    )


def _child(element: ElementTree.Element, path: str) -> ElementTree.Element:
    found = element.find(path)
    if found is None:
        raise KeyError(path)
    return found


def _floats(element: ElementTree.Element) -> list[float]:
    return [float(word) for word in (element.text or "").split()]


def _element(name: str) -> int:
    """Atomic number from a species' name: ``Fe1``, ``O_pbe``, ``si``."""
    return atomic_numbers[re.split(r"[^A-Za-z]", name)[0].capitalize()]


def _read_hdf5(path: Path) -> _Waves:
    if not path.is_file():
        raise FileFormatError(f"there is no file {path}")
    import h5py  # here, for it takes a while to load and few need it

    with h5py.File(path, "r") as file:
        gamma_only = file.attrs["gamma_only"]
        text = gamma_only.decode() if isinstance(gamma_only, bytes) else str(gamma_only)
        rho = np.asarray(file["rhotot_g"][()], dtype=np.float64)
        return _Waves(
            text.strip().lower().strip(".").startswith(("t", "1")),
            int(file.attrs["nspin"]),
            np.asarray(file["MillerIndices"][()], dtype=np.int64).reshape(-1, 3),
            rho.view(np.complex128),
        )


def _read_records(path: Path) -> _Waves:
    """Fortran's sequential records, each between two copies of its length."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileFormatError(f"there is no file {path}") from None
    records, at = [], 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "little")
        end = at + 4 + size
        if content[end : end + 4] != content[at : at + 4] or len(content) < end + 4:
            raise ValueError("a record is cut")
        records.append(content[at + 4 : end])
        at = end + 4
    if len(records) < 4:
        raise ValueError("records are missing")
    gamma_only, n_waves, n_components = np.frombuffer(records[0], dtype="<i4", count=3)
    if len(records) != 3 + n_components:
        raise ValueError("records are missing")
    miller = np.frombuffer(records[2], dtype="<i4").reshape(n_waves, 3)
    coefficients = np.frombuffer(records[3], dtype="<c16", count=n_waves)
    return _Waves(bool(gamma_only), int(n_components), miller.astype(np.int64), coefficients)


def _on_grid(path: Path, waves: _Waves, shape: tuple[int, int, int]) -> np.ndarray:
    """ρ(r) on the FFT grid, shape `shape`."""
    miller, coefficients = waves.miller, waves.coefficients
    if len(miller) != len(coefficients):
        raise FileFormatError(f"{path} is damaged: {len(miller)} waves and {len(coefficients)} coefficients")
    require_finite(path, coefficients, "rho(G)")
    if (2 * np.abs(miller).max(axis=0) > np.array(shape)).any():
        raise FileFormatError(
            f"{path} has waves that the {' x '.join(map(str, shape))} grid of its {_SCHEMA} does not hold; "
            "the two are not of the same run"
        )
    spectrum = np.zeros(shape, dtype=np.complex128)
    if waves.gamma_only:
        spectrum[tuple((-miller % np.array(shape)).T)] = coefficients.conj()
    spectrum[tuple((miller % np.array(shape)).T)] = coefficients
    values = np.fft.ifftn(spectrum, norm="forward")
    if not np.abs(values.imag).max() <= _REAL * np.abs(values.real).max():
        raise FileFormatError(f"{path} is damaged: its waves do not add up to a real density")
    return values.real


FORMATS.register("espresso")(Format("espresso", ("*.save", *_NAMES), read_espresso))
