"""How the error that a local model can reach depends on k-points and on cell size, in aluminium.

The same 32-atom structures are labelled at Γ, 2×2×2 and 3×3×3, and 108-atom structures at Γ; on each set
the same model is trained on the same number of points with the same schedule, and judged on trajectories
that it never saw. Carries on where it stopped.

    python benchmarks/kpoint_error.py OUT            label and learn (about an hour on two cores)
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

import nearsight as ns
from nearsight.engines import LcaoEngine
from nearsight.inference.predictor import predict_density
from nearsight.io.extxyz import Frame, read_frames
from nearsight.metrics.density import density_errors
from nearsight.provenance import generator
from nearsight.sampling.recipe import Recipe
from nearsight.training import describe_points
from nearsight.workflows.material import describe_validation, from_dataset, species_of, training_points
from nearsight.workflows.plan import make_plan
from nearsight.workflows.train import fit

MESHES = {"gamma": "gamma", "2x2x2": [2, 2, 2], "3x3x3": [3, 3, 3]}
#: bohr: 40³ points in 32 atoms; with GTH aluminium the density is converged there to far below the errors
SPACING = 0.425
#: far below the errors of a model (about 1 %), and cheap
TOLERANCE = 2e-5
N_POINTS = 250_000


def recipe(repeat: int, n_train: int, frames: int, n_test: int) -> Recipe:
    """Independent EMT trajectories of fcc Al at 900 K."""
    trajectories = [{"name": f"train-{i}", "split": "train", "frames": frames} for i in range(n_train)]
    trajectories += [{"name": "validation", "split": "validation", "frames": 1}]
    trajectories += [{"name": f"heldout-{i}", "split": "test", "frames": 1} for i in range(n_test)]
    crystal = {"kind": "crystal", "formula": "Al", "lattice": "fcc", "a": 4.05, "cubic": True}
    return Recipe.model_validate(
        {
            "name": f"kpoint-error-{repeat}",
            "structure": crystal | {"repeat": [repeat] * 3},
            "dynamics": {
                "temperature_kelvin": 900,
                "timestep_fs": 3.0,
                "equilibration": 300,
                "interval": 100,
            },
            "trajectories": trajectories,
        }
    )


def frames_of(chosen: Recipe) -> list[Frame]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "structures.extxyz"
        ns.sample(chosen, path, seed=7)
        return read_frames(path)


def label_all(out: Path, name: str, frames: list[Frame], meshes: dict[str, object], threads: int) -> None:
    """Every structure at one mesh after the other, each starting from the density of the last."""
    engines = {
        mesh: LcaoEngine.from_settings(
            {
                "k_points": k,
                "spacing": SPACING,
                "density_tolerance": TOLERANCE,
                "smearing_kelvin": 1000.0,
                "threads": threads,
            }
        )
        for mesh, k in meshes.items()
    }
    for mesh, engine in engines.items():
        path = out / f"{name}-{mesh}.zarr"
        if not path.exists():
            ns.Dataset.create(path, engine=engine.fingerprint(), radial={13: engine.atomic_density(13)})
    for number, frame in enumerate(frames):
        start = None
        for mesh, engine in engines.items():
            dataset = ns.Dataset.open(out / f"{name}-{mesh}.zarr", "a")
            if number in dataset.numbers():
                start = dataset.density(number)
                continue
            began = time.perf_counter()
            state = engine.ground_state(frame.structure, start=start, forces=False)
            start = state.density
            snapshot = ns.Snapshot(frame.structure, state.density, state.n_electrons, state.free_energy)
            dataset.write(number, snapshot, label=frame.label, trajectory=frame.trajectory, split=frame.split)
            print(
                f"{name} {mesh} snapshot {number}: {state.n_iterations} iterations, "
                f"{time.perf_counter() - began:.0f} s",
                flush=True,
            )


def learn(dataset: ns.Dataset, seed: int, steps: int, threads: int) -> ns.DensityModel:
    """The same model on as many points, drawn at random, whatever the data."""
    config = ns.Config(training={"threads": threads, "steps": steps})
    plan = make_plan(config, species_of(dataset), has_atoms=True)
    every = training_points(dataset)
    chosen = generator(seed, "points").choice(len(every), min(N_POINTS, len(every)), replace=False)
    table = describe_points(dataset, plan.descriptor, every.take(np.sort(chosen)))
    validation = describe_validation(dataset, plan.descriptor, plan.validation_points, seed)
    return fit(from_dataset(dataset, table, validation), plan, seed=seed).model


def judge(model: ns.DensityModel, reference: ns.Dataset) -> dict[str, float]:
    """Mean errors on the held-out snapshots of a data set."""
    errors = []
    for number in reference.snapshots("test"):
        structure, truth = reference.structure(number), reference.density(number)
        errors.append(
            density_errors(predict_density(model, structure, truth.grid).density, truth, structure.n_atoms)
        )
    return {
        "nrmse_percent": float(np.mean([e.nrmse_percent for e in errors])),
        "nmae_percent": float(np.mean([e.nmae_percent for e in errors])),
    }


def scatter(one: ns.Dataset, other: ns.Dataset) -> dict[str, float]:
    """Mean difference between two labels of the same structures."""
    errors = [
        density_errors(one.density(n), other.density(n), one.structure(n).n_atoms) for n in one.numbers()
    ]
    return {
        "nrmse_percent": float(np.mean([e.nrmse_percent for e in errors])),
        "nmae_percent": float(np.mean([e.nmae_percent for e in errors])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--label-only", action="store_true")
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    label_all(out, "al32", frames_of(recipe(2, 3, 2, 2)), dict(MESHES), arguments.threads)
    label_all(out, "al108", frames_of(recipe(3, 2, 1, 1)), {"gamma": "gamma"}, arguments.threads)
    if arguments.label_only:
        return
    names = [f"al32-{mesh}" for mesh in MESHES] + ["al108-gamma"]
    data = {name: ns.Dataset.open(out / f"{name}.zarr") for name in names}
    results: dict[str, dict[str, object]] = {}
    converged = data["al32-3x3x3"]
    print(f"\n{'labels':14s} {'NRMSE %':>16s} {'NMAE %':>16s}   against 3x3x3: NRMSE %, NMAE %")
    for name, dataset in data.items():
        models = [learn(dataset, seed, arguments.steps, arguments.threads) for seed in range(arguments.seeds)]
        own = [judge(model, dataset) for model in models]
        true = [judge(model, converged) for model in models]
        results[name] = {"own_labels": own, "against_3x3x3": true}
        if name.startswith("al32"):
            results[name]["labels_against_3x3x3"] = scatter(dataset, converged)
        row = [" ".join(f"{e[key]:.3f}" for e in own) for key in ("nrmse_percent", "nmae_percent")]
        other = [" ".join(f"{e[key]:.3f}" for e in true) for key in ("nrmse_percent", "nmae_percent")]
        print(f"{name:14s} {row[0]:>16s} {row[1]:>16s}   {other[0]:>16s} {other[1]:>16s}", flush=True)
    for name in ("al32-gamma", "al32-2x2x2"):
        found = results[name]["labels_against_3x3x3"]
        print(f"labels of {name} against 3x3x3: {found}")
    (out / "kpoint_error.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
