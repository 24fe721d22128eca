"""Zarr 3 groups in a folder: attributes, arrays, structures.

Every artefact is written once, under a temporary name, by one process (`nearsight.io.atomic`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.storage import LocalStore

from nearsight.errors import InputError, NearsightError, StoreError
from nearsight.io.atomic import atomic_file, writing
from nearsight.provenance import to_plain
from nearsight.structure import Structure

#: arrays are cut into slabs along their first axis of about this many bytes
_CHUNK_BYTES = 16 * 2**20


def read_attributes(folder: Path) -> dict[str, Any]:
    """Attributes of the Zarr group in `folder`; the file is small and read directly.

    Raises
    ------
    FileNotFoundError
        No group there.
    StoreError
        A damaged ``zarr.json``.
    """
    text = (folder / "zarr.json").read_text()
    try:
        found = json.loads(text)["attributes"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise StoreError(f"{folder / 'zarr.json'} is damaged; restore it or make the store again") from error
    if not isinstance(found, dict):
        raise StoreError(f"{folder / 'zarr.json'} is damaged; restore it or make the store again")
    return found


def write_attributes(folder: Path, attributes: Mapping[str, Any]) -> None:
    """Write a Zarr group that has only attributes, in place of the one that may be there, atomically.

    A group's metadata are one JSON file; attributes are anything that `to_plain` understands.
    """
    with writing(folder):
        folder.mkdir(exist_ok=True)
    with atomic_file(folder / "zarr.json") as temporary:
        temporary.write_text(_metadata(attributes))


def write_group(
    folder: Path, attributes: Mapping[str, Any], arrays: Mapping[str, np.ndarray] = MappingProxyType({})
) -> None:
    """Write a Zarr group with attributes and arrays; for a folder that nobody else sees yet.

    Arrays are compressed with zstd after a byte shuffle and carry a checksum: damage is an error.
    Floating-point arrays read as NaN where a chunk is missing, never as zero.
    """
    folder.mkdir(exist_ok=True)
    (folder / "zarr.json").write_text(_metadata(attributes))
    if not arrays:
        return
    group = zarr.open_group(LocalStore(folder), mode="r+", zarr_format=3)
    for name, array in arrays.items():
        group.create_array(
            name,
            data=np.ascontiguousarray(array),
            chunks=_chunks(array),
            compressors=[
                BloscCodec(cname="zstd", clevel=3, shuffle="shuffle", typesize=array.itemsize),
                Crc32cCodec(),
            ],
            fill_value=np.nan if array.dtype.kind == "f" else -1,
        )


def read_arrays(folder: Path) -> dict[str, np.ndarray]:
    """All arrays of the group in `folder`."""
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    return {name: read_array(folder, name) for name in names}


def read_array(folder: Path, name: str) -> np.ndarray:
    """One array of the group in `folder`.

    Raises
    ------
    StoreError
        Missing, or its checksum is wrong.
    """
    try:
        return np.asarray(zarr.open_array(LocalStore(folder / name, read_only=True), mode="r")[...])
    except NearsightError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise StoreError(
            f"array '{name}' of {folder} is missing or damaged ({type(error).__name__}); "
            "delete that folder and make it again"
        ) from error


def _metadata(attributes: Mapping[str, Any]) -> str:
    """The text of a group's ``zarr.json``."""
    content = {"zarr_format": 3, "node_type": "group", "attributes": to_plain(attributes)}
    try:
        return json.dumps(content, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"attributes (provenance, settings) must be what JSON can hold: {error}") from error


def _chunks(array: np.ndarray) -> tuple[int, ...]:
    """The whole array, or slabs along the first axis."""
    if array.nbytes <= _CHUNK_BYTES:
        return tuple(max(1, n) for n in array.shape)
    rows = max(1, _CHUNK_BYTES * array.shape[0] // array.nbytes)
    return (rows, *array.shape[1:])


def read_structure(folder: Path) -> Structure:
    """The structure in the group in `folder`."""
    return Structure(*(read_array(folder, name) for name in ("cell", "positions", "numbers")))


def structure_arrays(structure: Structure) -> dict[str, np.ndarray]:
    """A structure as arrays, in atomic units."""
    return {"cell": structure.cell, "positions": structure.positions, "numbers": structure.numbers}
