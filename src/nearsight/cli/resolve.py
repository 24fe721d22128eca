"""Strings to objects, once: engines, methods and settings files by their names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nearsight.coreset.protocol import SelectionMethod
from nearsight.engines import ENGINES, Engine
from nearsight.io.extxyz import Frame
from nearsight.model.file import load_model
from nearsight.workflows.building import build_selection
from nearsight.workflows.config import Config, StudyConfig, read_mapping, read_yaml
from nearsight.workflows.recipe_engine import SHARED_SETTINGS, recipe_engine

__all__ = [
    "build_method",
    "engine_for_energy",
    "engine_of",
    "engine_to_label",
    "read_config",
    "read_study_config",
]


def engine_to_label(name: str | None, config: Path | None, frames: Sequence[Frame]) -> Engine:
    """The engine that the recipe of the structures names, as far as a person does not say otherwise.

    Keys of the settings file overrule the recipe's one by one. Another engine than the recipe's takes
    over what all engines share and the material decides: `SHARED_SETTINGS`.
    """
    own = read_mapping(config)
    chosen = recipe_engine(frames)
    if chosen is None:
        return ENGINES[name or "lcao"].from_settings(own)
    recipes, settings = chosen
    if name is not None and name != recipes:
        settings = {key: value for key, value in settings.items() if key in SHARED_SETTINGS}
    return ENGINES[name or recipes].from_settings(settings | own)


def engine_for_energy(name: str | None, config: Path | None, model: Path | None) -> Engine:
    """The engine behind the data of the model, as far as a person does not say otherwise.

    A settings file, or another engine, takes over `SHARED_SETTINGS` of the model's data, as `label` does
    of a recipe.
    """
    known = {} if model is None else load_model(model).engine or {}
    if name is None and config is None and known:
        return engine_of(known)
    shared = {key: known[key] for key in SHARED_SETTINGS if key in known}
    chosen = ENGINES[name or str(known.get("engine", "lcao"))]
    return chosen.from_settings(shared | read_mapping(config))


def engine_of(fingerprint: Mapping[str, Any]) -> Engine:
    """The engine that labelled a data set, from its fingerprint."""
    return ENGINES[str(fingerprint["engine"])].from_fingerprint(fingerprint)


def build_method(name: str, config: Config) -> SelectionMethod:
    """The selection method of that name with its settings from the configuration."""
    return build_selection(name, config.methods.get(name, {}))


def read_config(path: Path | None) -> Config:
    """Training settings."""
    return read_yaml(path, Config)


def read_study_config(path: Path | None) -> StudyConfig:
    """Study settings."""
    return read_yaml(path, StudyConfig)
