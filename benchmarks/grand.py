"""What a GraNd score costs next to a training step, a point, in one run.

Training steps and scoring passes take turns, so that a busy machine disturbs both alike; the best
round of each counts. Scores are first compared with per-sample automatic differentiation.

    python benchmarks/grand.py --threads 2
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.func import functional_call, grad, vmap

from nearsight.model.scaler import FeatureScaler
from nearsight.model.target import Target
from nearsight.networks import MLP, MLPSettings
from nearsight.networks.precision import hidden_products
from nearsight.points import PointSet
from nearsight.training import PointTable, ScoreSettings, TrainSettings, gradient_norms
from nearsight.training.trainer import Trainer, TrainingData, torch_threads


def make_table(n: int, n_features: int) -> PointTable:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n, n_features)).astype(np.float32)
    density = np.tanh(features[:, :8].sum(axis=1) / 3)
    return PointTable(PointSet(np.zeros(n), np.arange(n), np.ones(n)), features, density, None)


def largest_deviation(network: MLP, x: torch.Tensor, t: torch.Tensor) -> float:
    """Of the closed form from per-sample autograd, relative."""
    weights = {name: p.detach() for name, p in network.named_parameters()}

    def loss(weights: dict[str, torch.Tensor], x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return (functional_call(network, weights, (x[None],))[0] - t).square()

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))(weights, x, t)
    exact = sum(g.flatten(1).square().sum(1) for g in gradients.values()).sqrt()
    norms, _ = gradient_norms(network, x, t)
    return float((norms / exact - 1).abs().max())


def per_point(work: Callable[[], int]) -> float:
    """Microseconds a point of one round."""
    began = time.perf_counter()
    points = work()
    return 1e6 * (time.perf_counter() - began) / points


def rounds(
    network: MLP, data: TrainingData, precision: str, block: int, n_rounds: int
) -> tuple[float, float]:
    """Best microseconds a point of a training step and of a score."""
    settings = TrainSettings(precision=precision)  # type: ignore[arg-type]
    trainer = Trainer(network, data, settings, seed=0)
    n_steps = max(1, len(data) // settings.batch)

    def train() -> int:
        for _ in range(n_steps):
            trainer.step()
        return n_steps * settings.batch

    def score() -> int:
        for first in range(0, len(data), block):
            x, t = data.block(first, first + block)
            with hidden_products(settings.precision, data.device):
                gradient_norms(network, x, t)
        return len(data)

    pairs = [(per_point(train), per_point(score)) for _ in range(n_rounds)]
    return min(p[0] for p in pairs), min(p[1] for p in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--points", type=int, default=65_536)
    parser.add_argument("--features", type=int, default=69)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--block", type=int, default=ScoreSettings().block)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    table = make_table(options.points, options.features)
    scaler, target = FeatureScaler.fit(table.features), Target.fit("total", table.density, None)
    data = TrainingData(table, scaler, target, torch.device("cpu"))
    shape = MLPSettings(width=options.width, depth=options.depth)
    with torch_threads(options.threads):
        network = shape.build(options.features, torch.Generator().manual_seed(0))
        deviation = largest_deviation(network, *data.block(0, 256))
        print(f"MLP {shape.depth}×{shape.width}, {options.features} features, {options.threads} threads")
        print(f"largest relative deviation from per-sample autograd: {deviation:.1e}")
        print(f"{'precision':10} {'training step':>15} {'GraNd score':>15} {'score / step':>13}")
        for precision in ("float32", "bfloat16"):
            step, score = rounds(network, data, precision, options.block, options.rounds)
            print(f"{precision:10} {step:12.2f} µs {score:12.2f} µs {score / step:13.2f}")


if __name__ == "__main__":
    main()
