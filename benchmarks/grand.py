"""What scores cost next to a training step, a point and a network, in one run.

Training steps and scoring passes take turns, so that a busy machine disturbs both alike; the best
round of each counts. GraNd scores are first compared with per-sample automatic differentiation. ``dual``
asks the network twelve times. For tables on disk see ``score_streaming.py``.

    python benchmarks/grand.py --threads 2
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch.func import functional_call, grad, vmap

from nearsight.networks import MLP, MLPSettings
from nearsight.networks.precision import Precision
from nearsight.points import PointSet
from nearsight.training import PointTable, ScoreSettings, TrainSettings, gradient_norms
from nearsight.training.proxy import Panel, train_panel
from nearsight.training.score_stream import keep_heap, table_blocks
from nearsight.training.trainer import Trainer, TrainingData, torch_threads

#: kinds whose cost is measured
TIMED = ("grand", "last_layer", "residual", "leverage", "dual")


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
    network: MLPSettings, table: PointTable, precision: Precision, block: int, n_rounds: int
) -> list[float]:
    """Best microseconds a point of a training step and of each kind of score, one network each."""
    train = TrainSettings(precision=precision, device="cpu")
    scoring = ScoreSettings(initialisations=1, steps=12, block=block, precision=precision, proxy=None)
    panels = [
        train_panel(table, network, "total", scoring, train, (kind,), n_points=len(table)) for kind in TIMED
    ]
    data = TrainingData(table, panels[0].scaler, panels[0].target, torch.device("cpu"))
    trainer = Trainer(network.build(table.n_features, seeded()), data, train, seed=0)
    n_steps = max(1, len(data) // train.batch)

    def step() -> int:
        for _ in range(n_steps):
            trainer.step()
        return n_steps * trainer.batches.size

    def score(panel: Panel) -> int:
        for _, part in table_blocks(table, block):
            panel.score(part)
        return len(table)

    keep_heap()
    times = [
        [per_point(step), *(per_point(partial(score, panel)) for panel in panels)] for _ in range(n_rounds)
    ]
    return [float(t) for t in np.min(times, axis=0)]


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


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
    shape = MLPSettings(width=options.width, depth=options.depth)
    with torch_threads(options.threads):
        network = shape.build(options.features, seeded())
        x, t = torch.from_numpy(table.features[:256]), torch.from_numpy(table.density[:256]).float()
        deviation = largest_deviation(network, x, t)
        print(f"MLP {shape.depth}×{shape.width}, {options.features} features, {options.threads} threads")
        print(f"largest relative deviation from per-sample autograd: {deviation:.1e}")
        print(f"µs a point; in brackets as a multiple of the step\n{'precision':10} {'step':>6}", end="")
        print("".join(f"{kind:>18}" for kind in TIMED))
        for precision in ("float32", "bfloat16"):
            step, *scores = rounds(shape, table, precision, options.block, options.rounds)
            print(f"{precision:10} {step:6.2f}", end="")
            print("".join(f"{score:11.2f} ({score / step:4.2f})" for score in scores))


if __name__ == "__main__":
    main()
