"""What a study's records and scores add up to: the lists of ``study.json``, and a table for a person."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from nearsight.metrics.intrinsic_dimension import two_nn
from nearsight.provenance import generator
from nearsight.workflows.judge import mean_errors
from nearsight.workflows.paired import excess, paired
from nearsight.workflows.runs import describe_run
from nearsight.workflows.study_choices import best_by_cell
from nearsight.workflows.study_parts import FULL
from nearsight.workflows.study_run import Run, Trial
from nearsight.workflows.workspace import Workspace

Record = dict[str, Any]


def gather(
    runs: Sequence[Run],
    records: Mapping[str, Record],
    coverages: Mapping[str, Record | None],
    scores: Mapping[int, Mapping[str, Record]],
    special: set[int],
    baseline: str | None,
) -> Record:
    """Results by run: test snapshots and, apart from them, those of `special`.

    Parameters
    ----------
    runs : sequence of Run
    records : mapping
        By run id.
    coverages : mapping
        By selection id.
    scores : mapping
        By snapshot, then by run id.
    special : set of int
        Snapshots shown apart.
    baseline : str, optional
        Name of the scores that need no learning.
    """

    def results(name: str) -> Record:
        usual = [scores[n][name] for n in scores if n not in special]
        unusual = [scores[n][name] for n in scores if n in special]
        return {"per_snapshot": usual, "generality": unusual, "mean": mean_errors(usual or unusual)}

    gathered = []
    for run in runs:
        found = results(run.id)
        coverage = {"coverage": coverages.get(run.selection_id)}
        gathered.append({**records[run.id], **describe_run(run), **coverage, **found.pop("mean"), **found})
    return {
        "baseline": None if baseline is None else {"name": baseline, **results(baseline)},
        "runs": gathered,
    }


def comparisons(
    runs: Sequence[Run], gathered: Sequence[Record], errors: Mapping[str, float | None]
) -> Record:
    """``paired`` against the full data, random, CCS and the best on validation data; and ``excess``."""
    labels = dict.fromkeys(run.label for run in runs)
    best = dict.fromkeys(best_by_cell(runs, errors).values())
    usual = [run.label for run in runs if run.name in (FULL, "random", "ccs")]
    references = [label for label in labels if label in {*usual, *best}]
    return {"paired": paired(gathered, references), "excess": excess(gathered)}


def sensitivity(trials: Sequence[Trial], records: Mapping[str, Record]) -> list[Record]:
    """Validation NRMSE, the mean over seeds, against each parameter that was varied."""
    found: dict[tuple[str, str, float], Record] = {}
    for trial in trials:
        start = {
            "parameter": trial.parameter,
            "values": [],
            "kept": trial.keep,
            "label": trial.label,
            "nrmse_percent": [],
            "validation": True,
        }
        entry = found.setdefault((trial.parameter, trial.label, trial.keep), start)
        errors = [records[run.id]["validation_nrmse_percent"] for run in trial.runs]
        entry["values"].append(trial.value)
        entry["nrmse_percent"].append(None if None in errors else float(np.mean(errors)))
    return list(found.values())


def intrinsic_dimension(space: Workspace) -> Record:
    """Intrinsic dimension of the training points in their standardised features."""
    return asdict(two_nn(space.standardised(), generator(space.seed, "intrinsic dimension")))


def mean_facts(facts: Sequence[Record | None]) -> Record | None:
    """Means over snapshots of the facts of an error; None where a snapshot has none."""
    known = [fact for fact in facts if fact is not None]
    if not known:
        return None
    return {
        name: float(np.mean([fact[name] for fact in known]))
        for name in ("length_bohr", "n_effective", "n_points")
    }


def summary_rows(study: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A row for each label, fraction, model and schedule: NRMSE, x/f, AUC_pr, seconds."""
    over = {_cell(entry): entry["x_over_f"] for entry in study["excess"]}
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for run in study["runs"]:
        groups.setdefault(_cell(run), []).append(run)
    rows: list[tuple[str, ...]] = []
    for cell, runs in groups.items():
        errors = [run["nrmse_percent"] for run in runs]
        covered = [run["coverage"]["mean"] for run in runs if run["coverage"]]
        seconds = [sum(run["seconds"].values()) for run in runs]
        spread = f" ± {np.std(errors, ddof=1):.3f}" if len(errors) > 1 else ""
        rows.append(
            (
                cell[0],
                f"{100 * cell[1]:g} %",
                f"{cell[2]}, {cell[3]}",
                f"{np.mean(errors):.3f}{spread}",
                f"{over[cell]:.3f}" if cell in over else "",
                f"{np.mean(covered):.3f}" if covered else "",
                f"{np.mean(seconds):.1f}",
            )
        )
    return rows


#: heads of the columns of `summary_rows`
SUMMARY_COLUMNS = ("method", "kept", "model", "NRMSE / %", "x/f", "AUC_pr", "seconds")


def _cell(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return entry["label"], entry["kept"], entry["model"], entry["schedule"]
