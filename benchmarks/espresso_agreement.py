"""Quantum ESPRESSO (QEpy) against the planewave engine: same pseudopotentials, cutoff, grid and k-points.

    NEARSIGHT_QEPY_PYTHON=…/bin/python python benchmarks/espresso_agreement.py [--psp8 FOLDER] [--threads 1]

Energies are free energies per atom, the density's difference is NMAE = ∫|Δρ|/∫ρ, Harris energies are those of
the self-consistent density modulated by 10 % (superposed atoms have waves beyond the sphere that Quantum
ESPRESSO keeps, and it would compute the energy of another density).
"""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from ase.build import bulk

from nearsight.engines.espresso import EspressoEngine, EspressoSettings
from nearsight.engines.planewave import PlanewaveEngine, PlanewaveSettings
from nearsight.field import ScalarField
from nearsight.structure import Structure


class Case(NamedTuple):
    """One structure with its settings."""

    name: str
    structure: Structure
    pseudopotential: str
    ecut: float
    k_points: str | list[int]


def silicon() -> Structure:
    """Eight atoms of diamond, displaced by 0.1 bohr."""
    return displaced(Structure.from_ase(bulk("Si", "diamond", a=5.43, cubic=True)), 0.1)


def skewed_aluminium() -> Structure:
    """Two atoms in a cell without any right angle."""
    cell = np.array([[5.4, 0.0, 0.0], [2.7, 4.8, 0.0], [0.3, 0.2, 8.9]])
    return Structure(cell, np.array([[0.1, 0.0, 0.2], [2.9, 1.8, 4.3]]), np.array([13, 13]))


def water() -> Structure:
    """One molecule in a box of 10 bohr."""
    positions = np.array([[0.0, 0.0, 0.0], [1.43, 1.11, 0.0], [-1.43, 1.11, 0.0]]) + 5.0
    return Structure(10.0 * np.eye(3), positions, np.array([8, 1, 1]))


def displaced(structure: Structure, by: float) -> Structure:
    """Random displacements, the same every time."""
    noise = np.random.default_rng(1).normal(scale=by, size=structure.positions.shape)
    return Structure(structure.cell, structure.positions + noise, structure.numbers)


def cases(psp8: str | None) -> Iterator[Case]:
    for mesh in ("gamma", [2, 2, 2]):
        yield Case("Si8", silicon(), "gth-pbe", 12.0, mesh)
    yield Case(
        "Si2, undisplaced", Structure.from_ase(bulk("Si", "diamond", a=5.43)), "gth-pbe", 12.0, [3, 3, 3]
    )
    for mesh in ("gamma", [3, 3, 2]):
        yield Case("Al2, skewed", skewed_aluminium(), "gth-pbe", 12.0, mesh)
    yield Case("H2O", water(), "gth-pbe", 30.0, "gamma")
    if psp8 is not None:
        yield Case("Si8", silicon(), psp8, 15.0, [2, 2, 2])
        yield Case("Al2, skewed", skewed_aluminium(), psp8, 15.0, [3, 3, 2])
        for ecut in (30.0, 45.0):
            yield Case("H2O", water(), psp8, ecut, "gamma")


def modulated(density: ScalarField) -> ScalarField:
    """A density times 1 + 0.1 cos(b₃·r), scaled to its electron count."""
    wave = 1 + 0.1 * np.cos(2 * np.pi * np.arange(density.grid.shape[2]) / density.grid.shape[2])
    return ScalarField(density.grid, density.values * wave).rescaled(density.integrate()).field


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--psp8", help="folder of psp8 files for H, O, Al, Si")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    print(f"{options.threads} thread(s); planewave minus Quantum ESPRESSO")
    columns = "system|potential|ecut, Ha|k-points|energy, Ha/atom|Harris, Ha/atom|NMAE, %|forces, Ha/bohr"
    print(f"| {columns.replace('|', ' | ')} |")
    print("|---|---|---|---|---|---|---|---|")
    for case in cases(options.psp8):
        print(compare(case, options.threads), flush=True)


def compare(case: Case, threads: int) -> str:
    """One row of the table."""
    shared = {"pseudopotential": case.pseudopotential, "ecut": case.ecut, "k_points": case.k_points}
    ours = PlanewaveEngine(PlanewaveSettings(**shared, threads=threads, density_tolerance=1e-7))
    theirs = EspressoEngine(EspressoSettings(**shared, threads=threads, energy_tolerance=1e-11))
    grid = ours.default_grid(case.structure)
    a, b = ours.ground_state(case.structure, grid), theirs.ground_state(case.structure, grid)
    away = modulated(a.density)
    harris = [engine.harris(case.structure, away).free_energy for engine in (ours, theirs)]
    n = case.structure.n_atoms
    nmae = 100 * np.abs(a.density.values - b.density.values).sum() * grid.dv / a.n_electrons
    cells = [
        case.name,
        "psp8" if case.pseudopotential != "gth-pbe" else "gth-pbe",
        f"{case.ecut:g}",
        case.k_points if isinstance(case.k_points, str) else "×".join(map(str, case.k_points)),
        f"{(a.free_energy - b.free_energy) / n:+.1e}",
        f"{(harris[0] - harris[1]) / n:+.1e}",
        f"{nmae:.4f}",
        f"{np.abs(a.forces - b.forces).max():.1e}",
    ]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
