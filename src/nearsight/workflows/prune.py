"""`prune`: from a data set to a coreset that stands alone."""

import time
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearsight.coreset.protocol import SelectionMethod
from nearsight.errors import InputError
from nearsight.points import PointSet
from nearsight.progress import Progress, silent
from nearsight.provenance import generator, machine, software, to_plain
from nearsight.store import Coreset, Dataset, PointTable, write_coreset
from nearsight.training import describe_points, score_points
from nearsight.workflows.config import Config
from nearsight.workflows.material import describe_validation, species_of, training_points
from nearsight.workflows.plan import Plan, make_plan


@dataclass(frozen=True, eq=False)
class PruneResult:
    """What was kept and what it took.

    Attributes
    ----------
    coreset : Coreset
    seconds : dict of str to float
        ``describe``, ``scoring`` and ``selection``, wall time.
    notes : tuple of str
        What the method has to say, such as a budget that it could not spend.
    """

    coreset: Coreset
    seconds: dict[str, float]
    notes: tuple[str, ...]

    @property
    def method(self) -> str:
        """Name of the method."""
        return str(self.coreset.method["name"])

    @property
    def n_points(self) -> int:
        """Training points kept."""
        return len(self.coreset.training)

    @property
    def n_available(self) -> int:
        """Training points there were."""
        return int(self.coreset.method["n_available"])

    def as_json(self) -> dict[str, Any]:
        """Machine-readable result."""
        return {
            "method": self.coreset.method,
            "n_points": self.n_points,
            "n_available": self.n_available,
            "n_validation_points": len(self.coreset.validation),
            "seconds": self.seconds,
            "notes": self.notes,
            "dataset_digest": self.coreset.dataset_digest,
        }


def prune(
    data: Path | str | Dataset,
    output: Path | str,
    method: SelectionMethod,
    keep: float,
    config: Config | None = None,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> PruneResult:
    """Choose the essential training points of a data set.

    Only training snapshots are scored and chosen from; a fixed random set of validation points goes
    along, counted apart; test snapshots are not touched.

    Parameters
    ----------
    data : path or Dataset
    output : path
        Coreset to write.
    method : SelectionMethod
    keep : float
        Fraction of the training points, in (0, 1].
    config : Config, optional
        Descriptor, network and scoring.
    seed : int
    progress : Progress

    Raises
    ------
    InputError
        A fraction outside (0, 1], settings that do not fit.
    StoreError
        No training snapshots.
    """
    dataset = data if isinstance(data, Dataset) else Dataset.open(data)
    plan = make_plan(config or Config(), species_of(dataset), has_atoms=bool(dataset.radial))
    points = training_points(dataset)
    n_keep = points_to_keep(keep, len(points))
    seconds = {"describe": 0.0, "scoring": 0.0, "selection": 0.0}
    table, scores = None, None
    if method.needs_scores:
        began = time.perf_counter()
        table = describe_points(dataset, plan.descriptor, points, progress=progress)
        seconds["describe"] = time.perf_counter() - began
        scored = score_points(
            table, plan.network, plan.target, plan.scoring, plan.training, seed=seed, progress=progress
        )
        scores, seconds["scoring"] = scored.grand, scored.seconds
    began = time.perf_counter()
    rng = generator(seed, "selection", method.name)
    selection = method.select(scores, n_keep, rng, n_points=len(points))
    seconds["selection"] = time.perf_counter() - began
    if table is None:
        began = time.perf_counter()
        kept = describe_points(
            dataset, plan.descriptor, points.take(selection.indices, selection.weights), progress=progress
        )
        seconds["describe"] = time.perf_counter() - began
    else:
        kept = table.take(selection.indices, selection.weights)
    record = {
        "name": method.name,
        "settings": asdict(method) if is_dataclass(method) and not isinstance(method, type) else {},
        "scoring": plan.scoring if method.needs_scores else None,
        "keep": keep,
        "n_asked": n_keep,
        "n_kept": len(selection),
        "n_available": len(points),
        "seconds": seconds,
        "notes": selection.notes,
        "seed": seed,
    }
    coreset = _assemble(dataset, kept, plan, to_plain(record), seed)
    write_coreset(output, coreset)
    return PruneResult(coreset, seconds, selection.notes)


def points_to_keep(keep: float, n_points: int) -> int:
    """How many of `n_points` a fraction keeps; raises `InputError` outside (0, 1]."""
    if not 0 < keep <= 1:
        raise InputError(f"--keep is a fraction of the training points in (0, 1], not {keep}")
    return max(1, round(keep * n_points))


def _assemble(dataset: Dataset, kept: PointTable, plan: Plan, method: dict[str, Any], seed: int) -> Coreset:
    """The coreset with its validation points, structures and provenance."""
    validation = describe_validation(dataset, plan.descriptor, plan.validation_points, seed)
    parts = [kept] if validation is None else [kept, validation]
    numbers = sorted({int(n) for part in parts for n in np.unique(part.points.snapshot)})
    return Coreset(
        training=kept,
        validation=_no_points(plan) if validation is None else validation,
        structures={n: dataset.structure(n) for n in numbers},
        grids={n: dataset.grid(n) for n in numbers},
        infos={n: dataset.info(n) for n in numbers},
        descriptor=plan.descriptor.settings(),
        radial=dataset.radial,
        engine=dataset.engine,
        method=method,
        dataset_digest=dataset.digest(),
        provenance={
            "software": software(),
            "machine": machine(),
            "seed": seed,
            "plan": to_plain(plan.as_dict()),
        },
    )


def _no_points(plan: Plan) -> PointTable:
    empty = PointSet(np.empty(0), np.empty(0), np.empty(0))
    return PointTable(empty, np.empty((0, plan.descriptor.n_features), np.float32), np.empty(0))
