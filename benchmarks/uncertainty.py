"""Error bars on what a model never saw: every kind of network on the same data, judged snapshot by snapshot.

    python benchmarks/uncertainty.py OUT --train TRAIN.zarr [--test MORE.zarr …] [--defect VACANCIES.zarr]
        [--networks mlp bayesian …] [--seeds 2] [--energies bayesian]

Trains on the training snapshots of TRAIN, judges on its test snapshots and on every snapshot of MORE, none
of which was trained on. With --defect, the training snapshots of VACANCIES are added to the data in a second
model of each kind, and its test snapshots tell what that changed around the vacancy. Carries on where it
stopped.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

import nearsight as ns
from nearsight.cli.resolve import engine_of
from nearsight.inference.predictor import predict_density
from nearsight.units import ANGSTROM

#: label of a row to network settings; all that is not said is the default
NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {"name": "mlp"},
    "mean_variance": {"name": "mean_variance"},
    "bayesian": {"name": "bayesian"},
    "last_layer": {"name": "last_layer"},
    "ensemble": {"name": "ensemble", "members": 4, "member": {"name": "mean_variance"}},
    "gaussian_process": {"name": "gaussian_process", "store_variance": True},
}
#: bohr: points nearer to the centre of a vacancy than the atoms around it are (fcc Al: 2.86 Å)
FIRST_SHELL = 2.86 * ANGSTROM
#: bohr: beyond the atoms of the third shell
BULK = 4.9 * ANGSTROM


def trained(
    out: Path, name: str, data: Path, seed: int, tag: str = ""
) -> tuple[ns.DensityModel, dict[str, Any]]:
    """The model of a run, and the record of its training."""
    path = out / f"{name}{tag}-{seed}.nst"
    record = path.with_suffix(".train.json")
    if not (path.exists() and record.exists()):
        config = ns.Config(network=NETWORKS[name], training={"threads": 1})
        summary = ns.train(data, path, config, seed=seed)
        found = {
            "seconds": summary.seconds,
            "steps": summary.steps,
            "validation": summary.validation_nrmse_percent,
        }
        record.write_text(json.dumps(found), encoding="utf-8")
    return ns.load_model(path), json.loads(record.read_text(encoding="utf-8"))


def judged(out: Path, model: Path, data: Path, split: str | None, *, energies: bool) -> dict[str, Any]:
    """What `evaluate` finds, from its file where it was found before."""
    path = out / f"{model.stem}@{data.stem}{'+energies' if energies else ''}.json"
    if not path.exists():
        engine = engine_of if energies else None
        result = ns.evaluate(model, data, split=split, engine_for=engine)
        path.write_text(json.dumps(result, indent=1), encoding="utf-8")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def combined(path: Path, base: ns.Dataset, more: ns.Dataset, numbers: Iterable[int]) -> Path:
    """The training and validation snapshots of `base`, with some of `more`."""
    if path.exists():
        return path
    new = ns.Dataset.create(path, engine=base.engine, radial=base.radial)
    sources = [(base, n) for s in ("train", "validation") for n in base.snapshots(s)]
    for count, (source, number) in enumerate([*sources, *((more, n) for n in numbers)]):
        info = source.info(number)
        origin = {"label": info.label, "trajectory": info.trajectory, "split": info.split}
        new.write(count, source.snapshot(number), **origin)
    return path


def around_vacancy(model: ns.DensityModel, data: ns.Dataset, number: int) -> dict[str, float]:
    """Mean epistemic σ and root mean square error near the point farthest from all atoms, and far from it."""
    structure, truth = data.structure(number), data.density(number)
    grid = truth.grid
    points = grid.points(0, grid.n_points)
    images = np.array(np.meshgrid(*[(-1, 0, 1)] * 3)).reshape(3, -1).T @ structure.cell
    atoms = (structure.positions + images[:, None, :]).reshape(-1, 3)
    centre = points[np.argmax(cKDTree(atoms).query(points)[0])]
    distance = np.min([np.linalg.norm(points - centre - image, axis=1) for image in images], axis=0)
    found = predict_density(model, structure, grid, uncertainty=model.knows_uncertainty)
    error = (found.density.values - truth.values).ravel()
    near, far = distance < FIRST_SHELL, distance > BULK
    result = {
        f"rms_error_{k}": float(np.sqrt(np.mean(error[w] ** 2))) for k, w in (("near", near), ("far", far))
    }
    if found.epistemic is not None and found.aleatoric is not None:
        for k, w in (("near", near), ("far", far)):
            result[f"epistemic_{k}"] = float(found.epistemic.values.ravel()[w].mean())
            result[f"aleatoric_{k}"] = float(found.aleatoric.values.ravel()[w].mean())
    return result


def row(name: str, entry: dict[str, Any]) -> str:
    """One line of a table: errors, both σ in 10⁻³ e/bohr³, coverage, ranks, energy."""
    c = entry["calibration"]
    energy = entry["energy_error_ha_per_atom"]
    stated = (
        "| – | – | – | – | – | – | –"
        if c is None
        else (
            f"| {1e3 * c['mean_aleatoric']:.2f} | {1e3 * c['mean_epistemic']:.2f} "
            f"| {100 * c['coverage_1']:.1f} | {100 * c['coverage_2']:.1f} | {100 * c['coverage_3']:.2f} "
            f"| {c['rank_correlation_ratio']:.2f} | {'yes' if c['rises'] else 'no'}"
        )
    )
    last = "–" if energy is None else f"{1e3 * energy:.3f}"
    return f"| {name} | {entry['nrmse_percent']:.3f} | {entry['nmae_percent']:.3f} {stated} | {last} |"


HEAD = (
    "| what | NRMSE % | NMAE % | aleatoric σ | epistemic σ | 1σ % | 2σ % | 3σ % | rank/ideal | rises "
    "| energy, mHa/atom |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, nargs="*", default=[])
    parser.add_argument("--defect", type=Path)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument(
        "--energies", nargs="*", default=[], help="networks whose energies are taken (seed 0)"
    )
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    runs = [(seed, name) for seed in range(arguments.seeds) for name in arguments.networks]
    for seed, name in runs:
        trained(out, name, arguments.train, seed)
    for seed, name in runs:
        _, record = trained(out, name, arguments.train, seed)
        cost = f"{record['seconds']:.1f} s, validation {record['validation']:.3f} %"
        print(f"\n### {name}, seed {seed}: {cost}\n\n{HEAD}")
        energies = seed == 0 and name in arguments.energies
        for data, split in [(arguments.train, "test"), *((d, None) for d in arguments.test)]:
            found = judged(out, out / f"{name}-{seed}.nst", data, split, energies=energies)
            print(row(f"**{data.stem}**", found))
            for entry in found["per_trajectory"]:
                print(row(entry["trajectory"], entry), flush=True)
    if arguments.defect is not None:
        defects(out, arguments, runs)


def defects(out: Path, arguments: argparse.Namespace, runs: list[tuple[int, str]]) -> None:
    """What one snapshot with a vacancy teaches."""
    base, more = ns.Dataset.open(arguments.train), ns.Dataset.open(arguments.defect)
    data = combined(out / "with-defect.zarr", base, more, more.snapshots("train"))
    for seed, name in runs:
        trained(out, name, data, seed, "+defect")
        print(f"\n### {name}, seed {seed}, with {len(more.snapshots('train'))} defect snapshot\n\n{HEAD}")
        for path in (arguments.train, arguments.defect):
            found = judged(out, out / f"{name}+defect-{seed}.nst", path, "test", energies=False)
            print(row(f"**{path.stem}**", found))
            for entry in found["per_trajectory"]:
                print(row(entry["trajectory"], entry), flush=True)
    print(
        "\n| network, seed | snapshot | epistemic σ near / far before | after | error near before | after |"
    )
    print("|---|---|---|---|---|---|")
    for seed, name in runs:
        before, _ = trained(out, name, arguments.train, seed)
        after, _ = trained(out, name, data, seed, "+defect")
        for number in more.snapshots("test"):
            old, new = (around_vacancy(model, more, number) for model in (before, after))
            spread = " | ".join(
                f"{1e3 * r['epistemic_near']:.2f} / {1e3 * r['epistemic_far']:.2f}"
                if "epistemic_near" in r
                else "–"
                for r in (old, new)
            )
            errors = " | ".join(f"{1e3 * r['rms_error_near']:.2f}" for r in (old, new))
            print(f"| {name}, {seed} | {more.info(number).label} | {spread} | {errors} |", flush=True)


if __name__ == "__main__":
    main()
