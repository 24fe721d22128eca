"""How fast a cube file becomes a density, beside other ways to do it (one thread).

python benchmarks/cube_reading.py --points 128
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase.io.cube import read_cube_data

from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io import read_snapshot, write_density
from nearsight.structure import Structure


def best_of(action: Callable[[], object], repeats: int) -> float:
    """Shortest of several runs in seconds; the first, which may compile, is not counted."""
    action()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=128, help="grid points along each axis")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    n = arguments.points
    rng = np.random.default_rng(0)
    structure = Structure(np.eye(3) * 15.3, rng.uniform(0, 15, (32, 3)), np.full(32, 13))
    grid = UniformGrid(structure.cell, (n, n, n))
    density = ScalarField(grid, rng.uniform(1e-4, 1, grid.shape)).rescaled(96.0).field
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "density.cube"
        start = time.perf_counter()
        write_density(path, structure, density)
        written = time.perf_counter() - start
        megabytes = path.stat().st_size / 1e6
        ways: dict[str, Callable[[], object]] = {
            "bytes only": path.read_bytes,
            "nearsight read_snapshot": lambda: read_snapshot(path),
            "numpy.fromstring, values only": lambda: np.fromstring(_body(path), sep=" "),
            "ase read_cube_data": lambda: read_cube_data(str(path)),
        }
        print(f"{n}³ points, {megabytes:.1f} MB, one thread; written in {written:.2f} s")
        for name, way in ways.items():
            seconds = best_of(way, arguments.repeats)
            print(f"{name:30s} {seconds:8.3f} s {megabytes / seconds:8.0f} MB/s")


def _body(path: Path) -> str:
    """The values of a cube of this script: what follows 6 + 32 lines of header."""
    return path.read_text().split("\n", 38)[38]


if __name__ == "__main__":
    main()
