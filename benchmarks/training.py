"""Training and prediction speed of a perceptron, and what bfloat16 products cost in accuracy.

Speed is measured on synthetic points, the two precisions taking turns; the best round counts. With
``--data data.zarr`` (a labelled data set) one model is trained in each precision on the training
snapshots, and the test snapshots' densities are compared.

    python benchmarks/training.py --threads 2
    python benchmarks/training.py --threads 1 --data nearsight-demo/data.zarr
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from nearsight.descriptors import PowerSpectrum
from nearsight.model.scaler import FeatureScaler
from nearsight.model.target import Target
from nearsight.networks import MLPSettings
from nearsight.networks.precision import Precision, hidden_products
from nearsight.points import PointSet
from nearsight.store import Dataset
from nearsight.training import PointTable, TrainSettings, describe_points, train_model
from nearsight.training.trainer import Trainer, TrainingData, torch_threads

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


def speed(n_features: int, shape: MLPSettings, n_rounds: int, threads: int) -> None:
    """Print points a second of training steps and of prediction."""
    n = 262_144
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n, n_features)).astype(np.float32)
    density = np.tanh(features[:, :8].sum(axis=1) / 3)
    table = PointTable(PointSet(np.zeros(n), np.arange(n), np.ones(n)), features, density, None)
    scaler, target = FeatureScaler.fit(features), Target.fit("total", density, None)
    data = TrainingData(table, scaler, target, torch.device("cpu"))
    network = shape.build(n_features, torch.Generator().manual_seed(0))
    trainers = {p: Trainer(network, data, TrainSettings(precision=p), seed=0) for p in PRECISIONS}
    best = {(p, what): 0.0 for p in PRECISIONS for what in ("training", "prediction")}
    for _ in range(n_rounds):
        for p in PRECISIONS:
            best[p, "training"] = max(best[p, "training"], _training_speed(trainers[p]))
            best[p, "prediction"] = max(best[p, "prediction"], _prediction_speed(trainers[p], p))
    print(f"MLP {shape.depth}×{shape.width}, {n_features} features, {threads} threads, points/s")
    print(f"{'':12} {'float32':>12} {'bfloat16':>12} {'ratio':>7}")
    for what in ("training", "prediction"):
        slow, fast = (best[p, what] for p in PRECISIONS)
        print(f"{what:12} {slow:12,.0f} {fast:12,.0f} {fast / slow:7.2f}")


def _training_speed(trainer: Trainer, steps: int = 40) -> float:
    began = time.perf_counter()
    for _ in range(steps):
        trainer.step()
    return steps * trainer.batches.size / (time.perf_counter() - began)


def _prediction_speed(trainer: Trainer, precision: Precision, block: int = 16_384) -> float:
    began = time.perf_counter()
    for start in range(0, 8 * block, block):
        x, _ = trainer.data.block(start, start + block)
        with hidden_products(precision, trainer.data.device), torch.no_grad():
            trainer.network(x)
    return 8 * block / (time.perf_counter() - began)


def accuracy(path: Path, shape: MLPSettings, threads: int, seeds: int) -> None:
    """Print test errors of models trained, and used, in each precision."""
    dataset = Dataset.open(path)
    parts = {s: dataset.snapshots(s) for s in ("train", "validation", "test")}
    species = dataset.structure(parts["train"][0]).species
    descriptor = PowerSpectrum(species)
    tables = {
        s: describe_points(dataset, descriptor, PointSet.all_of(n, [dataset.grid(k).n_points for k in n]))
        for s, n in parts.items()
    }
    test = tables["test"]
    print(
        f"{len(tables['train']):,} training points, test NMAE % by the precision of training and prediction"
    )
    print(
        f"{'seed':>4} {'trained in':>10} {'float32':>9} {'bfloat16':>9} {'their distance':>15} {'seconds':>8}"
    )
    for seed in range(seeds):
        for p in PRECISIONS:
            result = train_model(
                tables["train"],
                tables["validation"],
                descriptor,
                shape,
                "difference",
                TrainSettings(precision=p, threads=threads),
                radial=dataset.radial,
                valence={z: t.n_electrons for z, t in dataset.radial.items()},
                engine=dataset.engine,
                spacing=0.3,
                seed=seed,
            )
            exact, rounded = (
                result.model.predict_points(test.features, test.rho_saed, precision=q) for q in PRECISIONS
            )
            print(
                f"{seed:4} {p:>10} {_nmae(exact, test.density):9.4f} {_nmae(rounded, test.density):9.4f} "
                f"{_nmae(rounded, exact):15.4f} {result.seconds:8.1f}"
            )


def _nmae(density: np.ndarray, reference: np.ndarray) -> float:
    """Per cent, all test snapshots together, not rescaled."""
    return 100 * float(np.abs(density - reference).sum() / reference.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--features", type=int, default=69)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, help="labelled data set, to compare accuracies")
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    shape = MLPSettings(width=options.width, depth=options.depth)
    with torch_threads(options.threads):
        speed(options.features, shape, options.rounds, options.threads)
        if options.data is not None:
            accuracy(options.data, shape, options.threads, options.seeds)


if __name__ == "__main__":
    main()
