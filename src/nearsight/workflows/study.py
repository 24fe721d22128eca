"""`run_study`: selection methods × kept fractions × seeds, trained and scored; resumable.

A study folder holds one model and one record a run (``models/``, ``runs/``, ``selections/``), the scores of
each test snapshot (``scores/``), densities to look at (``fields/``), what runs share while there are some
left to do (``.work/``), and ``study.json``, which gathers all of it and is what `nearsight report` reads
(docs/study-format.md).
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from nearsight.engines.protocol import Engine
from nearsight.engines.resources import with_threads
from nearsight.errors import InputError, StoreError
from nearsight.progress import Progress, silent
from nearsight.provenance import machine, software, to_plain
from nearsight.store import Dataset
from nearsight.training.trainer import torch_threads
from nearsight.units import CHEMICAL_ACCURACY
from nearsight.workflows.config import StudyConfig
from nearsight.workflows.evaluate import EngineFor
from nearsight.workflows.execute import Executor, run_all
from nearsight.workflows.material import species_of, training_points
from nearsight.workflows.parallel import Execution
from nearsight.workflows.plan import Plan, make_plan
from nearsight.workflows.records import read_json, write_json
from nearsight.workflows.runs import Bench
from nearsight.workflows.scoring import BASELINE, Scored, Scoring
from nearsight.workflows.study_choices import runs_to_show, runs_with_energies
from nearsight.workflows.study_metrics import (
    comparisons,
    gather,
    intrinsic_dimension,
    mean_facts,
    sensitivity,
)
from nearsight.workflows.study_plan import StudyPlan
from nearsight.workflows.study_run import Run
from nearsight.workflows.workspace import Workspace

#: MB that scoring a snapshot takes beside its features
_SCORING_MB = 1200.0
#: test trajectories of which a density is kept to look at
_MOST_FIELDS = 12

Record = dict[str, Any]


def run_study(
    data: Path | str | Dataset,
    output: Path | str,
    config: StudyConfig | None = None,
    *,
    engine_for: EngineFor | None = None,
    seed: int = 0,
    device: str = "auto",
    jobs: int | None = None,
    scheduler: str | None = None,
    command: str = "",
    label_seconds: float | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train every run, score every test snapshot, gather the results.

    Nothing here looks at the densities of test snapshots before the last model is trained, and nothing is
    chosen by them: ``best`` means best on validation points.

    Parameters
    ----------
    data : path or Dataset
        With test trajectories.
    output : Path
        Study folder; what is there from the same data and settings is kept.
    config : StudyConfig, optional
    engine_for : callable, optional
        Makes the engine for energy errors from the data's fingerprint.
    seed : int
        First seed; run k uses seed + k.
    device : {"auto", "cpu", "cuda"}
    jobs : int, optional
        Processes side by side, each with one thread: the results do not depend on how many. Unless given,
        everything is done in this process, with the threads of the training settings.
    scheduler : str, optional
        Address of a running Dask scheduler instead, whose workers see the same files.
    command : str
        Recorded, so that the reader can repeat it.
    label_seconds : float, optional
        What labelling took, recorded.
    progress : Progress

    Returns
    -------
    dict
        The content of ``study.json``.

    Raises
    ------
    StoreError
        No test snapshots.
    InputError
        A trajectory under ``generality`` that is not among the tested ones.
    NearsightError
        A run failed; what the others gave is kept.
    """
    dataset = data if isinstance(data, Dataset) else Dataset.open(data)
    dataset = Dataset.open(dataset.path.resolve())
    config = config or StudyConfig()
    if not dataset.snapshots("test"):
        raise StoreError(f"{dataset.path} has no test snapshots; a study needs whole trajectories held out")
    tested = sorted(name for name, split in dataset.trajectories().items() if split == "test")
    if unknown := [name for name in config.generality if name not in tested]:
        raise InputError(
            f"generality: no test trajectory '{unknown[0]}'; {dataset.path} has {', '.join(tested)}"
        )
    plan = make_plan(config.train, species_of(dataset), has_atoms=bool(dataset.radial), device=device)
    threads = None if jobs is None and scheduler is None else plan.training.threads or 1
    plan = replace(plan, training=replace(plan.training, threads=threads or plan.training.threads))
    engine = engine_for(dataset.engine) if engine_for and config.energies and dataset.engine else None
    study = _Study(
        dataset=dataset,
        config=config,
        plan=plan,
        folder=Path(output).resolve(),
        seed=seed,
        execution=Execution(1 if jobs is None else jobs, scheduler, threads=threads),
        engine=engine,
        progress=progress,
    )
    study.folder.mkdir(parents=True, exist_ok=True)
    content = {
        "format": "nearsight-study",
        "version": 2,
        "title": config.title,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "seed": seed,
        "machine": machine() | {"threads": threads or torch.get_num_threads()},
        "software": software(),
        "engine": dataset.engine or {},
        "chemical_accuracy_ha": CHEMICAL_ACCURACY,
        "dataset": _describe(dataset, label_seconds),
        "settings": {
            **plan.as_dict(),
            "models": {label: network.as_dict() for label, network in study.plans.networks.items()},
            "study": config.model_dump(exclude={"train"}),
            "jobs": jobs,
        },
        **study.results(),
    }
    content = to_plain(content)
    write_json(study.folder / "study.json", content)
    shutil.rmtree(study.space.work, ignore_errors=True)
    return content


def _describe(dataset: Dataset, label_seconds: float | None) -> Record:
    train = dataset.snapshots("train")
    first = dataset.info(train[0])
    return {
        "path": dataset.path.name,
        "digest": dataset.digest(),
        "formula": first.formula,
        "spacing_bohr": float(dataset.grid(train[0]).spacing.max()),
        "n_snapshots": {split: len(dataset.snapshots(split)) for split in ("train", "validation", "test")},
        "n_points_train": len(training_points(dataset)),
        "trajectories": dataset.trajectories(),
        "label_seconds": label_seconds,
    }


class _Study:
    """One study at work."""

    def __init__(
        self,
        dataset: Dataset,
        config: StudyConfig,
        plan: Plan,
        folder: Path,
        seed: int,
        execution: Execution,
        engine: Engine | None,
        progress: Progress,
    ) -> None:
        self.dataset, self.config, self.folder, self.engine = dataset, config, folder, engine
        self.execution, self.progress = execution, progress
        tests = dataset.snapshots("test")
        self.special = {n for n in tests if dataset.info(n).trajectory in config.generality}
        usual = tuple(n for n in tests if n not in self.special) or tuple(tests)
        held_out = (usual, config.coverage.n_held_out) if config.coverage else ((), 0)
        self.space = Workspace(folder, dataset, plan, seed, held_out)
        self.plans = StudyPlan(config, plan, seed, self.space.table_shape[0])
        n_atoms = sum(dataset.info(n).n_atoms for n in dataset.snapshots("train"))
        self.bench = Bench(self.space, self.plans.kinds, execution.threads, n_atoms)
        self.trials = self.plans.trials()

    def results(self) -> Record:
        """Everything in ``study.json`` that was found rather than given."""
        runs, records, stages = self._train()
        errors = {name: record["validation_nrmse_percent"] for name, record in records.items()}
        trial_runs = [run for trial in self.trials for run in trial.runs]
        tried = self._executor(trial_runs).records(trial_runs)
        dimension = self._dimension(runs)
        scoring = self._score(runs, records, errors)
        tests = self.dataset.snapshots("test")
        found = {number: scoring.results(number) for number in tests}
        scores = {number: score for number, (score, _) in found.items()}
        baseline = BASELINE if self.dataset.radial else None
        gathered = gather(runs, records, self._coverages(runs), scores, self.special, baseline)
        usual = [facts for number, (_, facts) in found.items() if number not in self.special]
        correlation = mean_facts(usual or [facts for _, facts in found.values()])
        entries = [scoring.field_entry(number, number in self.special) for number in tests]
        return {
            **gathered,
            **comparisons(runs, gathered["runs"], errors),
            "data_facts": {"intrinsic_dimension": dimension, "error_correlation": correlation},
            "sensitivity": sensitivity(self.trials, tried),
            "stages": stages,
            "fields": [entry for entry in entries if entry is not None],
            "n_scored": len(tests),
        }

    def _train(self) -> tuple[list[Run], dict[str, Record], list[Record]]:
        """All runs, their records, and what the stages were."""
        runs = self.plans.full()
        records = self._executor(runs).records(runs)
        stages = []
        for number in range(1, len(self.plans.stages) + 1):
            errors = {name: record["validation_nrmse_percent"] for name, record in records.items()}
            stages.append(self.plans.describe_stage(number, runs, errors))
            new = self.plans.stage(number, runs, errors)
            records |= self._executor(new).records(new)
            runs += new
        return runs, records, stages

    def _executor(self, runs: Sequence[Run]) -> Executor:
        return Executor(self.bench, self.execution, frozenset(self._covered(runs)), self.progress)

    def _covered(self, runs: Sequence[Run]) -> set[str]:
        """Ids of the selections whose coverage is measured."""
        asked = self.config.coverage
        if asked is None:
            return set()
        last = self.space.seed + asked.seeds
        return {run.selection_id for run in runs if run.seed < last and not run.is_trial}

    def _coverages(self, runs: Sequence[Run]) -> dict[str, Record | None]:
        covered, found = self._covered(runs), {}
        for run in runs:
            record = self.bench.selection_of(run) if run.selection_id in covered else None
            found[run.selection_id] = None if record is None else record["coverage"]
        return found

    def _dimension(self, runs: Sequence[Run]) -> Record | None:
        """The intrinsic dimension of the features, kept in a record of its own."""
        path, key = self.folder / "facts.json", self.space.key
        known = read_json(path, key)
        if known is None:
            with torch_threads(self.execution.threads):
                known = {"key": key, "intrinsic_dimension": intrinsic_dimension(self.space)}
            write_json(path, known)
        return known["intrinsic_dimension"]

    def _score(
        self, runs: Sequence[Run], records: Mapping[str, Record], errors: Mapping[str, float | None]
    ) -> Scoring:
        """Score every test snapshot with every model."""
        energies = runs_with_energies(self.config.energies, runs, errors, self.space.seed)
        shown = {run.id for run in runs_to_show(runs, errors)}
        models = tuple(
            Scored(
                run.id,
                records[run.id]["model_digest"],
                energy=self.engine is not None and run.id in energies,
                shown=run.id in shown,
            )
            for run in runs
        )
        threads = self.execution.threads
        engine = self.engine if self.engine is None or threads is None else with_threads(self.engine, threads)
        scoring = Scoring(
            self.folder,
            self.dataset,
            self.space.plan.descriptor,
            models,
            engine,
            frozenset(self._to_look_at()),
            next((run.id for run in runs if run.method is None), ""),
            threads,
        )
        tests = self.dataset.snapshots("test")
        stage = "scoring test snapshots"
        run_all(scoring, stage, tests, self.execution, lambda item: _SCORING_MB, self.progress)
        return scoring

    def _to_look_at(self) -> list[int]:
        """The first snapshot of each test trajectory, those shown apart first."""
        firsts: dict[str, int] = {}
        for number in self.dataset.snapshots("test"):
            firsts.setdefault(self.dataset.info(number).trajectory, number)
        return sorted(firsts.values(), key=lambda n: n not in self.special)[:_MOST_FIELDS]
