"""What a person sets in a YAML file: training, scoring and study settings, checked on reading."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nearsight.coreset.protocol import METHODS
from nearsight.errors import InputError

M = TypeVar("M", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Config(_Strict):
    """Settings of `train` and `prune`.

    ``descriptor``, ``network``, ``training``, ``scoring`` and the settings of each selection method
    are handed to their rooms, which check them.
    """

    target: Literal["auto", "total", "difference"] = "auto"
    descriptor: dict[str, Any] = Field(default_factory=lambda: {"name": "power_spectrum"})
    network: dict[str, Any] = Field(default_factory=lambda: {"name": "mlp"})
    training: dict[str, Any] = Field(default_factory=dict)
    scoring: dict[str, Any] = Field(default_factory=dict)
    methods: dict[str, dict[str, Any]] = Field(default_factory=dict)
    validation_points: int = Field(20_000, ge=100)
    checkpoint_seconds: float = Field(10.0, ge=0)

    @field_validator("methods")
    @classmethod
    def _known(cls, methods: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        _require_methods(methods)
        return methods


class StudyConfig(_Strict):
    """Settings of `study`: which methods at which kept fractions, how often."""

    title: str = "Pruning study"
    methods: tuple[str, ...] = ("random", "grand", "ccs", "importance")
    keep: tuple[float, ...] = (0.1, 0.01)
    seeds: int = Field(3, ge=1)
    full_seeds: int = Field(1, ge=0)
    energies: bool = True
    generality: tuple[str, ...] = ()
    train: Config = Config()

    @field_validator("methods")
    @classmethod
    def _known(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        _require_methods(methods)
        return methods

    @field_validator("keep")
    @classmethod
    def _fractions(cls, keep: tuple[float, ...]) -> tuple[float, ...]:
        if wrong := [fraction for fraction in keep if not 0 < fraction <= 1]:
            raise ValueError(f"kept fractions lie above 0 and up to 1, such as 0.01, not {wrong[0]:g}")
        return keep


def _require_methods(names: Iterable[str]) -> None:
    """Raise `ValueError` for a name that is no selection method."""
    if unknown := [name for name in names if name not in METHODS]:
        raise ValueError(f"unknown selection method '{unknown[0]}'; known: {', '.join(METHODS)}")


def read_mapping(path: Path | None) -> dict[str, Any]:
    """Read a YAML file of ``key: value`` settings; None gives none.

    Raises
    ------
    InputError
        A file that is missing, no YAML, or holds something else.
    """
    if path is None:
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from error
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise InputError(f"{path} must hold 'key: value' settings, not a {type(content).__name__}")
    return {str(key): value for key, value in content.items()}


def read_yaml(path: Path | None, model: type[M]) -> M:
    """Read a settings file into `model`; None gives the defaults.

    Raises
    ------
    InputError
        As `read_mapping`, and for a key or value that the model refuses.
    """
    try:
        return model.model_validate(read_mapping(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        known = f"; known settings: {', '.join(model.model_fields)}"
        reason = first["msg"].removeprefix("Value error, ")
        what = f"unknown setting{known}" if first["type"] == "extra_forbidden" else reason
        raise InputError(f"{path}: '{key}': {what}") from error
