"""Hashes, seeds and the record of where an artefact comes from."""

import dataclasses
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from operator import index
from pathlib import Path
from typing import Any

import numpy as np

#: packages whose versions are written into every artefact
_RECORDED = ("nearsight", "numpy", "scipy", "torch", "numba", "pyscf", "ase", "zarr")


def to_plain(value: Any) -> Any:
    """Turn dataclasses, arrays, tuples and paths into what JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, set | frozenset):  # a set has no order of its own, and a hash needs one
        return sorted((to_plain(v) for v in value), key=json.dumps)
    if isinstance(value, list | tuple):
        return [to_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    return value


def digest(*values: Any) -> str:
    """Hash settings and arrays to 16 hexadecimal digits (SHA-256, shortened).

    Arrays are hashed by dtype, shape and bytes; everything else by its canonical JSON.
    """
    sha = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray):
            sha.update(f"{value.dtype.str}{value.shape}".encode())
            sha.update(np.ascontiguousarray(value).tobytes())
        else:
            sha.update(json.dumps(to_plain(value), sort_keys=True).encode())
        sha.update(b"\x00")
    return sha.hexdigest()[:16]


def generator(seed: int, *keys: int | str) -> np.random.Generator:
    """A random generator for one purpose: the same seed and keys give the same stream.

    Seeds and whole-number keys are not negative. The keys are NumPy's spawn key: as further words of
    the seed they would not tell ``generator(1)`` from ``generator(1, 0)``.
    """
    words = [int(digest(k)[:8], 16) if isinstance(k, str) else index(k) for k in keys]
    return np.random.default_rng(np.random.SeedSequence(index(seed), spawn_key=words))


def software() -> dict[str, str]:
    """Versions of nearsight and of the packages that settle its numbers."""
    found: dict[str, str] = {"python": platform.python_version()}
    for name in _RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str | int]:
    """Processor and core count, for timings."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"processor": model, "cores": os.cpu_count() or 1, "system": platform.system()}
