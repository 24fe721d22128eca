"""GraNd of a table mapped on disk: its peak memory, and its rate next to training's.

The table is synthetic: normal features in a temporary file, and a smooth function of them for a density.
A child process scores all of it through `score_points` and reports its peak resident memory (VmHWM of
/proc/self/status, Linux). Then, in the same child and with the same network, three things take turns,
round after round, so that a busy machine disturbs them alike: scoring a stretch of the mapped table,
optimiser steps, and forward-and-backward passes alone (batches in memory already, no optimiser). The
best round of each counts.

    python benchmarks/score_streaming.py --points 10000000 --threads 1
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from nearsight.networks import MLPSettings
from nearsight.networks.precision import hidden_products, resolve_device, resolve_precision
from nearsight.points import PointSet
from nearsight.provenance import machine
from nearsight.training import PointTable, ScoreSettings, TrainSettings, score_points
from nearsight.training.proxy import Panel, train_panel
from nearsight.training.score_stream import table_blocks
from nearsight.training.trainer import Trainer, TrainingData, torch_threads

#: points of a round
ROUND = 1 << 17
#: points in memory on which training is timed
KEPT = 1 << 16


def write_table(folder: Path, n: int, n_features: int) -> None:
    """Features and densities, block by block."""
    rng = np.random.default_rng(0)
    with (folder / "features").open("wb") as features, (folder / "density").open("wb") as density:
        for first in range(0, n, ROUND):
            x = rng.standard_normal((min(ROUND, n - first), n_features), dtype=np.float32)
            x.tofile(features)
            np.tanh(x[:, :8].sum(axis=1, dtype=np.float64) / 3).tofile(density)


def open_table(folder: Path, n_features: int) -> PointTable:
    density = np.fromfile(folder / "density")
    n = len(density)
    features = np.memmap(folder / "features", np.float32, "r+", shape=(n, n_features))
    points = PointSet(np.zeros(n, np.int32), np.arange(n), np.ones(n, np.float32))
    return PointTable(points, features, density, None)


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def stretch(table: PointTable, number: int) -> PointTable:
    """Part `number` of a mapped table, round and round, still mapped."""
    first = number * ROUND % max(1, len(table) - ROUND)
    rows = slice(first, first + ROUND)
    points = table.points
    part = PointSet(points.snapshot[rows], points.index[rows], points.weight[rows])
    return PointTable(part, table.features[rows], table.density[rows], None)


def scoring(panel: Panel, part: PointTable) -> int:
    """Score a stretch; points times networks."""
    for _, block in table_blocks(part, panel.settings.block):
        panel.score(block)
    return len(part) * len(panel.judges)


def stepping(trainer: Trainer) -> int:
    """Optimiser steps on as many points."""
    n_steps = max(1, ROUND // trainer.batches.size)
    for _ in range(n_steps):
        trainer.step()
    return n_steps * trainer.batches.size


def passing(trainer: Trainer, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> int:
    """Forward and backward passes of the same network and nothing else."""
    n_points = 0
    while n_points < ROUND:
        for x, t in batches:
            trainer.optimizer.zero_grad(set_to_none=True)
            with hidden_products(trainer.settings.precision, trainer.data.device):
                output = trainer.network(x)
            (output - t).square().mean().backward()
            n_points += len(x)
    return n_points


def rate(work: Callable[[int], int], number: int) -> float:
    """Points a second of round `number`."""
    began = time.perf_counter()
    n_points = work(number)
    return n_points / (time.perf_counter() - began)


def child(options: argparse.Namespace) -> None:
    """Score, note the peak memory, then compare rates; one line of JSON."""
    table = open_table(options.folder, options.features)
    network = MLPSettings(width=options.width, depth=options.depth)
    settings = ScoreSettings(initialisations=options.initialisations, precision=options.precision)
    train = TrainSettings(threads=options.threads, precision=options.precision, device="cpu")
    scores = score_points(table, network, "total", settings, train, kinds=("grand",))
    assert np.isfinite(scores.grand).all()
    assert scores.grand.std() > 0
    found = {"peak_bytes": peak_bytes(), "seconds": scores.seconds, **scores.settings}
    with torch_threads(options.threads):
        found["rates"] = compared(table, network, settings, train, options.rounds)
    print(json.dumps(found))


def compared(
    table: PointTable, network: MLPSettings, settings: ScoreSettings, train: TrainSettings, n_rounds: int
) -> dict[str, float]:
    """Best points a second of scoring (a network), of optimiser steps and of bare passes."""
    kept = table.take(np.arange(min(KEPT, len(table))))
    panel = train_panel(kept, network, "total", settings, train, ("grand",), n_points=len(table))
    data = TrainingData(kept, panel.scaler, panel.target, resolve_device("cpu"))
    module = network.build(table.n_features, torch.Generator().manual_seed(0))
    trainer = Trainer(module, data, train, seed=0)
    batches = [data.gather(trainer.batches.rows(step))[:2] for step in range(trainer.batches.per_epoch)]
    works: tuple[Callable[[int], int], ...] = (
        lambda number: scoring(panel, stretch(table, number)),
        lambda _: stepping(trainer),
        lambda _: passing(trainer, batches),
    )
    rounds = [[rate(work, number) for work in works] for number in range(n_rounds)]
    best = np.max(rounds, axis=0)
    return dict(zip(("score", "step", "forward_backward"), best.tolist(), strict=True))


def report(found: dict[str, object], options: argparse.Namespace) -> None:
    rates = found["rates"]
    assert isinstance(rates, dict)
    precision = resolve_precision(options.precision, resolve_device("cpu"))
    print(f"{machine()['processor']}, {options.threads} threads, {precision}")
    print(
        f"{options.points:,} points × {options.features} features mapped on disk "
        f"({4 * options.points * options.features / 1e9:.2f} GB), MLP {options.depth}×{options.width}, "
        f"{found['initialisations']} initialisations × {found['steps']} steps on "
        f"{found['proxy_points']:,} points"
    )
    print(f"scored in {found['seconds']:.1f} s; peak resident memory {found['peak_bytes'] / 1e9:.2f} GB")  # type: ignore[operator]
    print(f"GraNd score          {rates['score']:12,.0f} points/s a network")
    for name, text in (("forward_backward", "forward and backward"), ("step", "optimiser step")):
        print(f"{text:20} {rates[name]:12,.0f} points/s: score is {rates['score'] / rates[name]:.2f} of it")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--points", type=int, default=300_000)
    parser.add_argument("--features", type=int, default=69)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--initialisations", type=int, default=ScoreSettings().initialisations)
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scratch", type=Path, help="where the mapped file goes; the temporary folder")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # set in the child
    options = parser.parse_args()
    if options.folder:
        child(options)
        return
    with tempfile.TemporaryDirectory(prefix="nearsight-scores-", dir=options.scratch) as folder:
        write_table(Path(folder), options.points, options.features)
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        threads = dict.fromkeys(names, str(options.threads))
        command = [sys.executable, __file__, *sys.argv[1:], "--folder", folder]
        done = subprocess.run(
            command, env=os.environ | threads, stdout=subprocess.PIPE, text=True, check=True
        )
    report(json.loads(done.stdout), options)


if __name__ == "__main__":
    main()
