"""Methods of a study compared: differences paired by test snapshot, and the excess that pruning adds.

Write e² = f² + x²: f the error of training on everything, x what pruning adds. All errors are root mean
squares over test snapshots, seeds averaged first in square.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nearsight.workflows.study_parts import FULL

Run = Mapping[str, Any]
#: model and schedule
Kind = tuple[str, str]


def paired(runs: Sequence[Run], references: Iterable[str]) -> list[dict[str, Any]]:
    """Every method against each of `references`, by fraction, model and schedule.

    Parameters
    ----------
    runs : sequence of mapping
        As in ``study.json``: label, kept, model, schedule, ``per_snapshot``.
    references : iterable of str
        Labels; ``all`` is the full data of the same model and schedule.
    """
    found = []
    for (kept, *kind), labels in _cells(runs).items():
        full, origin = _full(runs, (kind[0], kind[1]))
        f = _rms(full)
        for label, own in labels.items():
            for against in references:
                other = full if against == FULL else labels.get(against, [])
                if f is None or not _by_snapshot(own).keys() & _by_snapshot(other).keys():
                    continue
                entry = {
                    "kept": kept,
                    "model": kind[0],
                    "schedule": kind[1],
                    "label": label,
                    "against": against,
                }
                found.append(entry | paired_difference(own, other, f) | origin)
    return found


def paired_difference(runs: Sequence[Run], others: Sequence[Run], f: float) -> dict[str, Any]:
    """Difference of NRMSE between two sets of runs, in per cent of `f`, snapshot by snapshot.

    Returns
    -------
    dict
        ``n_pairs`` (test snapshots), ``mean_difference_percent``, ``standard_error_percent`` (over
        snapshots, seeds averaged; None with one snapshot), ``wins`` (snapshots where `runs` are better).
    """
    first, second = _by_snapshot(runs), _by_snapshot(others)
    common = sorted(first.keys() & second.keys())
    differences = np.array([np.mean(first[n]) - np.mean(second[n]) for n in common]) / f * 100
    error = float(differences.std(ddof=1) / math.sqrt(len(common))) if len(common) > 1 else None
    return {
        "n_pairs": len(common),
        "mean_difference_percent": float(differences.mean()),
        "standard_error_percent": error,
        "wins": int((differences < 0).sum()),
    }


def excess(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """x/f and e/f of every method, by fraction, model and schedule, the full data among them."""
    found = []
    for (kept, *kind), labels in _cells(runs, with_full=True).items():
        full, origin = _full(runs, (kind[0], kind[1]))
        f = _rms(full)
        for label, own in labels.items():
            e = _rms(own)
            if e is None or f is None:
                continue
            entry = {"kept": kept, "model": kind[0], "schedule": kind[1], "label": label}
            found.append(
                entry | {"x_over_f": math.sqrt(max(0.0, e * e - f * f)) / f, "e_over_f": e / f} | origin
            )
    return found


def _cells(runs: Sequence[Run], with_full: bool = False) -> dict[tuple[Any, ...], dict[str, list[Run]]]:
    """Runs by (kept, model, schedule), then by label."""
    cells: dict[tuple[Any, ...], dict[str, list[Run]]] = {}
    for run in runs:
        if with_full or run["label"] != FULL:
            cell = cells.setdefault((run["kept"], run["model"], run["schedule"]), {})
            cell.setdefault(run["label"], []).append(run)
    return cells


def _full(runs: Sequence[Run], kind: Kind) -> tuple[list[Run], dict[str, str]]:
    """Full-data runs of the same model and schedule, else the first kind that there is, and which."""
    full = [run for run in runs if run["label"] == FULL]
    kinds = [(run["model"], run["schedule"]) for run in full]
    chosen = kind if kind in kinds or not kinds else kinds[0]
    of_kind = [run for run in full if (run["model"], run["schedule"]) == chosen]
    return of_kind, {"full_model": chosen[0], "full_schedule": chosen[1]}


def _by_snapshot(runs: Sequence[Run]) -> dict[int, list[float]]:
    """NRMSE of every seed, by test snapshot."""
    found: dict[int, list[float]] = {}
    for run in runs:
        for result in run["per_snapshot"]:
            found.setdefault(result["snapshot"], []).append(result["nrmse_percent"])
    return found


def _rms(runs: Sequence[Run]) -> float | None:
    """Root mean square over snapshots of the NRMSE, seeds averaged in square; None without any."""
    squares = [np.mean(np.square(errors)) for errors in _by_snapshot(runs).values()]
    return math.sqrt(float(np.mean(squares))) if squares else None
