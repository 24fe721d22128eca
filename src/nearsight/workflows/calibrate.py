"""`calibrated`: a model whose uncertainties hold on its validation snapshots."""

from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from nearsight.model.calibration import Calibration
from nearsight.model.density_model import DensityModel
from nearsight.model.recalibration import fit_calibration
from nearsight.networks.precision import hidden_products
from nearsight.networks.protocol import UncertainNetwork
from nearsight.provenance import generator
from nearsight.store.table import PointTable

#: points of a snapshot that are looked at, drawn at random; more say no more of three factors
POINTS_PER_SNAPSHOT = 20_000
_BLOCK = 8192


class StatedPoints(NamedTuple):
    """Errors and variances of points, standardised, (n,) float64, and the snapshot of each."""

    errors: np.ndarray
    aleatoric: np.ndarray
    epistemic: np.ndarray
    snapshots: np.ndarray


def calibrated(model: DensityModel, validation: PointTable | None, *, seed: int = 0) -> DensityModel:
    """The model with the calibration of its uncertainties fitted on validation points.

    What is stated, not what is predicted, changes; a calibration that it had is replaced. The record of the
    fit is in the provenance of the model under ``calibration``.

    Parameters
    ----------
    model : DensityModel
    validation : PointTable or None
        Points of snapshots that the model did not learn from, described by its descriptor.
    seed : int
        Settles which points are looked at where there are many.

    Returns
    -------
    DensityModel
        The model itself where it knows no uncertainty, there are no points, or it errs nowhere.
    """
    if validation is None or len(validation) == 0 or not model.knows_uncertainty:
        return model
    stated = stated_points(model, validation, seed=seed)
    if not stated.errors.any():
        return model
    calibration = fit_calibration(*stated)
    provenance = {**model.provenance, "calibration": _record(stated, calibration, seed)}
    return replace(model, calibration=calibration.as_dict(), provenance=provenance)


def stated_points(model: DensityModel, table: PointTable, *, seed: int = 0) -> StatedPoints:
    """Errors and raw variances, at most `POINTS_PER_SNAPSHOT` random points a snapshot, in blocks."""
    rng = generator(seed, "calibration points")
    network = cast(UncertainNetwork, model.network)
    mean, std = model.scaler.mean, model.scaler.std
    parts = []
    for number, rows in table.points.by_snapshot():
        if len(rows) > POINTS_PER_SNAPSHOT:
            rows = np.sort(rng.choice(rows, POINTS_PER_SNAPSHOT, replace=False))
        for block in np.array_split(rows, -(-len(rows) // _BLOCK)):
            rho_saed = None if table.rho_saed is None else table.rho_saed[block]
            x = torch.from_numpy((table.features[block] - mean) / std).to(network.device)
            with hidden_products("auto", network.device):  # as it is predicted with
                moments = [part.cpu().numpy().astype(np.float64) for part in network.moments(x)]
            errors = model.target.encode(table.density[block], rho_saed) - moments[0]
            parts.append((errors, moments[1], moments[2], np.full(len(block), number)))
    return StatedPoints(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _record(stated: StatedPoints, calibration: Calibration, seed: int) -> dict[str, Any]:
    """What was fitted on what, and how the points were covered before and after."""
    raw = Calibration()
    return {
        "split": "validation",
        "snapshots": [int(n) for n in np.unique(stated.snapshots)],
        "points": len(stated.errors),
        "seed": seed,
        "coverage_before": _coverage(stated, raw),
        "coverage_after": _coverage(stated, calibration),
    }


def _coverage(stated: StatedPoints, calibration: Calibration) -> list[float]:
    """Share of the points within 1, 2 and 3σ."""
    variance = sum(calibration.apply(stated.aleatoric, stated.epistemic))
    return [float(np.mean(stated.errors**2 <= k**2 * variance)) for k in (1, 2, 3)]
