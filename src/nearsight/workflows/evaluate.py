"""`evaluate`: the errors of a model on every snapshot of a data set."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nearsight.engines.protocol import Engine
from nearsight.engines.spin import spin_notes
from nearsight.errors import InputError, StoreError
from nearsight.inference.predictor import predict_density
from nearsight.model.density_model import DensityModel
from nearsight.model.file import load_model
from nearsight.progress import Progress, silent
from nearsight.store import Dataset
from nearsight.workflows.judge import Judge, mean_errors

EngineFor = Callable[[Mapping[str, Any]], Engine]


def evaluate(
    model: Path | str | DensityModel,
    data: Path | str | Dataset,
    *,
    split: str | None = None,
    engine_for: EngineFor | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Predict every snapshot on its own grid and compare.

    Parameters
    ----------
    model : path or DensityModel
    data : path or Dataset
    split : {"train", "validation", "test"}, optional
        Only snapshots of that part; all of them otherwise.
    engine_for : callable, optional
        Makes the engine of the data's fingerprint; energy errors are taken only with it.
    device : {"auto", "cpu", "cuda"}
    progress : Progress

    Returns
    -------
    dict
        Means over the snapshots (``nrmse_percent``, ``nmae_percent``, ``hartree_error_ha_per_atom``,
        ``energy_error_ha_per_atom`` …) and ``per_snapshot``.

    Raises
    ------
    StoreError
        No snapshots to score.
    UnknownElementError
        The data holds an element that the model never saw.
    """
    model = _load(model, device)
    dataset = data if isinstance(data, Dataset) else Dataset.open(data)
    numbers = dataset.numbers() if split is None else dataset.snapshots(split)
    if not numbers:
        raise StoreError(f"{dataset.path} has no {split or 'complete'} snapshots to evaluate on")
    engine = _engine(dataset, engine_for)
    results = []
    for done, number in enumerate(numbers):
        progress("evaluating", done, len(numbers))
        judge = Judge(dataset, number, engine)
        prediction = predict_density(model, judge.structure, judge.reference.grid)
        extras = {"clipped_charge": prediction.clipped_charge, "factor": prediction.factor}
        results.append(judge.score(prediction.density) | extras)
    progress("evaluating", len(numbers), len(numbers))
    return {
        **mean_errors(results),
        "split": split or "all",
        "notes": spin_notes(model.elements),
        "per_snapshot": results,
    }


def _engine(dataset: Dataset, engine_for: EngineFor | None) -> Engine | None:
    if engine_for is None:
        return None
    if dataset.engine is None:
        raise InputError(
            f"{dataset.path} was imported: no engine is known that its energies could be taken with; "
            "leave out --energies"
        )
    return engine_for(dataset.engine)


def _load(model: Path | str | DensityModel, device: str) -> DensityModel:
    loaded = model if isinstance(model, DensityModel) else load_model(model)
    return loaded.to(device)
