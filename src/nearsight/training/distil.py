"""`distil`: teach a fast network what a slow model knows, at points that no one has labelled.

A Gaussian process on a coreset is accurate from few points, and each prediction asks all of them. A network
of fixed size learns it from its predictions at many points, for which features are enough (Hinton, Vinyals,
Dean, arXiv:1503.02531): no density functional calculation is needed.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nearsight.errors import InputError
from nearsight.model.density_model import DensityModel
from nearsight.networks.protocol import NetworkSettings
from nearsight.progress import Progress, silent
from nearsight.store.table import PointTable
from nearsight.training.fit import TrainResult, train_model
from nearsight.training.settings import TrainSettings


def distil(
    teacher: DensityModel,
    table: PointTable,
    student: NetworkSettings,
    settings: TrainSettings,
    *,
    validation: PointTable | None = None,
    seed: int = 0,
    checkpoint_dir: Path | None = None,
    checkpoint_seconds: float = 10.0,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> TrainResult:
    """Train `student` on the teacher's predictions.

    Parameters
    ----------
    teacher : DensityModel
        Its descriptor, target, radial tables, valence, engine and spacing become the student's.
    table : PointTable
        Points described by the teacher's descriptor; their densities are not looked at.
    student : NetworkSettings
    settings : TrainSettings
    validation : PointTable, optional
        Points of held-out snapshots with their true densities: they decide when to stop.
    seed, checkpoint_dir, checkpoint_seconds, progress
        As `train_model` takes them.
    provenance : mapping, optional
        Kept in the model; the teacher's digest and its own training are added under ``teacher``.

    Raises
    ------
    InputError
        Features that are not the teacher's; no atomic densities where the target needs them.
    """
    taught = replace(table, density=predictions(teacher, table))
    return train_model(
        taught,
        validation,
        teacher.descriptor,
        student,
        teacher.target.kind,
        settings,
        radial=teacher.radial,
        valence=teacher.valence,
        engine=teacher.engine,
        spacing=teacher.spacing,
        seed=seed,
        checkpoint_dir=checkpoint_dir,
        checkpoint_seconds=checkpoint_seconds,
        provenance={**(provenance or {}), "teacher": _record(teacher)},
        progress=progress,
    )


def predictions(model: DensityModel, table: PointTable, *, block: int = 16_384) -> np.ndarray:
    """Density (n,), e/bohr³, that a model gives at the points of a table, neither clipped nor rescaled."""
    if table.n_features != model.descriptor.n_features:
        raise InputError(
            f"the points have {table.n_features} features and the teacher takes "
            f"{model.descriptor.n_features}; describe them with the teacher's descriptor"
        )
    density = np.empty(len(table))
    for start in range(0, len(table), block):
        rows = slice(start, start + block)
        saed = None if table.rho_saed is None else table.rho_saed[rows]
        density[rows] = model.predict_points(table.features[rows], saed)
    return density


def _record(teacher: DensityModel) -> dict[str, Any]:
    training = {k: v for k, v in teacher.provenance.get("training", {}).items() if k != "history"}
    network = teacher.network.settings.as_dict()
    return {"digest": teacher.digest(), "network": network, "training": training}
