"""`train`: from a data set or a coreset to a model file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nearsight.descriptors import descriptor_from_settings
from nearsight.engines.spin import spin_notes
from nearsight.errors import InputError, StoreError
from nearsight.model.density_model import DensityModel
from nearsight.model.file import load_model, save_model
from nearsight.progress import Progress, silent
from nearsight.provenance import machine, to_plain
from nearsight.store import Coreset, Dataset, read_coreset, store_kind
from nearsight.training import TrainResult, describe_points, train_model
from nearsight.training.checkpoint import Checkpoints
from nearsight.training.distil import distil
from nearsight.workflows.calibrate import calibrated
from nearsight.workflows.config import Config
from nearsight.workflows.material import (
    Material,
    describe_validation,
    from_coreset,
    from_dataset,
    species_of,
    training_points,
)
from nearsight.workflows.plan import Plan, make_plan


@dataclass(frozen=True, eq=False)
class TrainSummary:
    """A trained model and the figures of its training.

    Attributes
    ----------
    model : DensityModel
    n_points : int
        Training points.
    steps : int
    stopped_early : bool
    validation_nrmse_percent : float
        On the validation points; NaN without any.
    seconds : float
        Wall time of the optimisation.
    history : list of dict
        One entry a validation.
    """

    model: DensityModel
    n_points: int
    steps: int
    stopped_early: bool
    validation_nrmse_percent: float
    seconds: float
    history: list[dict[str, float]]

    @classmethod
    def of(cls, result: TrainResult, n_points: int) -> "TrainSummary":
        """Of a training on so many points."""
        best = result.validation_nrmse_percent
        return cls(
            result.model,
            n_points,
            result.steps,
            result.stopped_early,
            float("nan") if best is None else best,
            result.seconds,
            result.history,
        )

    @property
    def notes(self) -> list[str]:
        """What every result of the model must say."""
        return spin_notes(self.model.elements)

    def as_json(self) -> dict[str, Any]:
        """Machine-readable result."""
        known = self.validation_nrmse_percent == self.validation_nrmse_percent
        return {
            "n_points": self.n_points,
            "steps": self.steps,
            "stopped_early": self.stopped_early,
            "validation_nrmse_percent": self.validation_nrmse_percent if known else None,
            "seconds": self.seconds,
            "history": self.history,
            "model_digest": self.model.digest(),
            "notes": self.notes,
        }


def train(
    data: Path | str | Dataset | Coreset,
    output: Path | str | None = None,
    config: Config | None = None,
    *,
    teacher: Path | str | DensityModel | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> TrainSummary:
    """Train a model on the training part of a data set, or on a coreset.

    Parameters
    ----------
    data : path, Dataset or Coreset
    output : path, optional
        Model file; checkpoints lie beside it until it is written, so that the same call after an
        interruption carries on.
    config : Config, optional
    teacher : path or DensityModel, optional
        Learn its predictions at the training points instead of their densities; its descriptor and target
        are the student's. Validation points keep their own densities.
    seed : int
    device : {"auto", "cpu", "cuda"}
    progress : Progress

    Raises
    ------
    StoreError
        No data set or coreset, or no training points in it.
    InputError
        Settings that do not fit the data.
    ConvergenceError
        The loss is no longer finite.
    """
    source = open_data(data)
    config = config or Config()
    taught_by = None if teacher is None else _teacher(teacher, device)
    if taught_by is not None:
        config = _for_student(config, taught_by)
    if isinstance(source, Coreset):
        plan = make_plan(
            _with_descriptor_of(source, config),
            _species(source),
            has_atoms=bool(source.radial),
            device=device,
        )
        material = from_coreset(source, plan.descriptor, progress)
        origin: dict[str, Any] = {"coreset": source.method, "dataset_digest": source.dataset_digest}
    else:
        plan = make_plan(config, species_of(source), has_atoms=bool(source.radial), device=device)
        table = describe_points(source, plan.descriptor, training_points(source), progress=progress)
        validation = describe_validation(source, plan.descriptor, plan.validation_points, seed)
        material = from_dataset(source, table, validation)
        origin = {"coreset": None, "dataset_digest": material.digest}
    result = fit(
        material,
        plan,
        seed=seed,
        output=output,
        checkpoint_seconds=config.checkpoint_seconds,
        origin=origin,
        teacher=taught_by,
        progress=progress,
    )
    return TrainSummary.of(result, len(material.training))


def fit(
    material: Material,
    plan: Plan,
    *,
    seed: int,
    output: Path | str | None = None,
    checkpoint_seconds: float = 10.0,
    origin: dict[str, Any] | None = None,
    teacher: DensityModel | None = None,
    base: DensityModel | None = None,
    frozen_layers: int = 0,
    progress: Progress = silent,
) -> TrainResult:
    """Train on described points; write the model to `output`, then drop its checkpoint.

    With a `teacher` its predictions are learned there; see `nearsight.training.distil`. With a `base` that
    model goes on learning; see `nearsight.workflows.finetune`. A model that knows its uncertainty is
    calibrated on the validation points; without any, the calibration of the base stays.
    """
    target = None if output is None else Path(output)
    folder = None if target is None else target.with_name(f".{target.name}.checkpoint")
    provenance = {"data": to_plain(origin or {}), "machine": machine()}
    how: dict[str, Any] = {
        "seed": seed,
        "checkpoint_dir": folder,
        "checkpoint_seconds": checkpoint_seconds,
        "provenance": provenance,
        "progress": progress,
    }
    if teacher is not None:
        table, validation = material.training, material.validation
        result = distil(teacher, table, plan.network, plan.training, validation=validation, **how)
    else:
        result = train_model(
            material.training,
            material.validation,
            plan.descriptor,
            plan.network,
            plan.target,
            plan.training,
            radial=material.radial if plan.target == "difference" else {},
            valence=material.valence,
            engine=material.engine,
            spacing=material.spacing,
            n_effective=plan.effective_points or material.independent_values,
            base=base,
            frozen_layers=frozen_layers,
            **how,
        )
    model = result.model
    if base is not None:
        model = replace(model, calibration=dict(base.calibration))
    result = replace(result, model=calibrated(model, material.validation, seed=seed))
    if target is not None and folder is not None:
        save_model(result.model, target)
        Checkpoints(folder, "").clear()
    return result


def open_data(data: Path | str | Dataset | Coreset) -> Dataset | Coreset:
    """The data set or coreset of that name; raises `StoreError` where there is none."""
    if isinstance(data, Dataset | Coreset):
        return data
    kind = store_kind(data)
    if kind == "coreset":
        return read_coreset(data)
    if kind == "dataset":
        return Dataset.open(data)
    what = "does not exist" if not Path(data).exists() else "is neither a data set nor a coreset"
    raise StoreError(f"{data} {what}; make one with 'nearsight label', 'import' or 'prune'")


def _species(coreset: Coreset) -> tuple[int, ...]:
    return tuple(sorted({z for s in coreset.structures.values() for z in s.species}))


def _with_descriptor_of(coreset: Coreset, config: Config) -> Config:
    """The settings with the coreset's own descriptor, unless they ask for one."""
    if "descriptor" in config.model_fields_set:
        return config
    return config.model_copy(update={"descriptor": dict(coreset.descriptor)})


def _teacher(teacher: Path | str | DensityModel, device: str) -> DensityModel:
    loaded = teacher if isinstance(teacher, DensityModel) else load_model(teacher)
    return loaded.to(device)


def _for_student(config: Config, teacher: DensityModel) -> Config:
    """The settings with the teacher's descriptor and target; `InputError` where they ask for others."""
    own = {"descriptor": teacher.descriptor.settings(), "target": teacher.target.kind}
    if "descriptor" in config.model_fields_set:
        species = {"species": teacher.descriptor.species}
        if descriptor_from_settings({**species, **config.descriptor}).settings() != own["descriptor"]:
            raise InputError("the settings ask for another descriptor than the teacher's; leave it out")
    if config.target not in ("auto", teacher.target.kind):
        raise InputError(f"the teacher's target is {teacher.target.kind}; leave 'target' out")
    return Config.model_validate({**config.model_dump(exclude_unset=True), **own})
