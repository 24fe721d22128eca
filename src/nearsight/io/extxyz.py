"""Structures with what a recipe says of them, in extended XYZ files (thin over `ase.io`)."""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from nearsight.errors import FileFormatError, InputError, NearsightError
from nearsight.io.atomic import atomic_file
from nearsight.structure import Structure

#: info keys that a frame's own attributes hold
_KEYS = ("label", "trajectory", "split")


@dataclass(frozen=True, eq=False)
class Frame:
    """One structure of a trajectory.

    Attributes
    ----------
    structure : Structure
    label : str
        A name for people.
    trajectory : str
        The independent trajectory it comes from.
    split : str
        ``train``, ``validation`` or ``test``.
    info : dict
        Anything else: ``temperature_K``, ``frame``, ``recipe`` …
    """

    structure: Structure
    label: str
    trajectory: str
    split: str
    info: dict[str, Any] = field(default_factory=dict)


def write_frames(path: str | Path, frames: Sequence[Frame]) -> None:
    """Write frames to an extended XYZ file (Å), atomically; ``.gz`` packs it."""
    path = Path(path)
    images = []
    for frame in frames:
        atoms = frame.structure.to_ase()
        atoms.info = {name: getattr(frame, name) for name in _KEYS} | frame.info
        images.append(atoms)
    with (
        atomic_file(path) as temporary,
        gzip.open(temporary, "wt") if path.suffix == ".gz" else temporary.open("w") as stream,
    ):
        ase.io.write(stream, images, format="extxyz")


def read_frames(path: str | Path) -> list[Frame]:
    """Read the frames of any file of structures that ASE knows.

    A file that does not say otherwise is one trajectory, named after the file, for training.

    Raises
    ------
    FileFormatError
        Missing, empty, or not readable.
    StructureError
        A structure without a volume, with NaN; the message names file and frame.
    InputError
        Magnetic moments that are not zero.
    """
    path = Path(path)
    stem = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    return [frame_of(atoms, i, stem, str(path)) for i, atoms in enumerate(read_atoms(path))]


def frame_of(atoms: Atoms, number: int = 0, name: str = "structures", where: str = "structures") -> Frame:
    """One frame from `ase.Atoms` and its info keys.

    Parameters
    ----------
    atoms : Atoms
    number : int
        Its place in the list, for label and messages.
    name : str
        Trajectory, where the info does not say.
    where : str
        Where it comes from, for messages.

    Raises
    ------
    StructureError
        A structure without a volume, or with NaN.
    InputError
        Magnetic moments or a charge that are not zero: they would be lost without a word.
    """
    try:
        structure = Structure.from_ase(atoms)
        _refuse_moments(atoms)
        _refuse_charge(atoms)
    except NearsightError as error:
        raise type(error)(f"{where}, structure {number}: {error}") from error
    info = {key: _plain(value) for key, value in atoms.info.items()}
    return Frame(
        structure=structure,
        label=str(info.pop("label", f"{name}/{number:04d}")),
        trajectory=str(info.pop("trajectory", name)),
        split=str(info.pop("split", "train")),
        info=info,
    )


def read_atoms(path: Path) -> list[Atoms]:
    """All images of a structure file as `ase.Atoms`.

    Raises
    ------
    FileFormatError
        Missing, empty, or not readable.
    """
    if not path.exists():
        raise FileFormatError(f"there is no file {path}")
    try:
        images = ase.io.read(path, index=":")
    except Exception as error:  # ASE's readers raise anything, down to IndexError and AssertionError
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileFormatError(f"{path} cannot be read as structures: {reason}") from error
    if not images:
        raise FileFormatError(f"{path} holds no structure")
    return list(images)


def _refuse_moments(atoms: Atoms) -> None:
    for name, moments in _stated(atoms, "initial_magmoms", "magmoms", "magmom"):
        raise InputError(
            f"magnetic moments ({name}, up to {np.abs(moments).max():g}) are asked for, and "
            "nearsight treats electrons without spin; set them to zero where that is what you want"
        )


def _refuse_charge(atoms: Atoms) -> None:
    for name, charges in _stated(atoms, "charge", "initial_charges"):
        if abs(charges.sum()) > 1e-6:
            raise InputError(
                f"a charge ({name} {charges.sum():g}) is asked for, and nearsight treats neutral cells only; "
                "set it to zero where that is what you want"
            )


def _stated(atoms: Atoms, *names: str) -> Iterator[tuple[str, np.ndarray]]:
    """What a file says under some names, as a whole, for each atom, or as a result; zeros are not said."""
    results = {} if atoms.calc is None else getattr(atoms.calc, "results", {})
    for name in names:
        for place in (atoms.info, atoms.arrays, results):
            try:
                values = np.asarray(place.get(name, 0.0), dtype=float)
            except (TypeError, ValueError):
                continue  # text under that name is about something else
            if values.any():
                yield name, values


def _plain(value: Any) -> Any:
    """An info value as JSON can hold it: NumPy's numbers as Python's, objects (space groups) as text."""
    value = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return str(value)
    return value
