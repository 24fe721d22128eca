"""Small JSON records of a study, written whole or not at all."""

import json
from pathlib import Path
from typing import Any

from nearsight.io.atomic import atomic_file


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; the folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, key: str) -> dict[str, Any] | None:
    """The record at `path` if it carries this `key`; None where there is none, or of another run."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return content if isinstance(content, dict) and content.get("key") == key else None
