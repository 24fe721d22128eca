"""What pruning to 1 % costs and saves: scoring, selection and training against training on everything.

Full data "as the paper does it" is AdamW at a constant rate over all points, epoch after epoch, until
the validation error has not fallen for `--patience` epochs. Beside it stands the harder opponent: the full
data under one-cycle schedules of several lengths. All variants take turns in one process, once a seed;
describing the points is part of every time. Errors are means over the test snapshots, trajectories that are
not in training.

    python benchmarks/coreset_cost.py DATA.zarr --threads 1 --seeds 3 --json OUT.json
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import nearsight as ns
from nearsight.coreset import Candidates, Importance
from nearsight.inference.predictor import predict_density
from nearsight.metrics.density import density_errors
from nearsight.networks import GaussianProcessSettings, LinearSettings
from nearsight.networks.protocol import NetworkSettings
from nearsight.provenance import generator, machine, to_plain
from nearsight.training import TrainSettings, describe_points, score_dataset
from nearsight.workflows.config import Config
from nearsight.workflows.material import describe_validation, from_dataset, species_of, training_points
from nearsight.workflows.plan import Plan, make_plan
from nearsight.workflows.train import fit

KEEP = 0.01


class Bench:
    """One data set, one plan, and the ways to a model."""

    def __init__(self, dataset: ns.Dataset, plan: Plan) -> None:
        self.dataset, self.plan = dataset, plan
        self.points = training_points(dataset)
        self.n_keep = round(KEEP * len(self.points))

    def full(self, seed: int, training: TrainSettings) -> tuple[ns.DensityModel, dict[str, float]]:
        """Describe everything, train on everything."""
        return self._train(self.points, seed, training, self.plan.network, {})

    def random(
        self, seed: int, training: TrainSettings, network: NetworkSettings | None = None
    ) -> tuple[ns.DensityModel, dict[str, float]]:
        """Draw 1 %, describe only those, train."""
        chosen = generator(seed, "random").choice(len(self.points), self.n_keep, replace=False)
        return self._train(
            self.points.take(np.sort(chosen)), seed, training, network or self.plan.network, {}
        )

    def importance(self, seed: int, training: TrainSettings) -> tuple[ns.DensityModel, dict[str, float]]:
        """Score every point with networks trained on 1 % of them, one pass; draw by score; train."""
        plan, began = self.plan, time.perf_counter()
        scores = score_dataset(
            self.dataset,
            plan.descriptor,
            self.points,
            plan.network,
            plan.target,
            plan.scoring,
            plan.training,
            kinds=("grand",),
            seed=seed,
            threads=plan.training.threads,
        )
        scored = time.perf_counter()
        offered = Candidates(len(self.points), scores.columns)
        chosen = Importance().select(offered, self.n_keep, generator(seed, "importance"))
        seconds = {"scoring": scored - began, "selection": time.perf_counter() - scored}
        return self._train(
            self.points.take(chosen.indices, chosen.weights), seed, training, plan.network, seconds
        )

    def _train(
        self,
        points: ns.PointSet,
        seed: int,
        training: TrainSettings,
        network: NetworkSettings,
        seconds: dict[str, float],
    ) -> tuple[ns.DensityModel, dict[str, float]]:
        began = time.perf_counter()
        table = describe_points(self.dataset, self.plan.descriptor, points, threads=training.threads)
        validation = describe_validation(
            self.dataset, self.plan.descriptor, self.plan.validation_points, seed
        )
        described = time.perf_counter()
        plan = replace(self.plan, training=training, network=network)
        result = fit(from_dataset(self.dataset, table, validation), plan, seed=seed)
        done = time.perf_counter()
        found = {**seconds, "describe": described - began, "training": done - described}
        facts = {"steps": float(result.steps), "validation": float(result.validation_nrmse_percent or np.nan)}
        return result.model, {**found, "total": sum(found.values()), **facts}


def judged(model: ns.DensityModel, dataset: ns.Dataset, trajectories: set[str]) -> float:
    """Mean NRMSE over the test snapshots of these trajectories, per cent."""
    errors = []
    for number in dataset.snapshots("test"):
        if dataset.info(number).trajectory in trajectories:
            structure, truth = dataset.structure(number), dataset.density(number)
            density = predict_density(model, structure, truth.grid).density
            errors.append(density_errors(density, truth, structure.n_atoms).nrmse_percent)
    return float(np.mean(errors))


def variants(
    bench: Bench, patience: int
) -> dict[str, Callable[[int], tuple[ns.DensityModel, dict[str, float]]]]:
    base = bench.plan.training
    paper = replace(
        base,
        epochs=300.0,
        decay="constant",
        learning_rate=1e-3,
        warmup=0.0,
        weight_decay=0.0,
        checks=300,
        patience=patience,
    )
    ways: dict[str, Callable[[int], tuple[ns.DensityModel, dict[str, float]]]] = {
        "all, epochs until validation stops falling": lambda seed: bench.full(seed, paper)
    }
    for steps in (250, 500, 1000, 2000, 4000):
        cycle = replace(base, steps=steps)
        ways[f"all, one cycle of {steps}"] = lambda seed, cycle=cycle: bench.full(seed, cycle)
    for steps in (500, 1000, 2000):
        cycle = replace(base, steps=steps)
        ways[f"1 % random, one cycle of {steps}"] = lambda seed, cycle=cycle: bench.random(seed, cycle)
        ways[f"1 % importance, one cycle of {steps}"] = lambda seed, cycle=cycle: bench.importance(
            seed, cycle
        )
    fitted: dict[str, NetworkSettings] = {
        "Gaussian process": GaussianProcessSettings(),
        "Gaussian process, 1,000 inducing points, metric on 2,000": GaussianProcessSettings(
            inducing=1000, metric_on=2000
        ),
        "linear, degree 2": LinearSettings(),
    }
    for name, network in fitted.items():
        ways[f"1 % random, {name}"] = lambda seed, network=network: bench.random(seed, base, network)
    return ways


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--generality", nargs="*", default=[], help="test trajectories that are left out")
    parser.add_argument("--config", type=Path, help="training settings (YAML), as for nearsight train")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--patience", type=int, default=10, help="epochs without a lower validation error")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dataset = ns.Dataset.open(arguments.data)
    config = Config()
    if arguments.config:
        from nearsight.workflows.config import read_yaml

        config = read_yaml(arguments.config, Config)
    config = config.model_copy(update={"training": {**config.training, "threads": arguments.threads}})
    bench = Bench(dataset, make_plan(config, species_of(dataset), has_atoms=bool(dataset.radial)))
    trajectories = {t for t, split in dataset.trajectories().items() if split == "test"}
    trajectories -= set(arguments.generality)
    ways = variants(bench, arguments.patience)
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for seed in range(arguments.seeds):
        for name, way in ways.items():
            model, facts = way(seed)
            rows[name].append({**facts, "nrmse": judged(model, dataset, trajectories)})
            last = rows[name][-1]
            print(f"seed {seed}: {name}: {last['total']:.1f} s, NRMSE {last['nrmse']:.4f} %", flush=True)
    print(f"\n{len(bench.points):,} points, {bench.n_keep:,} kept, {arguments.threads} thread(s)\n")
    print("| variant | steps | scoring + selection, s | describe, s | training, s | total, s | NRMSE % |")
    print("|---|---|---|---|---|---|---|")
    for name, found in rows.items():
        mean = {key: float(np.mean([row.get(key, 0.0) for row in found])) for key in found[0]}
        chosen = mean.get("scoring", 0.0) + mean.get("selection", 0.0)
        print(
            f"| {name} | {mean['steps']:.0f} | {chosen:.1f} | {mean['describe']:.1f} | "
            f"{mean['training']:.1f} | {mean['total']:.1f} | {mean['nrmse']:.4f} |"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(to_plain({"rows": rows, "machine": machine()}), indent=1))


if __name__ == "__main__":
    main()
