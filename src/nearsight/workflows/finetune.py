"""`finetune`: a model goes on learning from a few snapshots of other cells, such as larger ones.

Its descriptor, scaler, target, atomic densities and valence electrons stay; so do its first layers, as many
as are frozen. What each default was measured on is in docs/transfer.md.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from nearsight.descriptors import descriptor_from_settings
from nearsight.errors import InputError
from nearsight.model.density_model import DensityModel
from nearsight.model.file import load_model
from nearsight.networks.precision import resolve_device, resolve_precision
from nearsight.networks.protocol import require_trainable_layers
from nearsight.progress import Progress, silent
from nearsight.store import Coreset, Dataset
from nearsight.training import TrainSettings
from nearsight.training.task import layers_to_train, require_base_network
from nearsight.training.validation import Validation
from nearsight.workflows.building import network_settings
from nearsight.workflows.config import Config
from nearsight.workflows.finetune_data import material_for, require_same_kind
from nearsight.workflows.material import Material
from nearsight.workflows.plan import Plan, make_plan
from nearsight.workflows.train import TrainSummary, fit, open_data

#: training settings that differ from those of a training from the start
FINE_TUNING: Final[dict[str, Any]] = {"learning_rate": 1e-3, "weight_decay": 0.0}
#: passes through the points at most where no validation snapshot says when it is enough: beyond, few points
#: are learned by heart
UNCHECKED_PASSES: Final = 100
#: first layers that stay as they are unless a person says otherwise
FROZEN_LAYERS: Final = 0


@dataclass(frozen=True, eq=False)
class FinetuneSummary:
    """A model that went on learning, and the figures of that.

    Attributes
    ----------
    training : TrainSummary
        Its model is the new one.
    base_digest : str
    frozen_layers, n_layers : int
        Layers that stayed as they were, and all of them.
    base_nrmse_percent : float
        Of the base on the same validation points; NaN without any.
    remarks : list of str
        What a person should know of the data.
    """

    training: TrainSummary
    base_digest: str
    frozen_layers: int
    n_layers: int
    base_nrmse_percent: float
    remarks: list[str]

    @property
    def model(self) -> DensityModel:
        """The fine-tuned model."""
        return self.training.model

    @property
    def notes(self) -> list[str]:
        """What every result of the model must say, and remarks on the data."""
        return [*self.remarks, *self.training.notes]

    def as_json(self) -> dict[str, Any]:
        """Machine-readable result."""
        known = self.base_nrmse_percent == self.base_nrmse_percent
        return {
            **self.training.as_json(),
            "base_digest": self.base_digest,
            "base_validation_nrmse_percent": self.base_nrmse_percent if known else None,
            "frozen_layers": self.frozen_layers,
            "n_layers": self.n_layers,
            "notes": self.notes,
        }


def finetune(
    model: Path | str | DensityModel,
    data: Path | str | Dataset | Coreset,
    output: Path | str | None = None,
    config: Config | None = None,
    *,
    freeze: int | None = None,
    force: bool = False,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> FinetuneSummary:
    """Let a model go on learning from the training part of a data set, or from a coreset.

    Parameters
    ----------
    model : path or DensityModel
        The base; a file of it is left as it is.
    data : path, Dataset or Coreset
        Validation snapshots of it decide which weights are kept, those of the base among them. Without
        any the last weights are, after the usual steps or `UNCHECKED_PASSES`, whichever is less; steps or
        epochs of ``training`` overrule that.
    output : path, optional
        Model file; checkpoints lie beside it until it is written, so that the same call after an
        interruption carries on.
    config : Config, optional
        ``training`` over `FINE_TUNING`; descriptor and target are the base's.
    freeze : int, optional
        First layers that stay as they are; `FROZEN_LAYERS` unless given.
    force : bool
        Go on although the data has other pseudopotentials or another functional than the base's.
    seed : int
    device : {"auto", "cpu", "cuda"}
    progress : Progress

    Raises
    ------
    StoreError
        No data set or coreset, or no training points in it.
    UnknownElementError
        An element that the base never saw.
    CompatibilityError
        Data of another physics than the base's.
    InputError
        Settings that do not fit the base; a network that cannot be fine-tuned; nothing left to train.
    ConvergenceError
        The loss is no longer finite.
    """
    base = model if isinstance(model, DensityModel) else load_model(model)
    source = open_data(data)
    plan = finetune_plan(base, config or Config(), device)
    n_layers = layers_to_train(base.network)
    frozen = min(FROZEN_LAYERS, n_layers - 1) if freeze is None else freeze
    require_trainable_layers(frozen, n_layers)
    remarks = require_same_kind(base, source, force)
    material = material_for(base, source, plan, seed, progress)
    if material.validation is None and not {"steps", "epochs"} & (config or Config()).training.keys():
        plan = replace(plan, training=_unchecked(plan.training, len(material.training)))
    result = fit(
        material,
        plan,
        seed=seed,
        output=output,
        checkpoint_seconds=(config or Config()).checkpoint_seconds,
        origin=_origin(source, material),
        base=base,
        frozen_layers=frozen,
        progress=progress,
    )
    summary = TrainSummary.of(result, len(material.training))
    before = _error(base, material, plan, seed)
    return FinetuneSummary(
        summary, base.digest(), frozen, n_layers, before, [*remarks, *_kept(summary, material, before)]
    )


def finetune_plan(base: DensityModel, config: Config, device: str) -> Plan:
    """The base's plan with the settings' training; `InputError` where they ask for what cannot change."""
    if "descriptor" in config.model_fields_set:
        asked = descriptor_from_settings({"species": base.descriptor.species, **config.descriptor})
        if asked.settings() != base.descriptor.settings():
            raise InputError("the settings ask for another descriptor than the base model's; leave it out")
    if config.target not in ("auto", base.target.kind):
        raise InputError(f"the base model's target is {base.target.kind}; leave 'target' out")
    network = base.network.settings
    if "network" in config.model_fields_set:
        network = network_settings(config.network)
        require_base_network(base.network.settings, network)
    own = {"descriptor": base.descriptor.settings(), "target": base.target.kind}
    training = {"training": {**FINE_TUNING, **config.training}}
    changed = Config.model_validate({**config.model_dump(exclude_unset=True), **own, **training})
    plan = make_plan(
        changed.model_copy(update={"network": {"name": "mlp"}}),
        base.descriptor.species,
        has_atoms=bool(base.radial),
        device=device,
    )
    return replace(plan, descriptor=base.descriptor, network=network)


def _origin(source: Dataset | Coreset, material: Material) -> dict[str, Any]:
    method = source.method if isinstance(source, Coreset) else None
    return {"coreset": method, "dataset_digest": material.digest}


def _unchecked(settings: TrainSettings, n_points: int) -> TrainSettings:
    """No more than `UNCHECKED_PASSES` through the points."""
    passes = math.ceil(UNCHECKED_PASSES * n_points / min(settings.batch, n_points))
    return replace(settings, steps=min(settings.steps, passes))


def _error(base: DensityModel, material: Material, plan: Plan, seed: int) -> float:
    """Validation error of the base, on the points that the fine-tuned is judged by; NaN without any."""
    if material.validation is None:
        return float("nan")
    settings = plan.training
    device = resolve_device(settings.device)
    judge = Validation(
        material.validation,
        base.scaler,
        base.target,
        n_points=settings.validation_points,
        seed=seed,
        device=device,
        precision=resolve_precision(settings.precision, device),
    )
    return judge.nrmse(base.network.to(device))


def _kept(summary: TrainSummary, material: Material, before: float) -> list[str]:
    """A line on which weights were kept, where that is not what one expects."""
    if material.validation is None:
        return [
            f"the data has no validation snapshots: the weights after all {summary.steps:,} steps are kept, "
            "unchecked; give it a snapshot with split 'validation' to be sure that they are better"
        ]
    if summary.validation_nrmse_percent >= before:
        return ["no step did better on the validation snapshots than the base model: its weights are kept"]
    return []
