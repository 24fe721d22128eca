"""A safetensors file with a JSON header and a digest that is checked before anything is built.

The format of model files and checkpoints. The metadata of the safetensors file holds ``format``,
``format_version``, ``header`` (JSON) and ``sha256``, which covers format, version, header, and every
tensor's name, type, shape and bytes. Nothing is ever unpickled.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise

from nearsight.errors import ModelFileError
from nearsight.io.atomic import atomic_file
from nearsight.provenance import to_plain

#: first bytes of a safetensors file: the length of its header as a little-endian 64-bit number
_LENGTH_BYTES = 8


def write_tensor_file(
    path: Path, kind: str, version: int, header: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> None:
    """Write atomically: the file appears complete under its name, or not at all.

    Parameters
    ----------
    path : Path
    kind : str
        Stored as ``format``, such as ``nearsight-model``.
    version : int
        Of this kind's format.
    header : mapping
        JSON-ready, or what `nearsight.provenance.to_plain` makes so.
    tensors : mapping of str to ndarray
    """
    arrays = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    metadata = {
        "format": kind,
        "format_version": str(version),
        "header": json.dumps(to_plain(header), sort_keys=True, allow_nan=False),
    }
    metadata["sha256"] = _sha256(metadata, arrays)
    content = serialise(arrays, metadata=metadata)
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def read_tensor_file(path: Path, kind: str, version: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and tensors of a file that `write_tensor_file` wrote.

    Raises
    ------
    ModelFileError
        Missing, unreadable, truncated, corrupted, foreign, or of a newer format than `version`.
    """
    content = _read_bytes(path)
    metadata = _metadata(path, content, kind)
    found = metadata.get("format_version", "")
    if not found.isdigit() or int(found) > version:
        raise ModelFileError(
            f"{path} has format {found or 'unknown'} of {kind}, this version of nearsight reads up to "
            f"{version}; upgrade nearsight"
        )
    try:
        arrays = parse(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{path} is truncated or corrupted ({error}); copy or write it again") from None
    if metadata.get("sha256") != _sha256(metadata, arrays):
        raise ModelFileError(f"{path} is corrupted: its digest does not match; copy or write it again")
    header: dict[str, Any] = json.loads(metadata["header"])
    return header, arrays


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelFileError(f"there is no file {path}; check the path") from None
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror or error}") from None


def _metadata(path: Path, content: bytes, kind: str) -> dict[str, str]:
    """The metadata of a safetensors file, which must say that it is of `kind`."""
    foreign = ModelFileError(f"{path} is no {kind} file, or its first bytes are damaged")
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if not 2 <= length <= len(content) - _LENGTH_BYTES:
        raise foreign
    try:
        metadata = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])["__metadata__"]
    except (ValueError, KeyError, TypeError):
        raise foreign from None
    if not isinstance(metadata, dict) or metadata.get("format") != kind or "header" not in metadata:
        raise foreign
    return metadata


def _sha256(metadata: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> str:
    sha = hashlib.sha256()
    for key in ("format", "format_version", "header"):
        sha.update(metadata[key].encode() + b"\x00")
    for name in sorted(arrays):
        array = arrays[name]
        sha.update(f"{name}\x00{array.dtype.str}{array.shape}\x00".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()
