"""Reading a study: the schema of ``study.json`` and its ``.npz`` fields (see docs/study-format.md)."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nearsight.errors import FileFormatError, InputError
from nearsight.units import CHEMICAL_ACCURACY

#: the file that makes a folder a study
STUDY_FILE = "study.json"
#: names under which a field's reference and its superposed atoms are known, beside the run ids
TRUTH, SUPERPOSED = "truth", "saed"


class _Part(BaseModel):
    """Unknown keys are ignored, so that a newer writer can add some; NaN and infinity are refused."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class SnapshotResult(_Part):
    """Errors of one predicted density; energy errors are signed, or None where not computed."""

    label: str
    trajectory: str = ""
    formula: str = ""
    n_atoms: int = Field(gt=0)
    nrmse_percent: float = Field(ge=0)
    nmae_percent: float = Field(ge=0)
    h1_seminorm: float | None = None
    hartree_error_ha_per_atom: float | None = None
    energy_error_ha_per_atom: float | None = None
    corrected_energy_error_ha_per_atom: float | None = None


class Means(_Part):
    """Means over the test snapshots; energy errors are means of the absolute values."""

    nrmse_percent: float = Field(ge=0)
    nmae_percent: float = Field(ge=0)
    h1_seminorm: float | None = None
    hartree_error_ha_per_atom: float | None = None
    energy_error_ha_per_atom: float | None = Field(default=None, ge=0)
    corrected_energy_error_ha_per_atom: float | None = Field(default=None, ge=0)


class Baseline(_Part):
    """What needs no learning: superposed atomic densities."""

    name: str = "superposed atoms"
    per_snapshot: list[SnapshotResult] = []
    generality: list[SnapshotResult] = []
    mean: Means


class Seconds(_Part):
    """Wall time of each stage of a run."""

    describe: float = Field(default=0.0, ge=0)
    scoring: float = Field(default=0.0, ge=0)
    selection: float = Field(default=0.0, ge=0)
    training: float = Field(default=0.0, ge=0)

    @property
    def total(self) -> float:
        """All stages together."""
        return self.describe + self.scoring + self.selection + self.training


class History(_Part):
    """Validation error and loss against optimiser steps."""

    step: list[float] = []
    validation_nrmse_percent: list[float] = []
    loss: list[float] = []

    @model_validator(mode="after")
    def _equally_long(self) -> "History":
        if len(self.validation_nrmse_percent) != len(self.step):
            raise ValueError("step and validation_nrmse_percent must be equally long")
        return self


class Coverage(_Part):
    """Mean distance of held-out points to the nearest coreset point (AUC_pr)."""

    mean: float = Field(ge=0)
    standard_error: float | None = Field(default=None, ge=0)
    n_held_out: int | None = None


class Run(Means):
    """One trained model: how its points were chosen, what it cost, how it did."""

    id: str = Field(min_length=1)
    method: str = Field(min_length=1)
    kept: float = Field(gt=0, le=1)
    n_points: int = Field(gt=0)
    n_points_asked: int | None = None
    points_per_atom: float = Field(gt=0)
    seed: int
    seconds: Seconds
    steps: int | None = None
    validation_nrmse_percent: float | None = Field(default=None, ge=0)
    #: name of the method's variant; the method's own where there is none (version 1)
    label: str = ""
    model: str = ""
    schedule: str = ""
    stage: int | None = None
    scoring_steps: int | None = None
    coverage: Coverage | None = None
    per_snapshot: list[SnapshotResult] = []
    generality: list[SnapshotResult] = []
    history: History = History()
    notes: list[str] = []

    @model_validator(mode="after")
    def _has_a_label(self) -> "Run":
        if not self.label:
            object.__setattr__(self, "label", self.method)
        return self


class Paired(_Part):
    """Two labels compared snapshot by snapshot, in per cent of the full-data NRMSE."""

    kept: float = Field(gt=0, le=1)
    model: str = ""
    schedule: str = ""
    label: str
    against: str
    n_pairs: int = Field(gt=0)
    mean_difference_percent: float
    standard_error_percent: float | None = Field(default=None, ge=0)
    wins: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _wins_are_pairs(self) -> "Paired":
        if self.wins > self.n_pairs:
            raise ValueError(f"{self.wins} wins of {self.n_pairs} pairs")
        return self


class Excess(_Part):
    """The error e that a small set adds to that of the full data f: x² = e² − f²."""

    kept: float = Field(gt=0, le=1)
    model: str = ""
    schedule: str = ""
    label: str
    x_over_f: float = Field(ge=0)
    e_over_f: float = Field(ge=0)


class IntrinsicDimension(_Part):
    """Number of coordinates that would describe the features."""

    value: float = Field(gt=0)
    standard_error: float | None = Field(default=None, ge=0)
    n: int | None = None


class ErrorCorrelation(_Part):
    """How far the full-data model's error is correlated, and how much it then holds."""

    length_bohr: float = Field(ge=0)
    n_effective: float = Field(gt=0)
    n_points: float | None = Field(default=None, gt=0)


class DataFacts(_Part):
    """What the data hold, whatever is chosen from them."""

    intrinsic_dimension: IntrinsicDimension | None = None
    error_correlation: ErrorCorrelation | None = None


class Sensitivity(_Part):
    """Validation error against one parameter."""

    parameter: str = Field(min_length=1)
    values: list[bool | int | float | str | None] = Field(min_length=1)
    kept: float = Field(gt=0, le=1)
    label: str
    nrmse_percent: list[float | None]
    validation: bool = True

    @model_validator(mode="after")
    def _equally_long(self) -> "Sensitivity":
        if len(self.nrmse_percent) != len(self.values):
            raise ValueError("values and nrmse_percent must be equally long")
        return self


class Dataset(_Part):
    """What was learned from."""

    path: str = ""
    digest: str = ""
    formula: str = ""
    spacing_bohr: float | None = None
    n_snapshots: dict[str, int] = {}
    n_points_train: int | None = None
    trajectories: dict[str, str] = {}
    label_seconds: float | None = None


class FieldEntry(_Part):
    """One ``.npz`` file: a reference density and the predictions of some runs."""

    label: str = Field(min_length=1)
    title: str = ""
    file: str
    predictions: dict[str, str] = {}
    generality: bool = False


class Study(_Part):
    """The whole of ``study.json``."""

    format: Literal["nearsight-study"]
    version: Literal[1, 2]
    title: str
    created: str = ""
    command: str = ""
    seed: int | None = None
    machine: dict[str, Any] = {}
    software: dict[str, Any] = {}
    engine: dict[str, Any] = {}
    chemical_accuracy_ha: float = Field(default=CHEMICAL_ACCURACY, gt=0)
    dataset: Dataset = Dataset()
    settings: dict[str, Any] = {}
    baseline: Baseline | None = None
    runs: list[Run] = Field(min_length=1)
    fields: list[FieldEntry] = []
    paired: list[Paired] = []
    excess: list[Excess] = []
    data_facts: DataFacts | None = None
    sensitivity: list[Sensitivity] = []
    stages: list[dict[str, Any]] = []

    @model_validator(mode="after")
    def _names_agree(self) -> "Study":
        ids = [run.id for run in self.runs]
        if len(set(ids)) != len(ids):
            twice = sorted({i for i in ids if ids.count(i) > 1})
            raise ValueError(f"the run id '{twice[0]}' is used twice")
        for entry in self.fields:
            unknown = sorted(set(entry.predictions) - set(ids))
            if unknown:
                raise ValueError(
                    f"field '{entry.label}' names the run '{unknown[0]}', which is not among runs"
                )
        return self


@dataclass(frozen=True, eq=False)
class FieldData:
    """A field file, read and checked.

    Attributes
    ----------
    entry : FieldEntry
        What ``study.json`` says of it.
    cell : ndarray (3, 3)
        Bohr, one vector a row.
    positions : ndarray (n, 3)
        Bohr.
    numbers : ndarray (n,)
        Atomic numbers.
    densities : dict of str to ndarray (n1, n2, n3)
        e/bohr³ under ``"truth"``, ``"saed"`` (where present) and the run ids.
    """

    entry: FieldEntry
    cell: np.ndarray
    positions: np.ndarray
    numbers: np.ndarray
    densities: dict[str, np.ndarray]


def read_study(folder: Path) -> Study:
    """Read and check ``study.json``.

    Parameters
    ----------
    folder : Path
        A study folder.

    Raises
    ------
    InputError
        No such file.
    FileFormatError
        Not JSON, or not what docs/study-format.md describes; the message names the first problem.
    """
    path = folder / STUDY_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path} does not exist; give the folder that 'nearsight study' wrote") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path} is not JSON ({_one_line(str(error))}); run the study again") from None
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise FileFormatError(f"{path} is not a study: {_first_problem(error)}") from None


def read_field(folder: Path, entry: FieldEntry) -> FieldData:
    """Read one ``.npz`` field of a study.

    Raises
    ------
    InputError
        The file is missing, or its name leads out of the study folder.
    FileFormatError
        The file is truncated, or lacks a key, or shapes disagree, or values are not finite.
    """
    name = PurePosixPath(entry.file)
    path = folder / name
    if name.is_absolute() or ".." in name.parts:
        raise InputError(f"the field file '{entry.file}' lies outside of the study folder {folder}")
    keys = {TRUTH: TRUTH, **entry.predictions}
    try:
        with np.load(path, allow_pickle=False) as archive:
            if SUPERPOSED in archive.files:
                keys[SUPERPOSED] = SUPERPOSED
            cell, positions, numbers = (archive[key] for key in ("cell", "positions", "numbers"))
            densities = {name: archive[key] for name, key in keys.items()}
    except FileNotFoundError:
        raise InputError(f"{path} is named in {STUDY_FILE} but does not exist; run the study again") from None
    except KeyError as error:
        raise FileFormatError(f"{path}: {_one_line(str(error.args[0]))}; run the study again") from None
    except (OSError, EOFError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise FileFormatError(f"{path} cannot be read as .npz ({_one_line(str(error))})") from None
    data = FieldData(entry, cell.astype(float), positions.astype(float), numbers.astype(int), densities)
    _check_field(path, data)
    return data


def _check_field(path: Path, data: FieldData) -> None:
    if data.cell.shape != (3, 3) or data.positions.shape != (len(data.numbers), 3):
        raise FileFormatError(
            f"{path}: cell {data.cell.shape} must be (3, 3) and positions {data.positions.shape} (n, 3)"
        )
    shape = data.densities[TRUTH].shape
    for name, values in data.densities.items():
        if values.ndim != 3 or values.shape != shape:
            raise FileFormatError(f"{path}: '{name}' has shape {values.shape}; the truth has {shape}")
        if not np.isfinite(values).all():
            raise FileFormatError(f"{path}: '{name}' holds NaN or infinity; that run went wrong")


def _first_problem(error: ValidationError) -> str:
    problems = error.errors()
    where = ".".join(str(part) for part in problems[0]["loc"])
    more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
    message = _one_line(problems[0]["msg"].removeprefix("Value error, "))
    return (f"{where}: {message}" if where else message) + more


def _one_line(text: str) -> str:
    return " ".join(text.split())
