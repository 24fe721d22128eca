"""`run_study`: selection methods × kept fractions × seeds, trained and scored; resumable.

A study folder holds one model and one record a run (``models/``, ``runs/``), the scores of each test
snapshot (``scores/``), densities to look at (``fields/``), and ``study.json``, which gathers all of it
and is what `nearsight report` reads (docs/study-format.md).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nearsight.errors import StoreError
from nearsight.progress import Progress, silent
from nearsight.provenance import digest, machine, software, to_plain
from nearsight.store import Dataset
from nearsight.units import CHEMICAL_ACCURACY
from nearsight.workflows.config import StudyConfig
from nearsight.workflows.evaluate import EngineFor
from nearsight.workflows.judge import mean_errors
from nearsight.workflows.material import species_of, training_points
from nearsight.workflows.plan import make_plan
from nearsight.workflows.records import write_json
from nearsight.workflows.runs import Run, Runner, plan_runs
from nearsight.workflows.scoring import score_snapshot, write_field


def run_study(
    data: Path | str | Dataset,
    output: Path | str,
    config: StudyConfig | None = None,
    *,
    engine_for: EngineFor | None = None,
    seed: int = 0,
    device: str = "auto",
    command: str = "",
    label_seconds: float | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train every run, score every test snapshot, gather the results.

    Nothing here looks at test snapshots before the last model is trained.

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
    """
    dataset = data if isinstance(data, Dataset) else Dataset.open(data)
    config = config or StudyConfig()
    tests = dataset.snapshots("test")
    if not tests:
        raise StoreError(f"{dataset.path} has no test snapshots; a study needs whole trajectories held out")
    plan = make_plan(config.train, species_of(dataset), has_atoms=bool(dataset.radial), device=device)
    key = digest(dataset.digest(), plan.as_dict(), seed)
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    runs = plan_runs(config, seed)
    records = Runner(dataset, plan, output, key, seed).execute(runs, progress)
    engine = engine_for(dataset.engine) if engine_for and config.energies and dataset.engine else None
    shown = _shown(runs)
    scores, fields = {}, []
    for done, number in enumerate(tests):
        progress("scoring test snapshots", done, len(tests))
        scores[number] = score_snapshot(dataset, number, runs, records, output, engine)
        entry = write_field(dataset, number, shown, records, output)
        fields.append(entry | {"generality": dataset.info(number).trajectory in config.generality})
    progress("scoring test snapshots", len(tests), len(tests))
    study = {
        "format": "nearsight-study",
        "version": 1,
        "title": config.title,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "seed": seed,
        "machine": machine(),
        "software": software(),
        "engine": dataset.engine or {},
        "chemical_accuracy_ha": CHEMICAL_ACCURACY,
        "dataset": _describe(dataset, label_seconds),
        "settings": {**plan.as_dict(), "study": config.model_dump(exclude={"train"})},
        **_gather(config, dataset, runs, records, scores),
        "fields": fields,
        "n_scored": len(tests),
    }
    write_json(output / "study.json", to_plain(study))
    return study


def _shown(runs: Sequence[Run]) -> list[Run]:
    """The runs whose densities are kept to look at: the first seed of each method and fraction."""
    first = min(run.seed for run in runs)
    return [run for run in runs if run.seed == first]


def _describe(dataset: Dataset, label_seconds: float | None) -> dict[str, Any]:
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


def _gather(
    config: StudyConfig,
    dataset: Dataset,
    runs: Sequence[Run],
    records: dict[str, dict[str, Any]],
    scores: dict[int, dict[str, Any]],
) -> dict[str, Any]:
    """Results by run: test snapshots and, apart from them, the generality ones."""
    special = {n for n in scores if dataset.info(n).trajectory in config.generality}

    def results(name: str) -> dict[str, Any]:
        usual = [scores[n][name] for n in scores if n not in special]
        unusual = [scores[n][name] for n in scores if n in special]
        return {"per_snapshot": usual, "generality": unusual, "mean": mean_errors(usual or unusual)}

    gathered = []
    for run in runs:
        found = results(run.id)
        gathered.append({**records[run.id], **found.pop("mean"), **found})
    baseline = None
    if dataset.radial:
        baseline = {"name": "superposed atoms", **results("superposed atoms")}
    return {"baseline": baseline, "runs": gathered}
