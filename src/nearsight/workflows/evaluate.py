"""`evaluate`: the errors of a model on every snapshot of a data set, and whether its error bars hold."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nearsight.engines.protocol import Engine
from nearsight.engines.spin import spin_notes
from nearsight.errors import InputError, StoreError
from nearsight.inference.predictor import predict_density
from nearsight.metrics.bootstrap import CONFIDENCE, RESAMPLES
from nearsight.metrics.calibration import CalibrationSummary, SnapshotSummary
from nearsight.model.density_model import DensityModel
from nearsight.model.file import load_model
from nearsight.progress import Progress, silent
from nearsight.report.calibration_figure import require_drawable, write_calibration_figure
from nearsight.store import Dataset
from nearsight.workflows.judge import Judge, mean_errors

EngineFor = Callable[[Mapping[str, Any]], Engine]


def evaluate(
    model: Path | str | DensityModel,
    data: Path | str | Dataset,
    *,
    split: str | None = None,
    engine_for: EngineFor | None = None,
    figure: Path | str | None = None,
    device: str = "auto",
    seed: int = 0,
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
    figure : path, optional
        Draw the calibration there, ``.svg`` or ``.html``.
    device : {"auto", "cpu", "cuda"}
    seed : int
        Of the points that ranks are taken of, and of the resamples behind intervals.
    progress : Progress

    Returns
    -------
    dict
        Means over the snapshots (``nrmse_percent``, ``nmae_percent``, ``hartree_error_ha_per_atom``,
        ``energy_error_ha_per_atom`` …), ``per_snapshot`` and ``per_trajectory``; under ``calibration``, in
        all three places, the figures of `nearsight.metrics.calibration`, None for a model that states no
        uncertainty. Those of all snapshots have ``intervals``.

    Raises
    ------
    StoreError
        No snapshots to score.
    UnknownElementError
        The data holds an element that the model never saw.
    InputError
        A figure of the calibration of a model that states no uncertainty, or of an unknown kind.
    """
    model = _load(model, device)
    if figure is not None:
        _require_figure(model, Path(figure))
    dataset = data if isinstance(data, Dataset) else Dataset.open(data)
    numbers = dataset.numbers() if split is None else dataset.snapshots(split)
    if not numbers:
        raise StoreError(f"{dataset.path} has no {split or 'complete'} snapshots to evaluate on")
    engine = _engine(dataset, engine_for)
    results: list[dict[str, Any]] = []
    summaries: list[SnapshotSummary] = []
    for done, number in enumerate(numbers):
        progress("evaluating", done, len(numbers))
        judge = Judge(dataset, number, engine)
        prediction = predict_density(
            model, judge.structure, judge.reference.grid, uncertainty=model.knows_uncertainty
        )
        extras = {"clipped_charge": prediction.clipped_charge, "factor": prediction.factor}
        summary = judge.summary(prediction, seed=seed)
        summaries += [] if summary is None else [summary]
        own = {"calibration": _figures([summary] if summary else [], seed)}
        results.append(judge.score(prediction.density) | extras | own)
    progress("evaluating", len(numbers), len(numbers))
    result = {
        **mean_errors(results),
        "split": split or "all",
        "notes": spin_notes(model.elements),
        "calibration": _calibration(model, summaries, seed),
        "per_trajectory": _by_trajectory(results, summaries, seed),
        "per_snapshot": results,
    }
    if figure is not None:
        write_calibration_figure(
            result, Path(figure), f"Uncertainties of the model ({model.network.settings.name})"
        )
    return result


def _calibration(
    model: DensityModel, summaries: Sequence[SnapshotSummary], seed: int
) -> dict[str, Any] | None:
    """Figures of all snapshots with their intervals, and how the model was calibrated."""
    figures = _figures(summaries, seed)
    if figures is None:
        return None
    return {
        **figures,
        "intervals": CalibrationSummary(summaries).intervals(seed=seed),
        "bootstrap": {"over": "snapshots", "resamples": RESAMPLES, "confidence": CONFIDENCE, "seed": seed},
        "recalibration": model.calibration or None,
    }


def _figures(summaries: Sequence[SnapshotSummary], seed: int) -> dict[str, Any] | None:
    return CalibrationSummary(summaries).figures(seed=seed) if summaries else None


def _by_trajectory(
    results: Sequence[Mapping[str, Any]], summaries: Sequence[SnapshotSummary], seed: int
) -> list[dict[str, Any]]:
    """Errors and calibration of the snapshots of each trajectory, in the order of the data set."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        groups.setdefault(result["trajectory"], []).append(result)
    found = []
    for trajectory, members in groups.items():
        numbers = {member["snapshot"] for member in members}
        origin = {
            "trajectory": trajectory,
            "split": members[0]["split"],
            "snapshots": sorted(numbers),
            "n_snapshots": len(members),
        }
        own = _figures([s for s in summaries if s.snapshot in numbers], seed)
        found.append(origin | mean_errors(members) | {"calibration": own})
    return found


def _require_figure(model: DensityModel, path: Path) -> None:
    require_drawable(path)
    if not model.knows_uncertainty:
        raise InputError(
            f"a model of kind '{model.network.settings.name}' states no uncertainty, so that there is no "
            "calibration to draw; leave out --figure, or train with network: {name: bayesian}"
        )


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
