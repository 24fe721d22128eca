"""The plane-wave engine against recorded SPARC calculations with the same pseudopotentials, and its time.

Run from the repository:
python benchmarks/planewave.py --sparc FOLDER --psp8 FOLDER [--system al32 h2o10] [--ecut 12.5] [--threads 2]

FOLDER of --sparc holds NAME.inpt, .ion, .dens, .static of Γ-point runs (or the same with .gz), that of --psp8
the pseudopotentials. Each is solved on a grid that holds all plane waves of the cut-off and compared on
SPARC's own points, where the density is worked out exactly. The time is that of a fresh engine: set-up,
self-consistency and forces, by the clock and of all threads' processors (which other processes disturb less);
then of a Harris energy of another density of the same structure.

With --espresso PYTHON (an environment with QEpy) Quantum ESPRESSO solves the same on the same grid; its
differences from SPARC and from this engine follow, and show which of the three is the odd one.

With --cutoffs nothing is compared: the table shows what the energy of one atom in a dense cubic cell lacks to
110 hartree, for the pseudopotentials of --psp8 (or the family gth-pbe) and the given elements.
python benchmarks/planewave.py --cutoffs Al O Fe [--psp8 FOLDER]
"""

import argparse
import gzip
import os
import platform
import resource
import time
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from nearsight.engines.espresso import EspressoEngine, EspressoSettings
from nearsight.engines.planewave import PlanewaveEngine, PlanewaveSettings
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io.sparc import read_dens
from nearsight.io.sparc_input import read_sparc_structure
from nearsight.metrics.density import nmae
from nearsight.structure import Structure
from nearsight.units import BOHR_IN_ANGSTROM

#: orbital cut-offs in hartree by the beginning of a run's name: a usual one, and one that is converged
CUTOFFS = {"al32": (12.5, 20.0), "h2o10": (30.0, 45.0), "hea16": (30.0, 45.0), "sige64": (20.0, 30.0)}
#: cut-offs of the convergence table, hartree
LADDER = (12.0, 16.0, 20.0, 25.0, 30.0, 40.0, 60.0, 80.0)


def find(folder: Path, name: str, suffix: str) -> Path:
    plain = folder / f"{name}{suffix}"
    return plain if plain.exists() else plain.with_name(plain.name + ".gz")


def read_static(path: Path) -> tuple[float, np.ndarray]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as file:
        lines = file.read().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Atomic forces"))
    rows = []
    for line in lines[start + 1 :]:
        words = line.split()
        if len(words) != 3:
            break
        rows.append([float(word) for word in words])
    return float(lines[start - 1].split(":")[1]), np.array(rows)


def at_points(rho: ScalarField, grid: UniformGrid) -> ScalarField:
    """A density at the points of another grid of its cell: the waves that this cannot hold are not lost."""
    multiple = max(-(-n // m) for n, m in zip(rho.grid.shape, grid.shape, strict=True))
    fine = rho.resampled(tuple(multiple * m for m in grid.shape))
    return ScalarField(grid, fine.values[::multiple, ::multiple, ::multiple])


def compare(
    name: str, sparc: Path, psp8: Path, ecut: float, threads: int | None, repeat: int, python: str | None
) -> None:
    structure = read_sparc_structure(find(sparc, name, ".ion"), find(sparc, name, ".inpt"))
    theirs = read_dens(find(sparc, name, ".dens")).density
    energy, forces = read_static(find(sparc, name, ".static"))
    settings = PlanewaveSettings(pseudopotential=str(psp8), ecut=ecut, threads=threads)
    grid = PlanewaveEngine(settings).default_grid(structure)
    seconds, processor = [], []
    for _ in range(repeat):
        engine = PlanewaveEngine(settings)
        began, used = time.perf_counter(), time.process_time()
        state = engine.ground_state(structure, grid)
        seconds.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    began = time.perf_counter()
    engine.harris(structure, engine.starting_density(structure, grid))
    harris = time.perf_counter() - began
    ours = at_points(state.density, theirs.grid)
    offset = np.abs(state.forces - forces).max()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name:12} {ecut:6.1f} {'x'.join(map(str, grid.shape)):10} {state.eigenvalues.shape[1]:6d} "
        f"{(state.free_energy - energy) / structure.n_atoms:+11.2e} {100 * nmae(ours, theirs):8.4f} "
        f"{offset:10.1e} {state.n_iterations:6d} {min(seconds):8.1f} {min(processor):6.1f} "
        f"{harris:8.1f} {peak:8.0f}",
        flush=True,
    )
    if python is not None:
        judge = EspressoEngine(
            EspressoSettings(pseudopotential=str(psp8), ecut=ecut, python=python, threads=threads)
        ).ground_state(structure, grid)
        for other, rho, reference, pull in (
            ("SPARC", at_points(judge.density, theirs.grid), energy, forces),
            ("here", judge.density, state.free_energy, state.forces),
        ):
            truth = theirs if other == "SPARC" else state.density
            missing = (judge.free_energy - reference) / structure.n_atoms
            print(
                f"  Quantum ESPRESSO minus {other:6} {missing:+15.2e} "
                f"{100 * nmae(rho, truth):8.4f} {np.abs(judge.forces - pull).max():10.1e}",
                flush=True,
            )


def converge(symbol: str, source: str, threads: int | None) -> None:
    number = atomic_numbers[symbol]
    cell = 2.1 * max(covalent_radii[number], 0.9) / BOHR_IN_ANGSTROM * np.eye(3)
    structure = Structure(cell, np.zeros((1, 3)), np.array([number]))
    energies = []
    for ecut in (*LADDER, 110.0):
        settings = PlanewaveSettings(
            pseudopotential=source, ecut=ecut, threads=threads, smearing_kelvin=3000.0, mixing=0.4
        )
        energies.append(PlanewaveEngine(settings).ground_state(structure, forces=False).free_energy)
    rule = PlanewaveEngine(PlanewaveSettings(pseudopotential=source)).cutoff(structure)
    missing = "  ".join(f"{energy - energies[-1]:7.0e}" for energy in energies[:-1])
    print(f"{symbol:4} {rule:6.1f}   {missing}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sparc", type=Path)
    parser.add_argument("--psp8", type=Path)
    parser.add_argument("--espresso", metavar="PYTHON")
    parser.add_argument("--cutoffs", nargs="+", metavar="ELEMENT")
    parser.add_argument("--system", nargs="+", help="beginnings of names; al32 and h2o10 unless given")
    parser.add_argument("--ecut", type=float, nargs="+", help="hartree, in place of each system's own")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--repeat", type=int, default=1, help="the best time of so many counts")
    options = parser.parse_args()
    threads = options.threads or os.cpu_count()
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    print(f"{platform.machine()}, {os.cpu_count()} cores, {threads} threads, load before {load}")
    if options.cutoffs:
        print("     default   Ha/atom missing at " + " ".join(f"{ecut:g}" for ecut in LADDER) + " hartree")
        for symbol in options.cutoffs:
            converge(symbol, str(options.psp8 or "gth-pbe"), options.threads)
        return
    if options.sparc is None or options.psp8 is None:
        parser.error("give --sparc and --psp8, or --cutoffs")
    print(
        "system         ecut grid       states  dE Ha/atom   NMAE %  dF Ha/bohr  steps    SCF s"
        "  CPU s Harris s  peak MB"
    )
    names = sorted({path.name.split(".ion")[0] for path in options.sparc.glob("*.ion*")})
    for name in names:
        if name.startswith(tuple(options.system or ("al32", "h2o10"))):
            known = next((cutoffs for key, cutoffs in CUTOFFS.items() if name.startswith(key)), (20.0,))
            for ecut in options.ecut or known:
                compare(
                    name, options.sparc, options.psp8, ecut, options.threads, options.repeat, options.espresso
                )


if __name__ == "__main__":
    main()
