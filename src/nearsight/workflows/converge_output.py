"""Files of `converge`: the table as JSON or the settings as YAML, and the record of finished trainings."""

import json
from pathlib import Path
from typing import Any

import yaml

from nearsight.errors import InputError
from nearsight.io.atomic import atomic_file
from nearsight.workflows.converge import Convergence

_YAML = (".yaml", ".yml")


def record_beside(output: Path | None) -> Path | None:
    """Where finished trainings are kept until the output is written; None without an output."""
    return None if output is None else output.with_name(f".{output.name}.converge.json")


def require_writable(output: Path | None) -> None:
    """Refuse, before anything is trained, a name of another kind or settings that exist already."""
    if output is None:
        return
    if output.suffix not in (".json", *_YAML):
        raise InputError(f"converge writes a table (.json) or settings (.yaml), not {output.name}")
    if output.suffix in _YAML and output.exists():
        raise InputError(f"{output} exists and may hold other settings; choose another name or remove it")


def settings_yaml(descriptor: dict[str, Any]) -> str:
    """The ``descriptor`` part of a train.yaml."""
    text = yaml.safe_dump({"descriptor": descriptor}, sort_keys=False, default_flow_style=None)
    return str(text)


def write_output(output: Path | None, result: Convergence, record: Path | None) -> None:
    """Write the table or the settings, then drop the record."""
    if output is None:
        return
    with atomic_file(output) as temporary:
        if output.suffix in _YAML:
            temporary.write_text(settings_yaml(result.descriptor), encoding="utf-8")
        else:
            text = json.dumps(result.as_json(), indent=2, allow_nan=False) + "\n"
            temporary.write_text(text, encoding="utf-8")
    if record is not None:
        record.unlink(missing_ok=True)
