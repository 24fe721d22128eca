"""Parts of a study's settings: variants of methods, stages, and what is measured of which runs."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from nearsight.coreset.protocol import METHODS
from nearsight.errors import InputError

Schedule = Literal["steps", "epochs"]

#: label of training on all points
FULL = "all"
#: how settings are written in a default label
_SYMBOLS = {"beta": "β"}


class Strict(BaseModel):
    """Base of settings that come from a file: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _fractions(keep: tuple[float, ...]) -> tuple[float, ...]:
    if wrong := [fraction for fraction in keep if not 0 < fraction <= 1]:
        raise ValueError(f"kept fractions lie above 0 and up to 1, such as 0.01, not {wrong[0]:g}")
    return keep


#: kept fractions of the training points
Fractions = Annotated[tuple[float, ...], Field(min_length=1), AfterValidator(_fractions)]


class MethodVariant(Strict):
    """A selection method with settings of its own, under a label.

    Parameters
    ----------
    name : str
        Registered name.
    label : str
        What people read; the name, with the settings behind it, unless given.
    settings : dict
        Over those of ``train.methods``. In a file they stand beside name and label.
    """

    name: str
    label: str
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
            raise ValueError(
                f"a method is a name, or a mapping with a name such as {{name: ccs}}, not {value}"
            )
        rest = dict(value)
        name, label = rest.pop("name"), rest.pop("label", None)
        settings = {**rest.pop("settings", {}), **rest}
        require_methods([name])
        return {"name": name, "label": label or default_label(name, settings), "settings": settings}


class StageConfig(Strict):
    """Runs of one stage of a study; what is left out is as in the study.

    Parameters
    ----------
    methods : tuple of str, optional
        Labels.
    best : int, optional
        The methods of lowest validation error in earlier stages instead.
    keep, seeds, models, schedules : optional
    """

    methods: tuple[str, ...] | None = None
    best: int | None = Field(None, ge=1)
    keep: Fractions | None = None
    seeds: int | None = Field(None, ge=1)
    models: tuple[str, ...] | None = None
    schedules: tuple[Schedule, ...] | None = None

    @model_validator(mode="after")
    def _one_choice(self) -> "StageConfig":
        if self.methods is not None and self.best is not None:
            raise ValueError("a stage has methods or best, not both")
        return self


class FullConfig(Strict):
    """Training on all points: how often, which models, which schedules."""

    seeds: int = Field(1, ge=0)
    models: tuple[str, ...] | None = None
    schedules: tuple[Schedule, ...] | None = None


class EnergyConfig(Strict):
    """Which runs get Harris–Foulkes energies; None asks for all.

    Parameters
    ----------
    labels : tuple of str, optional
        Labels of methods, ``all`` for the full data, ``best`` for the method of lowest validation error
        among runs of the same fraction, model and schedule.
    keep : tuple of float, optional
        The full data is not asked for its fraction.
    seeds : int, optional
        The first so many.
    models, schedules : tuple of str, optional
    """

    labels: tuple[str, ...] | None = None
    keep: Fractions | None = None
    seeds: int | None = Field(None, ge=1)
    models: tuple[str, ...] | None = None
    schedules: tuple[Literal["steps", "epochs", "direct"], ...] | None = None


class CoverageConfig(Strict):
    """How AUC_pr is measured: points held out, and for how many seeds."""

    n_held_out: int = Field(2000, ge=2)
    seeds: int = Field(1, ge=1)


class SensitivityConfig(Strict):
    """What is varied beside the study, and judged on validation points only.

    Parameters
    ----------
    parameters : dict of str to tuple
        ``<label or method>.<setting>`` or ``scoring.<setting>`` to values; in a file the keys stand beside
        the others.
    keep : tuple of float
    seeds : int
    labels : tuple of str, optional
        Methods for which ``scoring`` is varied; all that need scores unless given.
    """

    parameters: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    keep: Fractions = (0.01,)
    seeds: int = Field(1, ge=1)
    labels: tuple[str, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError("sensitivity is a mapping such as {ccs.beta: [0, 0.1, 0.3], keep: [0.01]}")
        dotted = {key: value[key] for key in value if "." in str(key)}
        rest = {key: value[key] for key in value if key not in dotted}
        return rest | {"parameters": {**rest.get("parameters", {}), **dotted}}

    @model_validator(mode="after")
    def _values(self) -> "SensitivityConfig":
        if empty := [key for key, values in self.parameters.items() if not values]:
            raise ValueError(f"{empty[0]} has no values")
        return self


def slug(label: str) -> str:
    """The label as part of a file name."""
    return re.sub(r"[^\w.+-]+", "-", label.replace("β", "beta")).strip("-")


def default_label(name: str, settings: Mapping[str, Any]) -> str:
    """A name with its settings: ``ccs``, ``ccs β=0.1``, ``importance (leverage)``."""
    shown = [f"({settings['score']})"] if "score" in settings else []
    shown += [f"{_SYMBOLS.get(key, key)}={value}" for key, value in settings.items() if key != "score"]
    return " ".join([name, *shown])


def require_methods(names: Iterable[str]) -> None:
    """Raise `InputError` for a name that is no selection method."""
    if unknown := [name for name in names if name not in METHODS]:
        raise InputError(f"unknown selection method '{unknown[0]}'; known: {', '.join(METHODS)}")
