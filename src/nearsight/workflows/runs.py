"""The runs of a study, one by one: which points each trains on, and its model.

What is done leaves a record, and is not done again: ``selections/<id>.json`` for the points of a method,
fraction and seed, ``runs/<id>.json`` and ``models/<id>.nst`` for a training.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nearsight.coreset.protocol import Selection
from nearsight.errors import NearsightError
from nearsight.io.atomic import atomic_file
from nearsight.metrics.coverage import coverage_distance
from nearsight.provenance import digest, generator, to_plain
from nearsight.store import PointTable
from nearsight.training import TrainSettings
from nearsight.training.trainer import torch_threads
from nearsight.workflows.outcome import Outcome, failure
from nearsight.workflows.parallel import Item
from nearsight.workflows.prune import points_to_keep
from nearsight.workflows.records import read_json, write_json
from nearsight.workflows.study_run import Run
from nearsight.workflows.train import fit
from nearsight.workflows.workspace import ScoreJob, Workspace, score_groups


@dataclass(frozen=True, eq=False)
class Bench:
    """Where runs find what they need and leave what they give.

    Parameters
    ----------
    space : Workspace
    kinds : frozenset of str
        Scores made together for the methods of the study.
    threads : int, optional
        Of each piece of work.
    n_atoms : int
        Of all training snapshots.
    """

    space: Workspace
    kinds: frozenset[str]
    threads: int | None
    n_atoms: int

    # -- keys and paths ---------------------------------------------------------------------

    def score_jobs(self, run: Run) -> list[ScoreJob]:
        """The scores that a run needs, in the company in which they are made."""
        shared = self.kinds if run.scoring == self.space.plan.scoring else run.kinds
        groups = score_groups(shared | run.kinds)
        return [ScoreJob(group, run.scoring, run.seed) for group in groups if group & run.kinds]

    def selection_key(self, run: Run) -> str:
        """What settles the points of a run."""
        plan, space = self.space.plan, self.space
        scoring = [plan.scoring_network.as_dict(), plan.target, _settled(plan.training), run.scoring]
        return digest(
            space.key,
            run.name,
            to_plain(run.method),
            run.keep,
            run.seed,
            scoring if run.kinds else None,
        )

    def run_key(self, run: Run) -> str:
        """What settles the model of a run."""
        plan = self.space.plan
        return digest(self.selection_key(run), run.network.as_dict(), plan.target, _settled(run.training))

    def selection_of(self, run: Run) -> dict[str, Any] | None:
        """The record of the points of a run, if they were chosen."""
        return read_json(self._path("selections", run.selection_id, "json"), self.selection_key(run))

    def record_of(self, run: Run) -> dict[str, Any] | None:
        """The record of a run, if it is done and its model, where one is kept, is there."""
        record = read_json(self._path("runs", run.id, "json"), self.run_key(run))
        return record if run.is_trial or self.model_path(run).exists() else None

    def model_path(self, run: Run) -> Path:
        """Where the model of a run lies."""
        return self._path("models", run.id, "nst")

    def points_path(self, run: Run) -> Path:
        """Where the chosen points of a run lie while the study is worked on."""
        return self.space.work / "selections" / f"{run.selection_id}-{self.selection_key(run)}.npz"

    def _path(self, folder: str, name: str, suffix: str) -> Path:
        return self.space.folder / folder / f"{name}.{suffix}"

    # -- choosing points --------------------------------------------------------------------

    def is_chosen(self, run: Run, with_coverage: bool, with_points: bool) -> bool:
        """Whether all that is asked of `choose` is there."""
        known = self.selection_of(run)
        if known is None or (with_coverage and known["coverage_key"] != self._coverage_key):
            return False
        return not with_points or run.method is None or self.points_path(run).exists()

    def choose(self, run: Run, with_coverage: bool) -> None:
        """Choose the points of a run, measure how well they cover where asked, and note both."""
        selection, record = self._selected(run)
        if selection is not None:
            self.points_path(run).parent.mkdir(parents=True, exist_ok=True)
            arrays = {"indices": selection.indices}
            arrays |= {} if selection.weights is None else {"weights": selection.weights}
            with atomic_file(self.points_path(run)) as temporary, temporary.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **arrays)
        if self.is_chosen(run, with_coverage, with_points=False):
            return  # only the points had gone; what they cost and cover stays as it was measured
        coverage: dict[str, Any] = {"coverage": None, "coverage_key": None}
        if with_coverage:
            coverage = {"coverage": self._coverage(selection), "coverage_key": self._coverage_key}
        content = {"key": self.selection_key(run), **coverage, **record}
        write_json(self._path("selections", run.selection_id, "json"), to_plain(content))

    @property
    def _coverage_key(self) -> str:
        return digest(to_plain(self.space.held_out))

    def _selected(self, run: Run) -> tuple[Selection | None, dict[str, Any]]:
        """The points, and what they cost alone; None keeps all."""
        table = self.space.table()
        n_points, describing = len(table), self.space.describe_seconds
        if run.method is None:
            seconds = {"describe": describing, "scoring": 0.0, "selection": 0.0}
            return None, _record(n_points, n_points, seconds, None, [])
        scores, scoring, steps, notes = self._scores(run)
        n_keep = points_to_keep(run.keep, n_points)
        candidates = self.space.columns(run.needs, scores).offer(run.needs)
        began = time.perf_counter()
        selection = run.method.select(candidates, n_keep, generator(run.seed, "selection", run.name))
        # a method that sees neither scores nor features leaves the other points undescribed
        share = 1.0 if run.kinds or "features" in run.needs else len(selection) / n_points
        seconds = {
            "describe": share * describing,
            "scoring": scoring,
            "selection": time.perf_counter() - began + self.space.seconds_of(run.needs),
        }
        notes += selection.notes
        return selection, _record(len(selection), n_keep, seconds, steps if run.kinds else None, notes)

    def _scores(self, run: Run) -> tuple[dict[str, np.ndarray], float, int, list[str]]:
        """Columns of scores, seconds, optimiser steps, and a note where others were made with them."""
        columns: dict[str, np.ndarray] = {}
        seconds, steps, notes = 0.0, 0, []
        for job in self.score_jobs(run):
            found, note = self.space.scores(job)
            columns |= {kind: column for kind, column in found.items() if kind in run.kinds}
            seconds += note["scoring_seconds"]
            steps += note["steps"]
            if others := sorted(job.kinds - run.kinds):
                notes.append(f"the scoring time is that of {', '.join(others)} too, scored together")
        return columns, seconds, steps, notes

    def _coverage(self, selection: Selection | None) -> dict[str, Any]:
        """Mean distance of held-out points to the nearest of those selected."""
        features = self.space.standardised()
        chosen = features if selection is None else features[selection.indices]
        return asdict(coverage_distance(self.space.held_out_features(), chosen))

    # -- training ---------------------------------------------------------------------------

    def train(self, run: Run) -> None:
        """Train the model of a run on its points and leave its record."""
        chosen = self.selection_of(run)
        if chosen is None:
            raise NearsightError(f"the points of {run.id} are gone; run the same command again")
        table = self._points(run)
        space, path = self.space, self.model_path(run)
        plan = replace(space.plan, network=run.network, training=run.training)
        if not run.is_trial:
            path.parent.mkdir(parents=True, exist_ok=True)
        result = fit(
            space.material(table),
            plan,
            seed=run.seed,
            output=None if run.is_trial else path,
            origin={"dataset_digest": space.dataset.digest(), "run": run.id},
        )
        validated = [entry for entry in result.history if "validation_nrmse_percent" in entry]
        names = ("step", "loss", "validation_nrmse_percent")
        validated = [entry for entry in validated if all(name in entry for name in names)]
        record = {
            "key": self.run_key(run),
            **describe_run(run),
            "n_points": len(table),
            "n_points_asked": chosen["n_points_asked"],
            "points_per_atom": len(table) / self.n_atoms,
            "seconds": {**chosen["seconds"], "training": result.seconds},
            "scoring_steps": chosen["scoring_steps"],
            "steps": result.steps,
            "stopped_early": result.stopped_early,
            "validation_nrmse_percent": result.validation_nrmse_percent,
            "history": {name: [entry[name] for entry in validated] for name in names},
            "notes": chosen["notes"],
            "model_digest": result.model.digest(),
        }
        write_json(self._path("runs", run.id, "json"), to_plain(record))

    def _points(self, run: Run) -> PointTable:
        table = self.space.table()
        if run.method is None:
            return table
        with np.load(self.points_path(run)) as arrays:
            return table.take(arrays["indices"], arrays.get("weights"))


def describe_run(run: Run) -> dict[str, Any]:
    """What a run is, JSON-ready."""
    return {
        "id": run.id,
        "label": run.label,
        "method": run.name,
        "settings": asdict(run.method) if is_dataclass(run.method) else {},
        "kept": run.keep,
        "model": run.model,
        "schedule": run.schedule,
        "stage": run.stage,
        "seed": run.seed,
    }


@dataclass(frozen=True, eq=False)
class Step:
    """One kind of work on runs, in a form that `nearsight.workflows.parallel` can send away.

    Parameters
    ----------
    bench : Bench
    kind : {"score", "choose", "train"}
    covered : frozenset of str
        Selections whose coverage is measured.
    """

    bench: Bench
    kind: str
    covered: frozenset[str] = frozenset()

    def __call__(self, item: Item[Any]) -> Outcome:
        """Work on one item; what the user can mend comes back as a failed outcome."""
        number, what = item
        try:
            with torch_threads(self.bench.threads):
                if self.kind == "score":
                    self.bench.space.score(what)
                elif self.kind == "choose":
                    self.bench.choose(what, what.selection_id in self.covered)
                else:
                    self.bench.train(what)
        except NearsightError as error:
            return failure(number, error)
        return Outcome(number)


def _record(
    n_points: int, asked: int, seconds: Mapping[str, float], steps: int | None, notes: Any
) -> dict[str, Any]:
    return {
        "n_points": n_points,
        "n_points_asked": asked,
        "seconds": dict(seconds),
        "scoring_steps": steps,
        "notes": list(notes),
    }


def _settled(training: TrainSettings) -> TrainSettings:
    """Settings without the number of threads, which a study carried on may change."""
    return replace(training, threads=None)
