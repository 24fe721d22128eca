"""The coreset study of one material, from structures to the report; docs/coresets.md reads its results.

Samples and labels the recipe `coresets/MATERIAL-recipe.yaml`, runs the study `coresets/MATERIAL-study.yaml`,
and writes the report and the tables of the results page. Carries on where it stopped.

    python benchmarks/coresets.py al OUT             also: water, crfeconi (need nearsight[materials])
    python benchmarks/coresets.py al OUT --tables    only the tables of a study that is done
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent / "coresets"


def nearsight(*arguments: object) -> None:
    """Run a command of the package's command line."""
    subprocess.run([sys.executable, "-m", "nearsight", *map(str, arguments)], check=True)


def run_all(material: str, out: Path, jobs: int) -> None:
    structures, data = out / f"{material}.extxyz", out / f"{material}.zarr"
    if not structures.exists():
        nearsight("sample", HERE / f"{material}-recipe.yaml", "-o", structures)
    nearsight("label", structures, "-o", data, "--jobs", jobs, "--threads", 1)
    study = out / f"{material}-study"
    nearsight("study", data, "-o", study, "--config", HERE / f"{material}-study.yaml", "--jobs", jobs)
    nearsight("report", study, "-o", out / f"{material}.html")


def tables(study: dict[str, Any]) -> Iterable[str]:
    """What docs/coresets.md shows, as Markdown."""
    yield from summary(study)
    yield from errors(study)
    yield from paired(study)
    yield from energies(study)
    yield from generality(study)
    yield from sensitivity(study)
    facts = study["data_facts"]
    yield f"\nintrinsic dimension {facts['intrinsic_dimension']}"
    yield f"error correlation {facts['error_correlation']}"


def summary(study: dict[str, Any]) -> Iterable[str]:
    """One row a method under the network and equal steps: e/f, x/f, and the paired difference from random."""
    excess = {(e["label"], e["kept"]): e for e in study["excess"] if _main(e)}
    against = {(e["label"], e["kept"]): e for e in study["paired"] if _main(e) and e["against"] == "random"}
    kept = (0.1, 0.01, 0.001)
    labels = {label for label, fraction in excess if fraction in kept and label != "all"}
    order = sorted(labels, key=lambda la: excess[la, 0.01]["e_over_f"])
    coverage = {
        run["label"]: run["coverage"]["mean"]
        for run in study["runs"]
        if run["coverage"] and run["kept"] == 0.01
    }
    yield from header(
        "method",
        "10 %: e/f",
        "1 %: e/f (x/f)",
        "against random, % of f",
        "0.1 %: e/f (x/f)",
        "against random, % of f",
        "AUC_pr at 1 %",
    )
    for label in order:
        cells = [_ratio(excess.get((label, 0.1)), short=True)]
        for fraction in kept[1:]:
            cells.append(_ratio(excess.get((label, fraction))))
            entry = against.get((label, fraction))
            cells.append(
                "–"
                if entry is None or label == "random"
                else f"{entry['mean_difference_percent']:+.1f} ± {entry['standard_error_percent']:.1f}, "
                f"{entry['wins']} of {entry['n_pairs']}"
            )
        yield f"| {label} | " + " | ".join(cells) + f" | {coverage.get(label, float('nan')):.2f} |"


def _main(entry: dict[str, Any]) -> bool:
    return (entry["model"], entry["schedule"]) == ("mlp", "steps")


def _ratio(entry: dict[str, Any] | None, *, short: bool = False) -> str:
    if entry is None:
        return "–"
    ratio = f"{entry['e_over_f']:.3f}"
    return ratio if short else f"{ratio} ({entry['x_over_f']:.2f})"


def errors(study: dict[str, Any]) -> Iterable[str]:
    """Error relative to the full data's, excess, coverage and cost, by model, fraction and label."""
    runs = study["runs"]
    found = {(e["model"], e["schedule"], e["kept"], e["label"]): e for e in study["excess"]}
    cells: dict[tuple[str, str, float, str], list[dict[str, Any]]] = {}
    for run in runs:
        cells.setdefault((run["model"], run["schedule"], run["kept"], run["label"]), []).append(run)
    yield from header(
        "model",
        "kept",
        "points",
        "chosen by",
        "seeds",
        "validation NRMSE %",
        "test NRMSE % (range)",
        "e/f",
        "x/f",
        "AUC_pr",
        "scoring + selection, s",
        "training, s",
    )
    order = sorted(cells, key=lambda c: (c[0], c[1], -c[2], mean(cells[c], "validation_nrmse_percent")))
    for cell in order:
        group, (model, schedule, kept, label) = cells[cell], cell
        values = [run["nrmse_percent"] for run in group]
        excess = found.get(cell)
        ratio = f"{excess['e_over_f']:.3f} | {excess['x_over_f']:.2f}" if excess else "– | –"
        covered = next((run["coverage"]["mean"] for run in group if run["coverage"]), None)
        choosing = np.mean([run["seconds"]["scoring"] + run["seconds"]["selection"] for run in group])
        yield (
            f"| {model}, {schedule} | {100 * kept:g} % | {group[0]['n_points']:,} | {label} | {len(group)} | "
            f"{mean(group, 'validation_nrmse_percent'):.4f} | "
            f"{np.mean(values):.4f} ({min(values):.4f}–{max(values):.4f}) | "
            f"{ratio} | {'–' if covered is None else f'{covered:.2f}'} | {choosing:.1f} | "
            f"{np.mean([run['seconds']['training'] for run in group]):.1f} |"
        )


def paired(study: dict[str, Any]) -> Iterable[str]:
    """Differences by test snapshot against random and CCS."""
    yield from header(
        "model",
        "kept",
        "method",
        "against",
        "mean difference, % of f",
        "standard error",
        "snapshots better",
    )
    for entry in study["paired"]:
        if entry["against"] in ("random", "ccs", "all") and entry["label"] != entry["against"]:
            yield (
                f"| {entry['model']}, {entry['schedule']} | {100 * entry['kept']:g} % | {entry['label']} | "
                f"{entry['against']} | {entry['mean_difference_percent']:+.2f} | "
                f"{entry['standard_error_percent']:.2f} | {entry['wins']} of {entry['n_pairs']} |"
            )


def energies(study: dict[str, Any]) -> Iterable[str]:
    """Mean absolute energy errors of the runs that have them."""
    yield from header(
        "model",
        "kept",
        "chosen by",
        "energy error, mHa/atom",
        "corrected",
        "generality, mHa/atom",
    )
    groups: dict[tuple[str, float, str], list[dict[str, Any]]] = {}
    for run in study["runs"]:
        if run["energy_error_ha_per_atom"] is not None:
            groups.setdefault((f"{run['model']}, {run['schedule']}", run["kept"], run["label"]), []).append(
                run
            )
    for (model, kept, label), group in sorted(groups.items(), key=lambda g: (g[0][0], -g[0][1])):
        special = [abs(s["energy_error_ha_per_atom"]) for run in group for s in run["generality"]]
        corrected = [run["corrected_energy_error_ha_per_atom"] for run in group]
        shown = "–" if None in corrected else f"{1e3 * np.mean(corrected):.3f}"
        yield (
            f"| {model} | {100 * kept:g} % | {label} | {1e3 * mean(group, 'energy_error_ha_per_atom'):.3f} | "
            f"{shown} | {1e3 * np.mean(special) if special else float('nan'):.3f} |"
        )


def generality(study: dict[str, Any]) -> Iterable[str]:
    """NRMSE on what training has no example of, relative to the full data's there."""
    full: dict[str, float] = {}
    rows: dict[tuple[str, float, str], dict[str, list[float]]] = {}
    for run in study["runs"]:
        for snapshot in run["generality"]:
            key = (f"{run['model']}, {run['schedule']}", run["kept"], run["label"])
            rows.setdefault(key, {}).setdefault(snapshot["trajectory"], []).append(snapshot["nrmse_percent"])
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    for key, row in rows.items():
        if key[2] == "all" and not full:
            full = {name: float(np.mean(row[name])) for name in names}
    yield from header("model", "kept", "chosen by", *names)
    for (model, kept, label), row in sorted(rows.items(), key=lambda r: (r[0][0], -r[0][1])):
        if label in ("all", "random", "ccs", "ccs β=0.1", "grand", "importance"):
            cells = " | ".join(
                f"{np.mean(row[n]):.3f} ({np.mean(row[n]) / full.get(n, np.nan):.2f})" for n in names
            )
            yield f"| {model} | {100 * kept:g} % | {label} | {cells} |"


def sensitivity(study: dict[str, Any]) -> Iterable[str]:
    """Validation errors where one setting is varied."""
    yield from header(
        "setting",
        "method",
        "kept",
        "values",
        "validation NRMSE %",
    )
    for entry in study["sensitivity"]:
        values = ", ".join(f"{value:g}" for value in entry["values"])
        found = ", ".join(f"{error:.4f}" for error in entry["nrmse_percent"])
        yield f"| {entry['parameter']} | {entry['label']} | {100 * entry['kept']:g} % | {values} | {found} |"


def header(*names: str) -> Iterable[str]:
    """The head of a Markdown table."""
    yield "\n| " + " | ".join(names) + " |"
    yield "|---" * len(names) + "|"


def mean(runs: Iterable[dict[str, Any]], name: str) -> float:
    return float(np.mean([run[name] for run in runs]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("material", choices=("al", "water", "crfeconi"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tables", action="store_true", help="print the tables of a study that is done")
    arguments = parser.parse_args()
    if not arguments.tables:
        arguments.out.mkdir(parents=True, exist_ok=True)
        run_all(arguments.material, arguments.out, arguments.jobs)
    study = json.loads((arguments.out / f"{arguments.material}-study" / "study.json").read_text())
    print("\n".join(tables(study)))


if __name__ == "__main__":
    main()
