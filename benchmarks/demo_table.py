"""The figures of a study as a table: means over seeds of every method and fraction.

Run from the repository, after ``make demo``:  python benchmarks/demo_table.py nearsight-demo/study
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nearsight.report.reading import Run, SnapshotResult, read_study

HEAD = (
    "| trained on | points | NRMSE % | NMAE % | energy error, mHa/atom | corrected | unlike training | time |"
)


def milli(results: list[SnapshotResult]) -> float:
    """Mean absolute energy error in mHa/atom; NaN where none was taken."""
    return 1e3 * float(np.mean([abs(r.energy_error_ha_per_atom or np.nan) for r in results] or [np.nan]))


def row(title: str, runs: list[Run]) -> str:
    def mean(figure: Callable[[Run], float | None]) -> float:
        return float(np.mean([np.nan if figure(run) is None else figure(run) for run in runs]))

    cells = [
        title,
        f"{runs[0].n_points:,}",
        f"{mean(lambda r: r.nrmse_percent):.3f}",
        f"{mean(lambda r: r.nmae_percent):.3f}",
        f"{1e3 * mean(lambda r: r.energy_error_ha_per_atom):.3f}",
        f"{1e3 * mean(lambda r: r.corrected_energy_error_ha_per_atom):.3f}",
        f"{mean(lambda r: milli(r.generality)):.3f}",
        f"{mean(lambda r: r.seconds.total):.0f} s",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("study", type=Path)
    study = read_study(parser.parse_args().study)
    print(HEAD)
    print("|---" * (HEAD.count("|") - 1) + "|")
    groups: dict[tuple[float, str], list[Run]] = {}
    for run in study.runs:
        groups.setdefault((run.kept, run.method), []).append(run)
    for (kept, method), runs in groups.items():
        print(row("all points" if method == "all" else f"{method}, {100 * kept:g} %", runs))
    if study.baseline is not None:
        mean, unlike = study.baseline.mean, milli(study.baseline.generality)
        energies = (mean.energy_error_ha_per_atom, mean.corrected_energy_error_ha_per_atom)
        shown = " | ".join("–" if e is None else f"{1e3 * e:.3f}" for e in energies)
        errors = f"{mean.nrmse_percent:.3f} | {mean.nmae_percent:.3f} | {shown} | {unlike:.3f}"
        print(f"| superposed atoms | – | {errors} | – |")


if __name__ == "__main__":
    main()
