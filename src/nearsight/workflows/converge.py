"""`converge`: the counts of a descriptor, grown one after the other until the error stops falling.

The procedure of S. Pathrudkar et al., npj Comput. Mater. 10, 175 (2024): a small model is trained for each
value of one setting, on the same training points and with the same steps, and judged on the validation
snapshots; where larger values no longer pay, the setting stays, and the next one grows.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, field_validator

from nearsight.descriptors import Descriptor
from nearsight.errors import InputError
from nearsight.points import PointSet
from nearsight.progress import Progress, silent
from nearsight.provenance import digest, generator, to_plain
from nearsight.store import Dataset
from nearsight.training import describe_points
from nearsight.workflows.config import Config
from nearsight.workflows.material import describe_validation, from_dataset, species_of, training_points
from nearsight.workflows.plan import Plan, make_plan
from nearsight.workflows.records import read_json, write_json
from nearsight.workflows.study_parts import Strict
from nearsight.workflows.train import fit

#: timings of a descriptor, of which the best counts
_TRIES = 5


class Stage(Strict):
    """One setting of the descriptor and the values it is tried with, in the order of rising cost.

    Parameters
    ----------
    setting : str
    values : tuple
        Whole numbers, or anything else that the setting takes, such as the list of ``channels``.
    """

    setting: str
    values: Annotated[tuple[Any, ...], Field(min_length=1)]


#: by descriptor: what holds before the first stage, and the stages
_DEFAULTS: dict[str, tuple[dict[str, Any], tuple[Stage, ...]]] = {
    "scalar_products": (
        {"n_angular": 0, "n_partners": 12},
        (
            Stage(setting="n_neighbours", values=(4, 8, 12, 16, 24, 32, 48, 64)),
            Stage(setting="n_angular", values=(0, 2, 4, 6, 8, 12, 16)),
            Stage(setting="n_partners", values=(4, 6, 8, 12, 16)),
        ),
    ),
    "local_frame": ({}, (Stage(setting="n_neighbours", values=(4, 8, 12, 16, 20, 24, 32)),)),
    "power_spectrum": (
        {},
        (
            Stage(
                setting="channels",
                values=(
                    [4, 3],
                    [5, 4, 3],
                    [6, 5, 4, 3],
                    [7, 6, 5, 4, 3],
                    [8, 7, 6, 5, 4, 3],
                    [8, 7, 6, 5, 4, 3, 2],
                ),
            ),
        ),
    ),
}


class ConvergeConfig(Strict):
    """Settings of `converge`.

    Parameters
    ----------
    train : Config
        Descriptor, network, training and target of the small models.
    plan : tuple of Stage
        One after the other; those of the descriptor's own in `_DEFAULTS` unless given.
    points : int
        Training points, drawn at random.
    tolerance : float
        An error counts as lower where it is below (1 − tolerance) times the best of the smaller values.
    patience : int
        So many values in a row without a lower error end a setting.
    seeds : int
        Trainings of each value, whose errors are averaged.
    """

    train: Config = Config(descriptor={"name": "scalar_products"}, training={"steps": 1000})
    plan: tuple[Stage, ...] = ()
    points: int = Field(20_000, ge=100)
    tolerance: float = Field(0.02, ge=0, lt=1)
    patience: int = Field(2, ge=1)
    seeds: int = Field(1, ge=1)

    @field_validator("train", mode="before")
    @classmethod
    def _small(cls, value: Any) -> Any:
        """What a file leaves out of ``train`` is that of a small model of scalar products."""
        if not isinstance(value, Mapping):
            return value
        return {
            **value,
            "descriptor": {"name": "scalar_products", **dict(value.get("descriptor") or {})},
            "training": {"steps": 1000, **dict(value.get("training") or {})},
        }

    @property
    def start(self) -> dict[str, Any]:
        """Descriptor settings before the first stage; those of the file go before the plan's own."""
        name = str(self.train.descriptor.get("name", ""))
        own = {} if self.plan else _DEFAULTS.get(name, ({}, ()))[0]
        return {"name": name, **own, **self.train.descriptor}

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The plan, or the descriptor's own.

        Raises
        ------
        InputError
            A descriptor without one.
        """
        name = str(self.train.descriptor.get("name", ""))
        if not self.plan and name not in _DEFAULTS:
            raise InputError(
                f"converge has no plan for the descriptor '{name}'; give one, such as "
                "plan: [{setting: n_neighbours, values: [4, 8, 16]}]"
            )
        return self.plan or _DEFAULTS[name][1]


@dataclass(frozen=True)
class Row:
    """One value that was tried.

    Attributes
    ----------
    setting : str
    value : object
    n_features : int
    nrmse_percent : float
        On the validation points, mean over seeds.
    spread : float or None
        Largest minus smallest over seeds; None with one.
    points_per_second : float
        Described in a second of one thread, in the order of a grid; compilation left out.
    chosen : bool
        Whether the setting stayed at this value.
    """

    setting: str
    value: Any
    n_features: int
    nrmse_percent: float
    spread: float | None
    points_per_second: float
    chosen: bool = False


@dataclass(frozen=True, eq=False)
class Convergence:
    """What was tried and what was chosen.

    Attributes
    ----------
    rows : list of Row
    descriptor : dict
        Name and settings that were chosen, without the species.
    ended : list of str
        Settings whose error still fell at the last value of the plan.
    n_points, n_validation : int
    """

    rows: list[Row]
    descriptor: dict[str, Any]
    ended: list[str]
    n_points: int
    n_validation: int

    @property
    def notes(self) -> list[str]:
        """What a person should not miss."""
        return [
            f"the error still fell at the last value of {setting}; a longer plan may find a lower one"
            for setting in self.ended
        ]

    def as_json(self) -> dict[str, Any]:
        """Machine-readable result."""
        return {**to_plain(asdict(self)), "notes": self.notes}


def converge(
    data: Path | str | Dataset,
    config: ConvergeConfig | None = None,
    *,
    record: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> Convergence:
    """Grow the settings of a descriptor one after the other.

    Parameters
    ----------
    data : path or Dataset
        With training and validation snapshots; test snapshots are not read.
    config : ConvergeConfig, optional
    record : Path, optional
        JSON that keeps finished trainings: the same call after an interruption carries on.
    seed : int
        Settles the points; run k of a value uses seed + k.
    device : {"auto", "cpu", "cuda"}
    progress : Progress

    Raises
    ------
    InputError
        No validation snapshots, a setting that the descriptor does not have, or no plan for it.
    """
    dataset = data if isinstance(data, Dataset) else Dataset.open(data)
    config = config or ConvergeConfig()
    trial = _Trials(dataset, config, record, seed, device)
    stages = config.stages
    _require_settings(trial, stages)
    settings, ended = config.start, list[str]()
    rows: list[Row] = []
    total = sum(len(stage.values) for stage in stages)
    progress("values", 0, total)
    for stage in stages:
        tried = _grow(trial, settings, stage, config, partial(_report, progress, len(rows), total))
        best = next(row for row in tried if row.chosen)
        settings = {**settings, stage.setting: best.value}
        if len(tried) == len(stage.values) > 1 and tried[-1].chosen:
            ended.append(stage.setting)
        rows += tried
    progress("values", total, total)
    return Convergence(rows, settings, ended, len(trial.points), trial.n_validation)


def _report(progress: Progress, before: int, total: int, done: int) -> None:
    progress("values", before + done, total)


def _require_settings(trial: "_Trials", stages: Sequence[Stage]) -> None:
    """Refuse a plan with a setting or value that the descriptor does not take, before anything is trained."""
    settings = trial.config.start
    for stage in stages:
        for value in reversed(stage.values):
            trial.plan({**settings, stage.setting: value})
        # as if the largest were chosen: later settings may depend on earlier ones
        settings = {**settings, stage.setting: stage.values[-1]}


def _grow(
    trial: "_Trials",
    settings: Mapping[str, Any],
    stage: Stage,
    config: ConvergeConfig,
    report: Callable[[int], None],
) -> list[Row]:
    """Try values until the error no longer falls; the row of the value that stays is marked."""
    rows: list[Row] = []
    best, misses = 0, 0
    for value in stage.values:
        if not _allowed(trial, settings, stage.setting, value):
            break
        rows.append(trial.row({**settings, stage.setting: value}, stage.setting))
        report(len(rows))
        if len(rows) == 1:
            continue
        if rows[-1].nrmse_percent < (1 - config.tolerance) * rows[best].nrmse_percent:
            best, misses = len(rows) - 1, 0
        else:
            misses += 1
        if misses == config.patience:
            break
    if not rows:
        trial.plan({**settings, stage.setting: stage.values[0]})  # says what is wrong
    return [Row(**{**asdict(row), "chosen": i == best}) for i, row in enumerate(rows)]


def _allowed(trial: "_Trials", settings: Mapping[str, Any], setting: str, value: Any) -> bool:
    """Whether the value goes with what was chosen before: an n_angular above n_neighbours does not."""
    try:
        trial.plan({**settings, setting: value})
    except InputError:
        return False
    return True


class _Trials:
    """Trainings of small models that differ in their descriptor alone."""

    def __init__(
        self, dataset: Dataset, config: ConvergeConfig, record: Path | None, seed: int, device: str
    ) -> None:
        self.dataset, self.config, self.seed = dataset, config, seed
        self._record, self._device = record, device
        self._species = species_of(dataset)
        self.points = _drawn(dataset, config.points, seed)
        if not dataset.snapshots("validation"):
            raise InputError(f"{dataset.path} has no validation snapshots, and converge is judged on them")
        self.n_validation = 0
        self._key = digest([dataset.digest(), config.points, seed, config.seeds])
        known = None if record is None else read_json(record, self._key)
        self._done: dict[str, Any] = {} if known is None else known["rows"]

    def plan(self, descriptor: Mapping[str, Any]) -> Plan:
        """The settings of one model; `InputError` where the descriptor refuses its own."""
        train = self.config.train.model_copy(update={"descriptor": dict(descriptor)})
        has_atoms = bool(self.dataset.radial)
        return make_plan(train, self._species, has_atoms=has_atoms, device=self._device)

    def row(self, descriptor: Mapping[str, Any], setting: str) -> Row:
        """Train, or remember."""
        plan = self.plan(descriptor)
        name = digest(to_plain(plan.as_dict()))
        if name not in self._done:
            self._done[name] = self._measured(plan)
            if self._record is not None:
                write_json(self._record, {"key": self._key, "rows": self._done})
        found = self._done[name]
        self.n_validation = found["n_validation"]
        errors = found["errors"]
        return Row(
            setting,
            descriptor[setting],
            plan.descriptor.n_features,
            float(np.mean(errors)),
            float(np.ptp(errors)) if len(errors) > 1 else None,
            found["points_per_second"],
        )

    def _measured(self, plan: Plan) -> dict[str, Any]:
        table = describe_points(self.dataset, plan.descriptor, self.points)
        validation = describe_validation(self.dataset, plan.descriptor, plan.validation_points, self.seed)
        material = from_dataset(self.dataset, table, validation)
        results = [fit(material, plan, seed=self.seed + k) for k in range(self.config.seeds)]
        return {
            "errors": [r.validation_nrmse_percent for r in results],
            "points_per_second": self._speed(plan.descriptor),
            "n_validation": 0 if validation is None else len(validation),
        }

    def _speed(self, descriptor: Descriptor) -> float:
        """Points described in a second of this thread's own time, the best of a few tries."""
        number = int(self.points.snapshot[0])
        grid = self.dataset.grid(number)
        points = grid.points(0, min(grid.n_points, 8192))
        evaluator = descriptor.prepare(self.dataset.structure(number))
        seconds = []
        for _ in range(_TRIES):
            began = time.thread_time()
            evaluator(points)
            seconds.append(time.thread_time() - began)
        return len(points) / max(min(seconds), 1e-9)


def _drawn(dataset: Dataset, n_points: int, seed: int) -> PointSet:
    """The same random training points for every model."""
    every = training_points(dataset)
    n = min(n_points, len(every))
    return every.take(np.sort(generator(seed, "converge").choice(len(every), n, replace=False)))
