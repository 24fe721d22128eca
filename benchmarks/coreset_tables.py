"""The tables of docs/coresets.md that set the materials side by side; those of one material: coresets.py.

python benchmarks/coreset_tables.py OUT/al-study OUT/water-study OUT/crfeconi-study
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from coresets import header

Study = dict[str, Any]
SHOWN = ("random", "importance", "d_optimal", "ccs β=0.1")


def main_runs(study: Study) -> list[dict[str, Any]]:
    """Runs of the network with equal steps."""
    return [run for run in study["runs"] if (run["model"], run["schedule"]) == ("mlp", "steps")]


def measures(names: Sequence[str], studies: Sequence[Study]) -> Iterable[str]:
    """Four errors relative to the full data's."""
    keys = ("nrmse_percent", "nmae_percent", "h1_seminorm", "hartree_error_ha_per_atom")
    yield from header("material, kept", "chosen by", "NRMSE", "NMAE", "H1", "Hartree")
    for name, study in zip(names, studies, strict=True):
        found: dict[tuple[float, str], list[list[float]]] = {}
        for run in main_runs(study):
            found.setdefault((run["kept"], run["label"]), []).append([run[key] for key in keys])
        full = np.mean(found[1.0, "all"], axis=0)
        for kept in (0.01, 0.001):
            for label in SHOWN:
                ratios = np.mean(found[kept, label], axis=0) / full
                yield (
                    f"| {name}, {100 * kept:g} % | {label} | " + " | ".join(f"{r:.2f}" for r in ratios) + " |"
                )


def fractions(name: str, study: Study) -> Iterable[str]:
    """e/f over all fractions."""
    excess = {
        (e["label"], e["kept"]): e["e_over_f"]
        for e in study["excess"]
        if (e["model"], e["schedule"]) == ("mlp", "steps") and e["kept"] < 1
    }
    kept = sorted({key[1] for key in excess}, reverse=True)
    yield from header(f"{name}, points kept", *(f"{100 * fraction:g} %" for fraction in kept))
    for label in ("importance", "importance leverage", "d_optimal", "random", "ccs β=0.1", "ccs"):
        cells = [f"{excess[label, f]:.3f}" if (label, f) in excess else "–" for f in kept]
        yield f"| {label} | " + " | ".join(cells) + " |"


def kernel(names: Sequence[str], studies: Sequence[Study]) -> Iterable[str]:
    """e/f (x/f) of the Gaussian process."""
    rows: dict[tuple[float, str], dict[int, str]] = {}
    for number, study in enumerate(studies):
        for e in study["excess"]:
            if e["model"] == "gp":
                cell = f"{e['e_over_f']:.3f} ({e['x_over_f']:.2f})"
                rows.setdefault((-e["kept"], e["label"]), {})[number] = cell
    yield from table(("kept", "chosen by"), names, rows)


def energies(names: Sequence[str], studies: Sequence[Study]) -> Iterable[str]:
    """Mean |ΔE| in mHa/atom on the test snapshots, in brackets beyond the training data."""
    rows: dict[tuple[float, str], dict[int, str]] = {}
    for number, study in enumerate(studies):
        groups: dict[tuple[float, str], list[tuple[float, float]]] = {}
        for run in study["runs"]:
            if run["energy_error_ha_per_atom"] is not None and run["schedule"] != "epochs":
                label = run["label"] + (", Gaussian process" if run["model"] == "gp" else "")
                special = np.mean([abs(s["energy_error_ha_per_atom"]) for s in run["generality"]])
                pair = (run["energy_error_ha_per_atom"], float(special))
                groups.setdefault((-run["kept"], label), []).append(pair)
        for key, pairs in groups.items():
            usual, special = 1e3 * np.mean(pairs, axis=0)
            rows.setdefault(key, {})[number] = f"{usual:.3f} ({special:.3f})"
    yield from table(("kept", "chosen by"), names, rows)


def table(
    heads: Sequence[str], names: Sequence[str], rows: dict[tuple[float, str], dict[int, str]]
) -> Iterable[str]:
    """One column a material; rows by minus the kept fraction and label."""
    yield from header(*heads, *names)
    for (kept, label), cells in sorted(rows.items()):
        shown = " | ".join(cells.get(number, "–") for number in range(len(names)))
        yield f"| {-100 * kept:g} % | {label} | {shown} |"


def facts(names: Sequence[str], studies: Sequence[Study]) -> Iterable[str]:
    """What the data hold."""
    yield from header("", *names)
    found = [study["data_facts"] for study in studies]
    dimension = [f["intrinsic_dimension"] for f in found]
    correlation = [f["error_correlation"] for f in found]
    rows = {
        "intrinsic dimension": [f"{d['value']:.1f} ± {d['standard_error']:.1f}" for d in dimension],
        "correlation length of the error, bohr": [f"{c['length_bohr']:.2f}" for c in correlation],
        "independent values of e²": [f"{c['n_effective']:,.0f} of {c['n_points']:,.0f}" for c in correlation],
    }
    for title, cells in rows.items():
        yield f"| {title} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", type=Path, nargs="+")
    folders = parser.parse_args().studies
    studies = [json.loads((folder / "study.json").read_text()) for folder in folders]
    names = [folder.name.removesuffix("-study") for folder in folders]
    lines = [*measures(names, studies), *fractions(names[0], studies[0]), *kernel(names, studies)]
    lines += [*energies(names, studies), *facts(names, studies)]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
