"""Speed of the superposition of atomic densities: Al crystals on grids and at points.

    python benchmarks/superposition.py [--threads N] [--repeats N] [--spacing BOHR]

Prints the best of several runs. "Pairs" are (atom, point) pairs within the cut-off.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from ase.build import bulk

from nearsight.atomic.superposition import Superposition
from nearsight.engines.radial_atom import solve_atom
from nearsight.grid import UniformGrid
from nearsight.provenance import machine
from nearsight.structure import Structure


def best(work: Callable[[], object], repeats: int) -> float:
    """Shortest of several runs in seconds, after one that compiles."""
    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--spacing", type=float, default=0.32, help="of the larger grid, bohr")
    options = parser.parse_args()

    solve_atom.cache_clear()
    start = time.perf_counter()
    table = solve_atom(13)
    print(f"{machine()['processor']}, {options.threads} thread(s)")
    print(f"free Al atom solved in {time.perf_counter() - start:.3f} s, cut-off {table.cutoff:.1f} bohr")
    print(f"{'case':<28}{'seconds':>9}{'Mpoints/s':>11}{'atoms/s':>10}{'Mpairs/s':>10}")
    small, large = bulk("Al", cubic=True).repeat(2), bulk("Al", cubic=True).repeat((6, 6, 7))
    for atoms, shape in ((small, (48, 48, 48)), (large, None)):
        atoms.rattle(0.1, seed=1)
        structure = Structure.from_ase(atoms)
        grid = (
            UniformGrid(structure.cell, shape)
            if shape
            else UniformGrid.with_spacing(structure.cell, options.spacing)
        )
        pairs = structure.n_atoms * 4 / 3 * np.pi * table.cutoff**3 / grid.dv
        ready = Superposition(structure, {13: table})
        points = grid.points(0, min(grid.n_points, 200_000))
        rows = {
            "grid": (lambda r=ready, g=grid: r.on_grid(g, threads=options.threads), 1.0),
            "points": (
                lambda r=ready, p=points: r.at(p, threads=options.threads),
                len(points) / grid.n_points,
            ),
        }
        name = f"Al{structure.n_atoms} {'×'.join(map(str, grid.shape))}"
        for kind, (work, share) in rows.items():
            seconds = best(work, options.repeats)
            print(
                f"{name + ' ' + kind:<28}{seconds:>9.4f}{share * grid.n_points / seconds / 1e6:>11.2f}"
                f"{share * structure.n_atoms / seconds:>10.0f}{share * pairs / seconds / 1e6:>10.0f}"
            )


if __name__ == "__main__":
    main()
