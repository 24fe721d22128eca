"""The header of a store: which kind it is, and whether this version can read it.

A store is a Zarr group; the attribute ``nearsight`` of its root is its header.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearsight.errors import StoreError
from nearsight.io.zarr_groups import read_attributes
from nearsight.provenance import software

#: version of the layout of the stores that this package writes
FORMAT = 1
_KEY = "nearsight"
_MADE_BY = {
    "dataset": "nearsight label or nearsight import",
    "coreset": "nearsight prune",
    "density": "nearsight predict",
}


def store_kind(path: str | Path) -> str | None:
    """``dataset``, ``coreset`` or ``density``; None for anything else, a missing path included."""
    try:
        header = read_attributes(Path(path)).get(_KEY)
    except (OSError, StoreError, UnicodeDecodeError):
        return None
    kind = header.get("kind") if isinstance(header, dict) else None
    return kind if isinstance(kind, str) else None


def make_header(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of the root group of a new store."""
    return {_KEY: {"kind": kind, "format": FORMAT, "software": software(), **content}}


def read_header(path: Path, kind: str) -> dict[str, Any]:
    """Header of the store at `path`.

    Raises
    ------
    StoreError
        No store there, a foreign one, one of another kind, or of a newer format.
    """
    try:
        header = read_attributes(path).get(_KEY)
    except FileNotFoundError:
        there = f"{path} is no nearsight store" if path.exists() else f"there is no {kind} at {path}"
        raise StoreError(f"{there}; make one with {_MADE_BY[kind]}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} cannot be read as a {kind}: {error}") from error
    if not isinstance(header, dict) or "kind" not in header or "format" not in header:
        raise StoreError(f"{path} is a Zarr store that nearsight did not write; expected a {kind}")
    if header["kind"] != kind:
        raise StoreError(f"{path} is a {header['kind']} where a {kind} is needed")
    if not isinstance(header["format"], int) or header["format"] > FORMAT:
        raise StoreError(
            f"{path} has store format {header['format']}, this nearsight reads up to {FORMAT}; upgrade it"
        )
    return header
