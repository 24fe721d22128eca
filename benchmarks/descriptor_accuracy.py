"""Error of models on several descriptors, on the validation snapshots of a data set; test data unseen.

After ``make demo``:  python benchmarks/descriptor_accuracy.py nearsight-demo/data.zarr --keep 0.1
"""

import argparse
from pathlib import Path

import numpy as np

import nearsight as ns
from nearsight.provenance import generator
from nearsight.training import describe_points
from nearsight.workflows.material import describe_validation, from_dataset, species_of, training_points
from nearsight.workflows.plan import make_plan
from nearsight.workflows.train import fit

DESCRIPTORS = {
    "power_spectrum, default": {"name": "power_spectrum"},
    "power_spectrum, cut-off 11": {"name": "power_spectrum", "cutoff": 11.0},
    "power_spectrum, 6 6 6 6": {"name": "power_spectrum", "channels": [6, 6, 6, 6]},
    "local_frame, M = 16": {"name": "local_frame", "n_neighbours": 16},
    "local_frame, M = 24": {"name": "local_frame", "n_neighbours": 24},
    "scalar_products, default": {"name": "scalar_products"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--keep", type=float, default=0.1, help="fraction of the training points, at random")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    dataset = ns.Dataset.open(arguments.data)
    every = training_points(dataset)
    print(f"{arguments.keep:.0%} of {len(every):,} points, {arguments.threads} threads, validation snapshots")
    print(f"{'descriptor':30s} features  NRMSE %, seed by seed")
    for name, settings in DESCRIPTORS.items():
        config = ns.Config(descriptor=settings, training={"threads": arguments.threads})
        plan = make_plan(config, species_of(dataset), has_atoms=bool(dataset.radial))
        chosen = generator(0, "points").choice(len(every), round(arguments.keep * len(every)), replace=False)
        table = describe_points(dataset, plan.descriptor, every.take(np.sort(chosen)))
        validation = describe_validation(dataset, plan.descriptor, plan.validation_points, 0)
        material = from_dataset(dataset, table, validation)
        errors = [
            fit(material, plan, seed=seed).validation_nrmse_percent or np.nan
            for seed in range(arguments.seeds)
        ]
        print(
            f"{name:30s} {plan.descriptor.n_features:8d}  " + "  ".join(f"{e:.3f}" for e in errors),
            flush=True,
        )


if __name__ == "__main__":
    main()
