"""The figure of docs/coresets.md: error against kept fraction, relative to all points, one panel a material.

python benchmarks/coreset_figure.py OUT/al-study OUT/water-study OUT/crfeconi-study -o docs/coresets.svg
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("svg")
from matplotlib import pyplot as plt

#: label in the study, model, words, colour, marker
LINES = (
    ("random", "mlp", "random", "#0072b2", "s"),
    ("ccs", "mlp", "CCS, β = 0.3", "#009e73", "D"),
    ("ccs β=0.1", "mlp", "CCS, β = 0.1", "#66c2a5", "d"),
    ("grand", "mlp", "GraNd", "#d55e00", "^"),
    ("importance", "mlp", "importance", "#cc79a7", "*"),
    ("random", "gp", "random, Gaussian process", "#56b4e9", "o"),
    ("importance", "gp", "importance, Gaussian process", "#882255", "P"),
)


def curve(
    study: dict[str, Any], label: str, model: str, full: float
) -> list[tuple[float, float, float, float]]:
    """Kept per cent, mean, lowest and highest e/f over seeds."""
    cells: dict[float, list[float]] = {}
    for run in study["runs"]:
        if (run["label"], run["model"]) == (label, model) and run["schedule"] != "epochs":
            cells.setdefault(100 * run["kept"], []).append(run["nrmse_percent"] / full)
    return sorted((kept, float(np.mean(v)), min(v), max(v)) for kept, v in cells.items())


def panel(axes: Any, study: dict[str, Any], *, first: bool) -> None:
    runs = [run for run in study["runs"] if run["label"] == "all"]
    full = float(np.mean([run["nrmse_percent"] for run in runs]))
    axes.axhline(1.0, color="#334", ls="--", lw=1.2, label="all points, network")
    for label, model, words, colour, marker in LINES:
        found = curve(study, label, model, full)
        if not found:
            continue
        kept, mean, low, high = map(np.array, zip(*found, strict=True))
        axes.fill_between(kept, low, high, color=colour, alpha=0.15, lw=0)
        axes.plot(kept, mean, color=colour, marker=marker, ms=6, lw=1.5, label=words)
    axes.set_xscale("log")
    axes.set_ylim(0.9, 1.7)
    ticks = [0.05, 0.1, 0.5, 1, 5, 10, 50]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("points kept (%)")
    axes.set_title(f"{study['title'].split(':')[0]}: all points {full:.3f} %", fontsize=10)
    axes.grid(alpha=0.25)
    if first:
        axes.set_ylabel("test NRMSE / that of all points")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=Path("coresets.svg"))
    arguments = parser.parse_args()
    figure, axes = plt.subplots(
        1, len(arguments.studies), figsize=(4.6 * len(arguments.studies), 4.2), sharey=True
    )
    for number, (folder, ax) in enumerate(zip(arguments.studies, np.atleast_1d(axes), strict=True)):
        panel(ax, json.loads((folder / "study.json").read_text()), first=number == 0)
    handles, labels = np.atleast_1d(axes)[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=9, ncols=4, loc="lower center", frameon=False)
    figure.tight_layout(rect=(0, 0.12, 1, 1))
    figure.savefig(arguments.output, metadata={"Date": None})


if __name__ == "__main__":
    main()
