"""What selection costs: time and extra memory of every method on synthetic points, in one run.

The points have correlated features on a manifold of a few dimensions plus noise, a density, its
gradient, long-tailed scores and 50 snapshots. Memory is the peak of what a second run allocates on top of
the candidates; its tracing would slow the first. On one thread:

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/selection.py --points 1000000
"""

import argparse
import time
import tracemalloc

import numpy as np

from nearsight.coreset import METHODS, SCORES, Candidates, SelectionMethod


def make_candidates(n: int, n_features: int, rng: np.random.Generator) -> Candidates:
    latent = rng.normal(size=(n, 6)).astype(np.float32)
    features = np.tanh(latent @ rng.normal(size=(6, n_features)).astype(np.float32))
    features += rng.normal(scale=0.1, size=features.shape).astype(np.float32)
    features /= features.std(axis=0)
    density = np.exp(-3 + latent[:, 0])
    gradient = density * np.exp(0.5 * rng.normal(size=n))
    scores = {name: rng.lognormal(size=n).astype(np.float32) for name in SCORES}
    snapshot = np.arange(n, dtype=np.int32) * 50 // n
    return Candidates(n, scores, features, density, gradient, snapshot)


def measure(method: SelectionMethod, candidates: Candidates, n_keep: int) -> tuple[float, float]:
    """Seconds, and MiB allocated above the candidates themselves in a second run."""
    began = time.perf_counter()
    kept = len(method.select(candidates, n_keep, np.random.default_rng(0)))
    seconds = time.perf_counter() - began
    assert kept == n_keep
    tracemalloc.start()
    method.select(candidates, n_keep, np.random.default_rng(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=91)
    parser.add_argument("--keep", type=float, nargs="+", default=[0.1, 0.01, 0.001])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    options = parser.parse_args()

    # what is imported on first use would count as the first method's time
    small = make_candidates(2000, 5, np.random.default_rng(0))
    for name in options.methods:
        METHODS[name]().select(small, 20, np.random.default_rng(0))
    candidates = make_candidates(options.points, options.features, np.random.default_rng(0))
    print(f"{options.points} points × {options.features} features; seconds, MiB on top of them")
    print(f"{'method':12}" + "".join(f"{f'keep {100 * keep:g} %':>20}" for keep in options.keep))
    for name in options.methods:
        cells = []
        for keep in options.keep:
            seconds, mib = measure(METHODS[name](), candidates, max(1, round(keep * options.points)))
            cells.append(f"{seconds:10.2f} s {mib:6.0f} M")
        print(f"{name:12}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
