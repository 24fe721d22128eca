"""Time and memory of the embedded engine: SCF and Harris energies from fresh structures.

Run from the repository:  python benchmarks/engine.py [--system al32 al4-444] [--threads 2] [--repeat 3]

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


def al4(seed: int = 1) -> Structure:
    """4-atom fcc aluminium, displaced by 0.1 Å: no symmetry is left."""
    atoms = bulk("Al", "fcc", a=4.05, cubic=True)
    atoms.rattle(0.1, seed=seed)
    return Structure.from_ase(atoms)


def al108(seed: int = 1) -> Structure:
    """108-atom fcc aluminium, displaced by 0.1 Å."""
    atoms = bulk("Al", "fcc", a=4.05, cubic=True).repeat(3)
    atoms.rattle(0.1, seed=seed)
    return Structure.from_ase(atoms)


def crfeconi(seed: int = 2) -> Structure:
    """One atom each of Cr, Fe, Co and Ni on an fcc lattice of 3.57 Å, displaced by 0.05 Å."""
    atoms = bulk("Ni", "fcc", a=3.57, cubic=True)
    atoms.set_chemical_symbols(["Cr", "Fe", "Co", "Ni"])
    atoms.rattle(0.05, seed=seed)
    return Structure.from_ase(atoms)


#: structure, grid, mesh of wave vectors
SYSTEMS = {
    "al32": (al32, (48, 48, 48), (1, 1, 1)),
    "water10": (water10, (64, 64, 64), (1, 1, 1)),
    "al4-222": (al4, (24, 24, 24), (2, 2, 2)),
    "al4-444": (al4, (24, 24, 24), (4, 4, 4)),
    "al4-666": (al4, (24, 24, 24), (6, 6, 6)),
    "al32-222": (al32, (48, 48, 48), (2, 2, 2)),
    "crfeconi-222": (crfeconi, (45, 45, 45), (2, 2, 2)),
    "al108": (al108, (72, 72, 72), (1, 1, 1)),
}


def best(repeat: int, work) -> tuple[float, float]:
    """Least wall and processor time, seconds."""
    times = []
    for _ in range(repeat):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - wall, time.process_time() - processor))
    return min(t[0] for t in times), min(t[1] for t in times)


def measure(system: str, threads: int | None, repeat: int) -> None:
    make, shape, mesh = SYSTEMS[system]
    structure = make()
    grid = UniformGrid(structure.cell, shape)
    settings = LcaoSettings(threads=threads, k_points=list(mesh))
    cell = 9.0 * np.eye(3)
    for number in structure.species:
        atom = Structure(cell, np.zeros((1, 3)), np.array([number]))
        LcaoEngine(LcaoSettings(threads=threads)).ground_state(atom, UniformGrid(cell, (20, 20, 20)))
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
    goal = TARGETS.get(system)
    print(
        f"{system:13} {'x'.join(map(str, shape)):9} {len(state.k_points):4d} {state.eigenvalues.shape[1]:8d} "
        f"{state.n_iterations:5d} {scf[0]:8.2f} {scf[1]:8.2f} {warm[0]:8.2f} {warm[1]:7.2f} {cold[0]:8.2f} "
        f"{cold[1]:7.2f} {peak:8.0f}" + (f"   ≤ {goal[0]:g} s, {goal[1]:g} s, 1500 MB" if goal else ""),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--system", nargs="+", choices=sorted(SYSTEMS), default=["al32", "water10"])
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
    print(f"{'':44}{'SCF + forces, s':^17} {'Harris again, s':^16} {'Harris new, s':^16}")
    print(
        f"{'system':13} {'grid':9} {'k':>4} {'orbitals':>8} {'steps':>5} "
        + 3 * "    wall     cpu "
        + "peak MB"
    )
    for system in options.system:
        command = [sys.executable, __file__, "--child", "--system", system, "--repeat", str(options.repeat)]
        if options.threads:
            command += ["--threads", str(options.threads)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
