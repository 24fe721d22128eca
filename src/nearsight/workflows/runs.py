"""The runs of a study: which points each trains on, and its model; done ones are not done again."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nearsight.coreset.protocol import METHODS, SelectionMethod
from nearsight.progress import Progress
from nearsight.provenance import digest, generator, to_plain
from nearsight.store import Dataset
from nearsight.training import PointScores, PointTable, describe_points, score_points
from nearsight.workflows.config import StudyConfig
from nearsight.workflows.material import Material, describe_validation, from_dataset, training_points
from nearsight.workflows.plan import Plan, build
from nearsight.workflows.prune import points_to_keep
from nearsight.workflows.records import read_json, write_json
from nearsight.workflows.train import fit


@dataclass(frozen=True)
class Run:
    """One training: a method (None keeps everything), a kept fraction and a seed."""

    method: SelectionMethod | None
    keep: float
    seed: int

    @property
    def name(self) -> str:
        """Name of the method, ``all`` for the whole data."""
        return "all" if self.method is None else self.method.name

    @property
    def id(self) -> str:
        """Its name in files and reports."""
        return f"{self.name}-{self.keep:g}-s{self.seed}"


def plan_runs(config: StudyConfig, seed: int) -> list[Run]:
    """All runs of a study: the whole data first, then fraction by fraction."""
    runs = [Run(None, 1.0, seed + k) for k in range(config.full_seeds)]
    for keep in config.keep:
        for name in config.methods:
            method = build(METHODS[name], config.train.methods.get(name, {}), f"methods: {name}")
            runs += [Run(method, keep, seed + k) for k in range(config.seeds)]
    return runs


class Runner:
    """Trains the runs of a study on one described data set.

    The whole training set is described once; scores are made once a seed and shared by the methods
    that need them, and each run's record says what it would have cost alone.

    Parameters
    ----------
    dataset : Dataset
    plan : Plan
    folder : Path
        Study folder: models go to ``models/``, records to ``runs/``.
    key : str
        Hash of data and settings; records with another key are made anew.
    seed : int
        Settles the validation points, the same for all runs.
    """

    def __init__(self, dataset: Dataset, plan: Plan, folder: Path, key: str, seed: int) -> None:
        self._dataset = dataset
        self._plan = plan
        self._folder = folder
        self._key = key
        self._seed = seed
        self._scores: dict[int, PointScores] = {}
        self._describe_seconds = 0.0

    def execute(self, runs: Sequence[Run], progress: Progress) -> dict[str, dict[str, Any]]:
        """Train what is not there yet; returns the record of every run by its id."""
        records = {}
        for done, run in enumerate(runs):
            progress("training models", done, len(runs))
            path = self._folder / "runs" / f"{run.id}.json"
            key = digest(self._key, run.name, to_plain(run.method), run.keep, run.seed)
            record = read_json(path, key)
            if record is None or not self.model_path(run).exists():
                record = {"key": key, **self._train(run)}
                write_json(path, record)
            records[run.id] = record
        progress("training models", len(runs), len(runs))
        return records

    def model_path(self, run: Run) -> Path:
        """Where the model of a run lies."""
        return self._folder / "models" / f"{run.id}.nst"

    def _train(self, run: Run) -> dict[str, Any]:
        table, seconds, notes, n_asked = self._points_of(run)
        material = replace(self._material, training=table)
        path = self.model_path(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        origin = {"dataset_digest": material.digest, "run": run.id}
        result = fit(material, self._plan, seed=run.seed, output=path, origin=origin)
        validated = [entry for entry in result.history if "validation_nrmse_percent" in entry]
        return {
            "id": run.id,
            "method": run.name,
            "settings": asdict(run.method) if is_dataclass(run.method) else {},
            "kept": run.keep,
            "n_points": len(table),
            "n_points_asked": n_asked,
            "points_per_atom": len(table) / self._n_atoms,
            "seed": run.seed,
            "seconds": {**seconds, "training": result.seconds},
            "steps": result.steps,
            "stopped_early": result.stopped_early,
            "validation_nrmse_percent": result.validation_nrmse_percent,
            "history": {
                name: [entry[name] for entry in validated]
                for name in ("step", "loss", "validation_nrmse_percent")
            },
            "notes": list(notes),
            "model_digest": result.model.digest(),
        }

    def _points_of(self, run: Run) -> tuple[PointTable, dict[str, float], Sequence[str], int]:
        """The points of a run, the seconds they cost alone, notes, and the count asked for."""
        table = self._material.training
        n_points = len(table)
        if run.method is None:
            return table, self._seconds(n_points), (), n_points
        n_keep = points_to_keep(run.keep, n_points)
        scores = self._scores_of(run.seed) if run.method.needs_scores else None
        began = time.perf_counter()
        rng = generator(run.seed, "selection", run.name)
        chosen = run.method.select(None if scores is None else scores.grand, n_keep, rng, n_points=n_points)
        selection = time.perf_counter() - began
        described = n_points if run.method.needs_scores else len(chosen)
        seconds = self._seconds(described, 0.0 if scores is None else scores.seconds, selection)
        return table.take(chosen.indices, chosen.weights), seconds, chosen.notes, n_keep

    def _seconds(self, described: int, scoring: float = 0.0, selection: float = 0.0) -> dict[str, float]:
        """Cost of a run alone; describing a part is charged in proportion to its points."""
        share = described / len(self._material.training)
        return {"describe": share * self._describe_seconds, "scoring": scoring, "selection": selection}

    def _scores_of(self, seed: int) -> PointScores:
        if seed not in self._scores:
            plan = self._plan
            table = self._material.training
            self._scores[seed] = score_points(
                table, plan.network, plan.target, plan.scoring, plan.training, seed=seed
            )
        return self._scores[seed]

    @cached_property
    def _material(self) -> Material:
        began = time.perf_counter()
        table = describe_points(self._dataset, self._plan.descriptor, training_points(self._dataset))
        self._describe_seconds = time.perf_counter() - began
        validation = describe_validation(
            self._dataset, self._plan.descriptor, self._plan.validation_points, self._seed
        )
        return from_dataset(self._dataset, table, validation)

    @cached_property
    def _n_atoms(self) -> int:
        return sum(self._dataset.info(n).n_atoms for n in self._dataset.snapshots("train"))
