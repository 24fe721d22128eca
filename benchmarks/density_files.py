"""How fast density files are read and written, format by format, beside a plain read of the same file.

python benchmarks/density_files.py --points 128 [--others] [--threads 2] [--cpu]

"plain" is `Path.read_bytes` of a file that the system has in memory: what no reader can beat;
"disk" the same after the file was dropped from memory, where the system lets us do that. `--others` times
ASE's readers too, and pymatgen's where it is installed; they take a while. `--cpu` counts processor time
instead of elapsed time, for a machine that others use too (one thread only: it adds threads up).
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numba
import numpy as np
from ase.calculators.vasp import VaspChargeDensity
from ase.io.cube import read_cube_data
from ase.io.xsf import read_xsf

from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io import read_snapshot, write_snapshot
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure

NAMES = ("x.cube", "x.dens", "CHGCAR", "x.xsf", "x.npz", "charge-density.hdf5")


def seconds(action: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    """Shortest of several runs; the first, which may compile, is not counted."""
    action()
    found = []
    for _ in range(repeats):
        start = clock()
        action()
        found.append(clock() - start)
    return min(found)


def from_disk(path: Path) -> float:
    """Seconds of a plain read after the system was asked to forget the file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    start = time.perf_counter()
    path.read_bytes()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--points", type=int, default=128, help="grid points along each axis")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--others", action="store_true", help="time other packages' readers too")
    parser.add_argument("--threads", type=int, default=1, help="threads that a text file is parsed with")
    parser.add_argument("--cpu", action="store_true", help="processor time instead of elapsed time")
    arguments = parser.parse_args()
    numba.set_num_threads(arguments.threads)
    timed = partial(seconds, clock=time.process_time if arguments.cpu else time.perf_counter)
    snapshot = make_snapshot(arguments.points)
    clock = "processor" if arguments.cpu else "elapsed"
    print(
        f"{arguments.points}³ points, 32 atoms, {arguments.threads} threads; MB/s of the file in {clock} time"
    )
    print(f"{'file':22s} {'MB':>7s} {'plain':>8s} {'disk':>8s} {'read':>8s} {'write':>8s}  other readers")
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            path = Path(folder) / name
            written = write(path, snapshot, partial(timed, repeats=arguments.repeats))
            size = path.stat().st_size / 1e6
            rates = [
                size / timed(path.read_bytes, arguments.repeats),
                size / min(from_disk(path) for _ in range(3)),
                size / timed(partial(read_snapshot, path), arguments.repeats),
            ]
            theirs = others(path) if arguments.others else {}
            told = ", ".join(f"{who} {size / timed(way, 1):.0f}" for who, way in theirs.items())
            wrote = f"{size / written:8.0f}" if written else f"{'–':>8s}"
            print(f"{name:22s} {size:7.1f} " + " ".join(f"{r:8.0f}" for r in rates) + f" {wrote}  {told}")


def make_snapshot(n: int) -> Snapshot:
    """32 Gaussians, so that positions and density belong together as `.dens` wants it."""
    rng = np.random.default_rng(0)
    structure = Structure(np.eye(3) * 15.3, rng.uniform(0, 15, (32, 3)), np.full(32, 13))
    grid = UniformGrid(structure.cell, (n, n, n))
    spectrum = np.zeros(grid.g_squared.shape, dtype=complex)
    m = [np.fft.fftfreq(n, 1 / n), np.fft.fftfreq(n, 1 / n), np.fft.rfftfreq(n, 1 / n)]
    for place in structure.fractional:
        a, b, c = (np.exp(-2j * np.pi * k * x) for k, x in zip(m, place, strict=True))
        spectrum += a[:, None, None] * b[:, None] * c
    values = grid.ifft(spectrum * np.exp(-grid.g_squared / 2))
    return Snapshot(structure, ScalarField(grid, values - min(0, values.min())).rescaled(96.0).field, 96.0)


def write(path: Path, snapshot: Snapshot, timed: Callable[[Callable[[], object]], float]) -> float | None:
    """Write with nearsight and return the seconds, or by hand what nearsight only reads."""
    if path.suffix == ".hdf5":
        write_espresso(path, snapshot)
        return None
    file_format = "cube" if path.suffix == ".dens" else None
    taken = timed(lambda: write_snapshot(path, snapshot, file_format=file_format))
    return None if path.suffix == ".dens" else taken


def write_espresso(path: Path, snapshot: Snapshot) -> None:
    """The waves of |G| up to half the grid's, and the least of an XML file."""
    shape = snapshot.density.grid.shape
    spectrum = np.fft.fftn(snapshot.density.values, norm="forward")
    m = shape[0] // 2 - 1
    index = np.stack(np.meshgrid(*(np.arange(-m, m + 1),) * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    index = index[(index**2).sum(axis=1) <= m * m]
    with h5py.File(path, "w") as file:
        file.attrs["gamma_only"], file.attrs["nspin"] = ".FALSE.", 1
        file["MillerIndices"] = index.astype(np.int32)
        file["rhotot_g"] = spectrum[tuple((index % shape[0]).T)].view(np.float64)
    rows = [" ".join(map(str, row)) for row in (*snapshot.structure.cell, *snapshot.structure.positions)]
    cell = "".join(f"<a{i}>{row}</a{i}>" for i, row in enumerate(rows[:3], start=1))
    atoms = "".join(f'<atom name="Al">{row}</atom>' for row in rows[3:])
    grid = " ".join(f'nr{i}="{n}"' for i, n in enumerate(shape, start=1))
    path.with_name("data-file-schema.xml").write_text(
        f"<e><output><atomic_structure><atomic_positions>{atoms}</atomic_positions><cell>{cell}</cell>"
        f"</atomic_structure><basis_set><fft_grid {grid}/></basis_set><band_structure><nelec>96.0</nelec>"
        "</band_structure></output></e>"
    )


def others(path: Path) -> dict[str, Callable[[], object]]:
    """Other packages' readers of the same file."""
    if path.suffix in (".cube", ".dens"):
        return {"ase": lambda: read_cube_data(str(path))}
    if path.suffix == ".xsf":

        def ase_xsf() -> object:
            with path.open() as stream:
                return read_xsf(stream, read_data=True)

        return {"ase": ase_xsf}
    if path.name != "CHGCAR":
        return {}
    ways: dict[str, Callable[[], object]] = {"ase": lambda: VaspChargeDensity(str(path))}
    try:
        from pymatgen.io.vasp import Chgcar
    except ImportError:
        return ways
    return ways | {"pymatgen": lambda: Chgcar.from_file(str(path))}


if __name__ == "__main__":
    main()
