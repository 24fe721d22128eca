"""Make and label every shipped recipe at demo size; write a summary of the labelled sets.

    python benchmarks/materials.py OUT [--only al water] [--threads 2]

Commands are run as a user would run them; a set that is complete is not made again. Writes
OUT/materials.json (each snapshot's figures) and prints the table of docs/materials.md.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import nearsight as ns
from nearsight.sampling import shipped_recipes

#: small copies for tests and first tries
LEFT_OUT = ("water2-tiny",)


def run(*arguments: str) -> tuple[int, float, str]:
    """Exit code, seconds and last line of a nearsight command."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "nearsight", *arguments, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stderr or done.stdout).strip().splitlines()
    return done.returncode, time.perf_counter() - began, lines[-1] if lines else ""


def make(name: str, out: Path, threads: int) -> dict[str, Any]:
    """Sample and label one recipe; its times and what was labelled."""
    structures, data, times = out / f"{name}.extxyz", out / f"{name}.zarr", out / f"{name}.times.json"
    if times.exists():
        return summarise(data) | json.loads(times.read_text())
    code, sampled, line = run("sample", name, "-o", str(structures))
    if code:
        return {"failure": line}
    code, labelled, line = run("label", str(structures), "-o", str(data), "--threads", str(threads))
    found = {"sample_seconds": round(sampled, 1), "label_seconds": round(labelled, 1), "exit_code": code}
    if code:
        return summarise(data) | found | {"failure": line}
    times.write_text(json.dumps(found))
    return summarise(data) | found


def summarise(path: Path) -> dict[str, Any]:
    """What a labelled set holds, without its densities."""
    if not path.exists():
        return {}
    dataset = ns.Dataset.open(path)
    snapshots = []
    for number in dataset.numbers():
        snapshot, info = dataset.snapshot(number), dataset.info(number)
        forces = np.zeros((1, 3)) if snapshot.forces is None else snapshot.forces
        snapshots.append(
            {
                "label": info.label,
                "split": info.split,
                "formula": info.formula,
                "n_atoms": info.n_atoms,
                "shape": list(info.shape),
                "n_electrons": info.n_electrons,
                "energy_ha_per_atom": round(float(snapshot.energy or np.nan) / info.n_atoms, 7),
                "largest_force_ha_per_bohr": round(float(np.abs(forces).max()), 5),
                "density_min": float(f"{snapshot.density.values.min():.3e}"),
                "density_max": float(f"{snapshot.density.values.max():.4g}"),
                "n_iterations": snapshot.provenance.get("n_iterations"),
                "k_points": snapshot.provenance.get("n_k_points"),
                "warnings": snapshot.provenance.get("warnings", []),
                "seconds": round(float(snapshot.provenance.get("seconds", 0.0)), 1),
            }
        )
    failures = [{"label": f.label, "message": f.message} for f in dataset.failures()]
    return {"engine": dataset.engine, "snapshots": snapshots, "failures": failures}


def row(name: str, found: dict[str, Any]) -> str:
    """A line of the table in docs/materials.md."""
    if not found.get("snapshots"):
        return f"| `{name}` | {found.get('failure', 'nothing labelled')} |"
    snapshots = found["snapshots"]
    atoms = sorted({s["n_atoms"] for s in snapshots})
    span = f"{atoms[0]}" if len(atoms) == 1 else f"{atoms[0]}–{atoms[-1]}"
    iterations = [s["n_iterations"] for s in snapshots]
    k_points = found["engine"]["k_points"]
    k_text = f"{k_points['spacing']}/bohr" if isinstance(k_points, dict) else str(k_points)
    largest = max(s["largest_force_ha_per_bohr"] for s in snapshots)
    failed = f" ({len(found['failures'])} failed)" if found["failures"] else ""
    return (
        f"| `{name}` | {len(snapshots)}{failed} "
        f"| {span} | {k_text} | {min(iterations)}–{max(iterations)} "
        f"| {found.get('sample_seconds', '')} | {found.get('label_seconds', '')} | {largest:.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    names = arguments.only or [name for name in shipped_recipes() if name not in LEFT_OUT]
    summary: dict[str, Any] = {}
    print(
        "| recipe | snapshots | atoms | k-points | iterations | `sample`, s | `label`, s "
        "| largest force, Ha/bohr |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        summary[name] = make(name, arguments.out, arguments.threads)
        print(row(name, summary[name]), flush=True)
        (arguments.out / "materials.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
