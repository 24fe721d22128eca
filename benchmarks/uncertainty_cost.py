"""What uncertainty costs: training and prediction of each kind of network against the plain one.

    python benchmarks/uncertainty_cost.py DATA.zarr [--threads 1] [--rounds 3] [--steps 300]

The kinds take turns, so that a busy machine slows them alike; the least of the rounds counts. Training: CPU
seconds of so many steps on the training points of one snapshot, described before. Prediction: of one
snapshot's density from structure to field, without and with both uncertainties.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nearsight as ns
from nearsight.inference.predictor import predict_density
from nearsight.networks.protocol import network_from_settings
from nearsight.training import TrainSettings, describe_points
from nearsight.workflows.config import Config
from nearsight.workflows.material import from_dataset, species_of, training_points
from nearsight.workflows.plan import make_plan
from nearsight.workflows.train import fit

KINDS: dict[str, dict[str, Any]] = {
    "mlp": {"network": "mlp"},
    "mean_variance": {"network": "mean_variance"},
    "bayesian": {"network": "bayesian"},
    "last_layer": {"network": "last_layer"},
    "ensemble of four": {"network": "ensemble", "members": 4, "member": {"network": "mean_variance"}},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = ns.Dataset.open(arguments.data)
    plan = make_plan(Config(), species_of(data), has_atoms=bool(data.radial))
    every = training_points(data)
    points = every.take(np.flatnonzero(every.snapshot == every.snapshot[0]))
    table = describe_points(data, plan.descriptor, points)
    material = from_dataset(data, table, None)
    settings = TrainSettings(steps=arguments.steps, threads=arguments.threads, checks=1)
    networks = {name: network_from_settings(kind) for name, kind in KINDS.items()}
    models = {}
    training: dict[str, list[float]] = {name: [] for name in KINDS}
    for _ in range(arguments.rounds):
        for name, network in networks.items():
            own = replace(plan, network=network, training=settings)
            began = time.process_time()
            models[name] = fit(material, own, seed=0).model
            training[name].append(time.process_time() - began)
    number = data.numbers()[0]
    structure, grid = data.structure(number), data.grid(number)
    plain: dict[str, list[float]] = {name: [] for name in KINDS}
    stated: dict[str, list[float]] = {name: [] for name in KINDS}
    threads = arguments.threads
    for _ in range(arguments.rounds + 1):
        for name, model in models.items():
            for asked, found in ((False, plain), (True, stated)):
                if not asked or model.knows_uncertainty:
                    began = time.process_time()
                    predict_density(model, structure, grid, threads=threads, uncertainty=asked)
                    found[name].append(time.process_time() - began)
    base, reference = min(training["mlp"]), min(plain["mlp"])
    print(
        f"{arguments.steps} steps, {len(table):,} points, {grid.n_points:,} predicted, {threads} thread(s)\n"
    )
    print("| network | training, CPU s | over mlp | prediction, CPU s | with uncertainty | over plain mlp |")
    print("|---|---|---|---|---|---|")
    for name in KINDS:
        known = stated[name]
        both = f"{min(known):.3f} | {min(known) / reference:.2f}" if known else "– | –"
        cost = min(training[name])
        print(f"| {name} | {cost:.2f} | {cost / base:.2f} | {min(plain[name]):.3f} | {both} |")


if __name__ == "__main__":
    main()
