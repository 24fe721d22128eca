"""Choices among the runs of a study, by validation errors alone: the best, whose energies, what is shown."""

from collections.abc import Mapping, Sequence

import numpy as np

from nearsight.errors import InputError
from nearsight.workflows.study_parts import EnergyConfig
from nearsight.workflows.study_run import Run

#: at most so many runs have all their densities kept to look at
_SHOWN = 10


def best_labels(runs: Sequence[Run], errors: Mapping[str, float | None], n: int) -> list[str]:
    """The `n` methods of lowest mean validation NRMSE at the smallest two fractions, best first.

    Compared are methods with runs at both fractions, over the models and schedules that all of them have.

    Raises
    ------
    InputError
        No validation errors, or no such methods.
    """
    runs = [run for run in runs if run.method is not None]
    smallest = sorted({run.keep for run in runs})[:2]
    found: dict[str, dict[tuple[float, str, str], list[float]]] = {}
    for run in runs:
        error = errors.get(run.id)
        if run.keep in smallest and error is not None:
            found.setdefault(run.label, {}).setdefault(run.cell, []).append(error)
    found = {label: cells for label, cells in found.items() if {cell[0] for cell in cells} == set(smallest)}
    if not found:
        raise InputError("'best' needs validation snapshots, and earlier runs at the smallest two fractions")
    common = set.intersection(*(set(cells) for cells in found.values()))
    means = {
        label: float(np.mean([np.mean(cells[cell]) for cell in sorted(common or cells)]))
        for label, cells in found.items()
    }
    return sorted(means, key=lambda label: means[label])[:n]


def best_by_cell(
    runs: Sequence[Run], errors: Mapping[str, float | None]
) -> dict[tuple[float, str, str], str]:
    """The label of lowest mean validation NRMSE at each fraction, model and schedule."""
    found: dict[tuple[float, str, str], dict[str, list[float]]] = {}
    for run in runs:
        error = errors.get(run.id)
        if run.method is not None and error is not None:
            found.setdefault(run.cell, {}).setdefault(run.label, []).append(error)
    return {cell: min(labels, key=lambda la: float(np.mean(labels[la]))) for cell, labels in found.items()}


def runs_with_energies(
    asked: EnergyConfig | None, runs: Sequence[Run], errors: Mapping[str, float | None], seed: int
) -> set[str]:
    """Ids of the runs whose energies are asked for."""
    if asked is None:
        return set()
    best = best_by_cell(runs, errors)

    def wanted(run: Run) -> bool:
        names = {run.label, "best"} if best.get(run.cell) == run.label else {run.label}
        return (
            (asked.labels is None or bool(names & set(asked.labels)))
            and (asked.keep is None or run.method is None or run.keep in asked.keep)
            and (asked.seeds is None or run.seed < seed + asked.seeds)
            and (asked.models is None or run.model in asked.models)
            and (asked.schedules is None or run.schedule in asked.schedules)
        )

    return {run.id for run in runs if wanted(run)}


def runs_to_show(runs: Sequence[Run], errors: Mapping[str, float | None]) -> list[Run]:
    """The runs whose densities are kept to look at.

    First seed, model and schedule: all of them where they are few, else the full data and, at the fractions
    nearest to 10 % and 1 %, random, CCS and the method of lowest validation error over its seeds.
    """
    best = best_by_cell(runs, errors)
    first = runs[0]
    runs = [r for r in runs if (r.seed, r.model, r.schedule) == (first.seed, first.model, first.schedule)]
    if len(runs) <= _SHOWN:
        return runs
    fractions = sorted({run.keep for run in runs if run.method is not None})
    near = {min(fractions, key=lambda keep: abs(np.log(keep / aim))) for aim in (0.1, 0.01)}
    return [
        run
        for run in runs
        if run.method is None
        or (run.keep in near and (run.label in ("random", "ccs") or best.get(run.cell) == run.label))
    ]
