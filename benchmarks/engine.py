"""Time and memory of the embedded engine: SCF and Harris energies from fresh structures.

Run from the repository:  python benchmarks/engine.py [--system al32 water10] [--threads 2] [--repeat 3]

Each system runs in a process of its own, so that its peak memory (VmHWM, everything included: Python,
PySCF, compiled kernels) is its own. A small calculation of the same elements warms up compiled kernels
and the free atoms' tables; everything that depends on the structure is timed. The best of the
repetitions counts, as other processes only ever make it slower.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import time

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from scipy.spatial.transform import Rotation

from nearsight.engines import LcaoEngine, LcaoSettings
from nearsight.grid import UniformGrid
from nearsight.structure import Structure
from nearsight.units import BOHR_IN_ANGSTROM

#: target times in seconds: full SCF with forces, one Harris energy
TARGETS = {"al32": (12.0, 1.0), "water10": (8.0, 1.0)}


def al32(seed: int = 1) -> Structure:
    """32-atom fcc aluminium at 4.05 Å, displaced by 0.1 Å (standard deviation)."""
    atoms = bulk("Al", "fcc", a=4.05, cubic=True).repeat(2)
    atoms.rattle(0.1, seed=seed)
    return Structure.from_ase(atoms)


def water10(seed: int = 0) -> Structure:
    """Ten water molecules at liquid density, at random, no atoms of two molecules within 1.6 Å."""
    rng = np.random.default_rng(seed)
    side = 12.7 * BOHR_IN_ANGSTROM
    atoms = Atoms(cell=[side] * 3, pbc=True)
    while len(atoms) < 30:
        new = molecule("H2O")
        turned = Rotation.random(rng=rng).apply(new.positions - new.positions[0])
        new.positions = turned + rng.random(3) * side
        both = atoms + new
        between = both.get_all_distances(mic=True)[: len(atoms), len(atoms) :]
        if between.size == 0 or between.min() > 1.6:
            atoms = both
    return Structure.from_ase(atoms)


SYSTEMS = {"al32": (al32, (48, 48, 48)), "water10": (water10, (64, 64, 64))}


def best(repeat: int, work) -> float:
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(system: str, threads: int | None, repeat: int) -> None:
    make, shape = SYSTEMS[system]
    structure = make()
    grid = UniformGrid(structure.cell, shape)
    settings = LcaoSettings(threads=threads)
    cell = 9.0 * np.eye(3)
    for number in structure.species:
        atom = Structure(cell, np.zeros((1, 3)), np.array([number]))
        LcaoEngine(settings).ground_state(atom, UniformGrid(cell, (20, 20, 20)))
    state = None

    def solve() -> None:
        nonlocal state
        state = LcaoEngine(settings).ground_state(structure, grid)

    scf = best(repeat, solve)
    assert state is not None
    cold = best(repeat, lambda: LcaoEngine(settings).harris(structure, state.density))
    engine = LcaoEngine(settings)
    engine.harris(structure, state.density)
    warm = best(repeat, lambda: engine.harris(structure, state.density))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    goal = TARGETS[system]
    print(
        f"{system:8} {'x'.join(map(str, shape)):10} {state.eigenvalues.shape[1]:8d} {state.n_iterations:5d} "
        f"{scf:8.2f} (≤ {goal[0]:4.1f}) {warm:8.2f} (≤ {goal[1]:3.1f}) {cold:8.2f} {peak:10.0f} (≤ 1500)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--system", nargs="+", choices=sorted(SYSTEMS), default=sorted(SYSTEMS))
    parser.add_argument("--threads", type=int, default=None, help="all cores unless given")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        measure(options.system[0], options.threads, options.repeat)
        return
    threads = options.threads or os.cpu_count()
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    print(f"{platform.machine()}, {os.cpu_count()} cores, {threads} threads, load before {load}")
    print("system   grid       orbitals steps    SCF+forces s    Harris again s   Harris new s   peak MB")
    for system in options.system:
        command = [sys.executable, __file__, "--child", "--system", system, "--repeat", str(options.repeat)]
        if options.threads:
            command += ["--threads", str(options.threads)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
