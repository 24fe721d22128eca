"""The embedded engines against each other: equal terms on one density, and what the Gaussian basis misses.

Run from the repository:  python benchmarks/engine_agreement.py [--system al4 si8] [--threads 2]

Both engines use the same GTH pseudopotentials, functional and grid. First the ground state of `lcao`; then
the terms of its density that need no orbitals, by the `planewave` engine's own pseudopotentials; then the
ground state of `planewave`. What remains between the energies, and the densities, is the error of the
Gaussian basis (and what is left of the plane waves' own beyond their cut-off).
"""

import argparse
import os
import platform

import torch
from ase.build import bulk, molecule

from nearsight.engines import (
    LcaoEngine,
    LcaoSettings,
    PlanewaveEngine,
    PlanewaveSettings,
)
from nearsight.engines.kpoints import KPoints
from nearsight.engines.planewave.geometry import Geometry
from nearsight.engines.planewave.scf import density_terms
from nearsight.engines.xc import ExchangeCorrelation
from nearsight.metrics.density import nmae
from nearsight.structure import Structure


def displaced(name: str, crystal: str, a: float) -> Structure:
    atoms = bulk(name, crystal, a=a, cubic=True)
    atoms.rattle(0.1, seed=1)
    return Structure.from_ase(atoms)


def water() -> Structure:
    atoms = molecule("H2O", vacuum=2.2)
    return Structure.from_ase(atoms)


SYSTEMS = {
    "al4": (lambda: displaced("Al", "fcc", 4.05), 30.0),
    "si8": (lambda: displaced("Si", "diamond", 5.43), 35.0),
    "c8": (lambda: displaced("C", "diamond", 3.57), 60.0),
    "h2o": (water, 100.0),
}
TERMS = ("hartree", "xc", "local_pseudopotential", "ewald")


def measure(name: str, threads: int | None) -> None:
    make, ecut = SYSTEMS[name]
    structure = make()
    plane = PlanewaveEngine(PlanewaveSettings(ecut=ecut, threads=threads))
    grid = plane.default_grid(structure)
    gaussian = LcaoEngine(LcaoSettings(threads=threads)).ground_state(structure, grid, forces=False)
    rho, n = gaussian.density, structure.n_atoms
    potentials = {z: plane.potential(z) for z in structure.species}
    geometry = Geometry(
        structure, grid, potentials, KPoints.gamma(), ecut=ecut, device=torch.device("cpu"), memory_mb=100.0
    )
    ours = density_terms(geometry, rho, ExchangeCorrelation())
    local = float((geometry.local_pseudopotential * rho.values).sum()) * grid.dv
    values = {
        "hartree": ours.hartree,
        "xc": ours.xc,
        "local_pseudopotential": local,
        "ewald": geometry.ewald[0],
    }
    apart = "  ".join(f"{abs(values[term] - gaussian.terms[term]) / n:9.1e}" for term in TERMS)
    state = plane.ground_state(structure, grid, forces=False)
    missing = (gaussian.free_energy - state.free_energy) / n
    print(
        f"{name:6} {'x'.join(map(str, grid.shape)):10} {ecut:5.0f}  {apart}  {missing:+10.2e} "
        f"{100 * nmae(rho, state.density):8.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--system", nargs="+", choices=sorted(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores; differences of terms in Ha/atom, on lcao's density")
    print("system grid        ecut    hartree         xc      local      ewald  lcao-pw Ha/at  NMAE %")
    for name in options.system:
        measure(name, options.threads)


if __name__ == "__main__":
    main()
