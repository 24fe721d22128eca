"""`prune`: from a data set to a coreset that stands alone."""

import time
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearsight.coreset.protocol import Candidates, SelectionMethod
from nearsight.errors import InputError
from nearsight.model.scaler import FeatureScaler
from nearsight.points import PointSet
from nearsight.progress import Progress, silent
from nearsight.provenance import generator, machine, software, to_plain
from nearsight.store import Coreset, Dataset, PointTable, write_coreset
from nearsight.training import describe_points, score_dataset, score_points
from nearsight.workflows.candidates import Columns, density_at, gradient_at, score_kinds, standardise
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
    offer = _Offer(dataset, plan, points, seed, progress)
    candidates = offer.candidates(method.needs)
    began = time.perf_counter()
    selection = method.select(candidates, n_keep, generator(seed, "selection", method.name))
    selecting = time.perf_counter() - began
    del candidates  # and with them the features of all points
    began = time.perf_counter()
    kept = describe_points(
        dataset, plan.descriptor, points.take(selection.indices, selection.weights), progress=progress
    )
    seconds = {
        "describe": offer.describing + time.perf_counter() - began,
        "scoring": offer.scoring,
        "selection": selecting + offer.preparing,
    }
    record = {
        "name": method.name,
        "settings": asdict(method) if is_dataclass(method) and not isinstance(method, type) else {},
        "scoring": offer.scored,
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


class _Offer:
    """Makes the columns that a method needs, no others, and knows what they took.

    Scores alone are streamed: the features of all points are held only where the method asks for them,
    in a mapped file if they are many.
    """

    def __init__(self, dataset: Dataset, plan: Plan, points: PointSet, seed: int, progress: Progress) -> None:
        self._dataset, self._plan, self._points = dataset, plan, points
        self._seed, self._progress = seed, progress
        self.describing = self.scoring = self.preparing = 0.0
        self.scored: dict[str, Any] | None = None

    def candidates(self, needs: frozenset[str]) -> Candidates:
        """What the method is offered."""
        table = self._table() if "features" in needs else None
        kinds = sorted(score_kinds(needs))
        scores = self._scores(kinds, table) if kinds else {}
        began = time.perf_counter()
        features = None
        if table is not None:  # in place: the kept points are described again, which is less than a copy
            scaler = FeatureScaler.fit(table.features)
            features = standardise(table.features, scaler, table.features)
        columns = Columns(
            self._points,
            scores,
            features,
            density=density_at(self._dataset, self._points) if "density" in needs else None,
            gradient=gradient_at(self._dataset, self._points) if "gradient" in needs else None,
        )
        self.preparing = time.perf_counter() - began
        return columns.offer(needs)

    def _table(self) -> PointTable:
        began = time.perf_counter()
        table = describe_points(self._dataset, self._plan.descriptor, self._points, progress=self._progress)
        self.describing = time.perf_counter() - began
        return table

    def _scores(self, kinds: list[str], table: PointTable | None) -> dict[str, np.ndarray]:
        plan = self._plan
        how = (plan.scoring_network, plan.target, plan.scoring, plan.training)
        if table is not None:
            found = score_points(table, *how, kinds=kinds, seed=self._seed, progress=self._progress)
        else:
            found = score_dataset(
                self._dataset,
                plan.descriptor,
                self._points,
                *how,
                kinds=kinds,
                seed=self._seed,
                progress=self._progress,
            )
        self.describing += found.describe_seconds
        self.scoring = found.seconds - found.describe_seconds
        self.scored = found.settings
        return found.columns


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
