"""Which model for how many points: a network, a Gaussian process, a linear model and an ensemble on the same
random points, their errors on validation and test snapshots, and their time.

    python benchmarks/small_data.py DATA.zarr --threads 1 --points 400 4000 10000 --seeds 2
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import nearsight as ns
from nearsight.networks import EnsembleSettings, GaussianProcessSettings, LinearSettings, MLPSettings
from nearsight.networks.protocol import NetworkSettings
from nearsight.provenance import generator
from nearsight.training import PointTable, describe_points
from nearsight.workflows.config import Config
from nearsight.workflows.material import describe_validation, from_dataset, species_of, training_points
from nearsight.workflows.plan import make_plan
from nearsight.workflows.train import fit

MODELS: dict[str, NetworkSettings] = {
    "linear, degree 1": LinearSettings(degree=1),
    "linear (degree 2)": LinearSettings(),
    "gaussian_process": GaussianProcessSettings(),
    "gaussian_process, plain distances": GaussianProcessSettings(metric_rounds=0),
    "gaussian_process, 1,000 inducing points": GaussianProcessSettings(inducing=1000),
    "mlp": MLPSettings(),
    "ensemble of four mlp": EnsembleSettings(4),
}


def nrmse(model: ns.DensityModel, table: PointTable) -> float:
    """Mean over snapshots of √⟨e²⟩ / (max − min), per cent, at the points of a table."""
    density = model.predict_points(table.features, table.rho_saed)
    errors = []
    for _, rows in table.points.by_snapshot():
        error = density[rows] - table.density[rows]
        errors.append(100 * np.sqrt(np.mean(error**2)) / np.ptp(table.density[rows]))
    return float(np.mean(errors))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--points", type=int, nargs="+", default=[400, 4000, 10_000])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--generality", nargs="*", default=[], help="test trajectories that are left out")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dataset = ns.Dataset.open(arguments.data)
    config = Config(training={"threads": arguments.threads})
    plan = make_plan(config, species_of(dataset), has_atoms=bool(dataset.radial))
    tests = [n for n in dataset.snapshots("test") if dataset.info(n).trajectory not in arguments.generality]
    held_out = ns.PointSet.all_of(tests, [int(np.prod(dataset.info(n).shape)) for n in tests])
    chosen = generator(0, "held out").choice(len(held_out), min(60_000, len(held_out)), replace=False)
    test = describe_points(dataset, plan.descriptor, held_out.take(np.sort(chosen)))
    validation = describe_validation(dataset, plan.descriptor, plan.validation_points, 0)
    every = training_points(dataset)
    print("| points | model | seconds | validation NRMSE % | test NRMSE % |\n|---|---|---|---|---|")
    for n_points in arguments.points:
        for name in arguments.models:
            seconds, checked, tested = [], [], []
            for seed in range(arguments.seeds):
                rows = generator(seed, "points").choice(len(every), n_points, replace=False)
                table = describe_points(dataset, plan.descriptor, every.take(np.sort(rows)))
                began = time.perf_counter()
                material = from_dataset(dataset, table, validation)
                result = fit(material, replace(plan, network=MODELS[name]), seed=seed)
                seconds.append(time.perf_counter() - began)
                checked.append(result.validation_nrmse_percent or np.nan)
                tested.append(nrmse(result.model, test))
            columns = (
                ", ".join(f"{v:.{digits}f}" for v in vs)
                for vs, digits in ((seconds, 1), (checked, 3), (tested, 3))
            )
            print(f"| {n_points:,} | {name} | " + " | ".join(columns) + " |", flush=True)


if __name__ == "__main__":
    main()
