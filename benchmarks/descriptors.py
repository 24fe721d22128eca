"""Points a second of the descriptors on 32-atom aluminium, on one thread or more.

    python benchmarks/descriptors.py [--shape 48] [--threads 1] [--repeats 5]

The figure is the best of the repeats, without compilation, on the points of a regular grid in its own
order (which is how densities are predicted) and, beside it, in random order (how training points come).
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from ase.build import bulk

from nearsight.descriptors import LocalFrame, PowerSpectrum, ScalarProducts, evaluate
from nearsight.descriptors.protocol import Descriptor
from nearsight.grid import UniformGrid
from nearsight.provenance import machine
from nearsight.structure import Structure


def aluminium() -> Structure:
    atoms = bulk("Al", a=4.05, cubic=True) * (2, 2, 2)
    atoms.rattle(0.1, seed=1)
    return Structure.from_ase(atoms)


def best_time(work: Callable[[], object], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def rate(
    descriptor: Descriptor, structure: Structure, points: np.ndarray, threads: int, repeats: int
) -> float:
    evaluator = descriptor.prepare(structure)
    return len(points) / best_time(lambda: evaluate(evaluator, points, threads), repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, default=48, help="grid points along each cell vector")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    structure = aluminium()
    grid = UniformGrid(structure.cell, (options.shape,) * 3)
    points = grid.points()
    shuffled = points[np.random.default_rng(0).permutation(len(points))]
    described = {
        "power_spectrum, default": PowerSpectrum([13]),
        "power_spectrum, cut-off 7": PowerSpectrum([13], cutoff=7.0),
        "power_spectrum, 6 channels, l ≤ 3": PowerSpectrum([13], channels=(6, 6, 6, 6)),
        "local_frame, M = 16": LocalFrame([13], 16),
        "local_frame, M = 24": LocalFrame([13], 24),
        "scalar_products, default": ScalarProducts([13]),
        "scalar_products, distances alone": ScalarProducts([13], n_angular=0),
        "scalar_products, 16, 8, 6": ScalarProducts([13], 16, 8, 6),
    }
    print(f"{structure}, {grid.n_points} points, {options.threads} thread(s), {machine()['processor']}")
    print(f"{'descriptor':36}{'features':>9}{'points/s':>12}{'random order':>14}")
    for name, descriptor in described.items():
        rates = [rate(descriptor, structure, p, options.threads, options.repeats) for p in (points, shuffled)]
        print(f"{name:36}{descriptor.n_features:9d}{rates[0]:12,.0f}{rates[1]:14,.0f}")


if __name__ == "__main__":
    main()
