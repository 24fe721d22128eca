"""What a person sets in a YAML file: training, scoring and study settings, checked on reading."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from nearsight.errors import InputError
from nearsight.workflows.building import build_selection, network_settings
from nearsight.workflows.study_parts import (
    FULL,
    CoverageConfig,
    EnergyConfig,
    Fractions,
    FullConfig,
    MethodVariant,
    Schedule,
    SensitivityConfig,
    StageConfig,
    Strict,
    require_methods,
    slug,
)

M = TypeVar("M", bound=BaseModel)


class Config(Strict):
    """Settings of `train`, `finetune` and `prune`.

    ``descriptor``, ``network``, ``training``, ``scoring`` and the settings of each selection method
    are handed to their rooms, which check them. ``effective_points`` is the number of independent values
    among the training points, for networks that weigh data against a prior; by default that of
    `nearsight.workflows.material.Material.independent_values`.
    """

    target: Literal["auto", "total", "difference"] = "auto"
    descriptor: dict[str, Any] = Field(default_factory=lambda: {"name": "power_spectrum"})
    network: dict[str, Any] = Field(default_factory=lambda: {"name": "mlp"})
    training: dict[str, Any] = Field(default_factory=dict)
    scoring: dict[str, Any] = Field(default_factory=dict)
    methods: dict[str, dict[str, Any]] = Field(default_factory=dict)
    effective_points: float | None = Field(None, gt=0, allow_inf_nan=False)
    validation_points: int = Field(20_000, ge=100)
    checkpoint_seconds: float = Field(10.0, ge=0)

    @field_validator("methods")
    @classmethod
    def _known(cls, methods: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        require_methods(methods)
        return methods


class StudyConfig(Strict):
    """Settings of `study`: which methods at which kept fractions, how often, and what is measured.

    Parameters
    ----------
    methods : tuple of MethodVariant
        In a file names, or mappings such as ``{name: ccs, label: mild, beta: 0.1}``.
    keep, seeds : optional
        Kept fractions, and seeds of each method and fraction; what stages do not say themselves.
    full_seeds : int
        Trainings on all points; `full` says more.
    models : dict of str to dict
        Label to network settings; ``train.network`` alone unless given. The first is the one that is shown.
    schedules : tuple of {"steps", "epochs"}
        How trainings of different sets are made equal; models that fit directly have neither.
    epochs : float, optional
        Passes under ``epochs``; those of ``train.training``, or so many that the full data takes the steps of
        ``steps``, unless given.
    stages : tuple of StageConfig
        One after the other; one stage of everything unless given.
    energies : EnergyConfig or bool
    coverage : CoverageConfig or bool
    sensitivity : SensitivityConfig, optional
    generality : tuple of str
        Test trajectories shown apart.
    train : Config
    """

    title: str = "Pruning study"
    methods: tuple[MethodVariant, ...] = Field(
        default_factory=lambda: tuple(
            MethodVariant.model_validate(name) for name in ("random", "grand", "ccs", "importance")
        )
    )
    keep: Fractions = (0.1, 0.01)
    seeds: int = Field(3, ge=1)
    full_seeds: int = Field(1, ge=0)
    models: dict[str, dict[str, Any]] = Field(default_factory=dict)
    schedules: Annotated[tuple[Schedule, ...], Field(min_length=1)] = ("steps",)
    epochs: float | None = Field(None, gt=0)
    stages: tuple[StageConfig, ...] = ()
    full: FullConfig | None = None
    energies: EnergyConfig | None = EnergyConfig()
    coverage: CoverageConfig | None = CoverageConfig()
    sensitivity: SensitivityConfig | None = None
    generality: tuple[str, ...] = ()
    train: Config = Config()

    @model_validator(mode="before")
    @classmethod
    def _epochs_of_training(cls, values: Any) -> Any:
        """Epochs among the training settings are those of the schedule of that name."""
        train = values.get("train", {})
        training = train.training if isinstance(train, Config) else dict(train).get("training", {})
        if not training or training.get("epochs") is None:
            return values
        return {"schedules": ("epochs",), "epochs": training["epochs"], **values}

    @field_validator("energies", mode="before")
    @classmethod
    def _energies(cls, value: Any) -> Any:
        return _switch(value, EnergyConfig)

    @field_validator("coverage", mode="before")
    @classmethod
    def _coverage(cls, value: Any) -> Any:
        return _switch(value, CoverageConfig)

    @field_validator("models")
    @classmethod
    def _networks(cls, models: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for label, settings in models.items():
            network_settings(settings, f"models.{label}")
        return models

    @model_validator(mode="after")
    def _names_agree(self) -> "StudyConfig":
        for variant in self.methods:
            build_selection(variant.name, self.method_settings(variant), f"methods: {variant.label}")
        _require_different("methods", [variant.label for variant in self.methods])
        _require_different("models", self.model_labels)
        for where, labels, known in self._references():
            if unknown := [label for label in labels or () if label not in known]:
                raise ValueError(f"{where}: unknown '{unknown[0]}'; known: {', '.join(known)}")
        if self.stages and self.stages[0].best is not None:
            raise ValueError("stages.0.best: there is no earlier stage to choose from; name its methods")
        return self

    def _references(self) -> Iterator[tuple[str, Iterable[str] | None, Sequence[str]]]:
        """Where labels are used, which, and those that there are."""
        labels, models = [variant.label for variant in self.methods], self.model_labels
        for number, stage in enumerate(self.stages):
            yield f"stages.{number}.methods", stage.methods, labels
            yield f"stages.{number}.models", stage.models, models
        if self.full is not None:
            yield "full.models", self.full.models, models
        if self.energies is not None:
            yield "energies.labels", self.energies.labels, [*labels, FULL, "best"]
            yield "energies.models", self.energies.models, models
        if self.sensitivity is not None:
            named = [*labels, *(variant.name for variant in self.methods), "scoring"]
            yield "sensitivity", (key.rsplit(".", 1)[0] for key in self.sensitivity.parameters), named
            yield "sensitivity.labels", self.sensitivity.labels, labels

    def method_settings(self, variant: MethodVariant) -> dict[str, Any]:
        """All settings of a variant that are not the method's own defaults."""
        return {**self.train.methods.get(variant.name, {}), **variant.settings}

    @property
    def networks(self) -> dict[str, dict[str, Any]]:
        """Network settings by the label of the model; the first is the one that is shown."""
        return self.models or {str(self.train.network.get("name", "mlp")): dict(self.train.network)}

    @property
    def model_labels(self) -> list[str]:
        """Labels of the models."""
        return list(self.networks)


def _switch(value: Any, kind: type[BaseModel]) -> Any:
    """``true`` as the defaults of a part, ``false`` as none of it."""
    return (kind() if value else None) if isinstance(value, bool) else value


def _require_different(where: str, labels: Sequence[str]) -> None:
    """Raise `ValueError` where two labels are one file name, or one stands for the full data."""
    names = [slug(label) for label in labels]
    for number, (label, name) in enumerate(zip(labels, names, strict=True)):
        if not name or name in names[:number]:
            raise ValueError(f"{where}: the label '{label}' is taken or empty; labels have to differ")
        if where == "methods" and name == FULL:
            raise ValueError(f"{where}: the label '{FULL}' stands for the full data")


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
        # what concerns several keys names them itself
        raise InputError(f"{path}: '{key}': {what}" if key else f"{path}: {what}") from error
