"""A small data set without physics, and an engine that counts, for tests of studies."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from nearsight.atomic.radial import RadialDensity
from nearsight.atomic.superposition import superpose
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.snapshot import Snapshot
from nearsight.store import Dataset
from nearsight.structure import Structure

#: trajectory, split and number of snapshots
TRAJECTORIES = (
    ("train-a", "train", 2),
    ("train-b", "train", 1),
    ("held", "validation", 2),
    ("test-a", "test", 2),
    ("test-b", "test", 1),
    ("strange", "test", 1),
)
#: settings that make a training take a tenth of a second
TRAIN: dict[str, Any] = {
    "descriptor": {"name": "power_spectrum", "cutoff": 6.0, "channels": [3, 2]},
    "network": {"name": "mlp", "width": 12, "depth": 1},
    "training": {
        "steps": 60,
        "batch": 256,
        "checks": 6,
        "device": "cpu",
        "precision": "float32",
        "threads": 1,
    },
    "scoring": {"initialisations": 2, "steps": 20, "precision": "float32"},
    "validation_points": 400,
}


def make_data(path: Path) -> Dataset:
    """Four jolted aluminium atoms a snapshot; the density is no superposition of atoms."""
    r = np.linspace(0, 6, 120)
    shape = np.exp(-r) * (1 - r / 6) ** 2
    shape *= 3.0 / (4 * np.pi * np.trapezoid(shape * r**2, r))
    radial = {13: RadialDensity(13, r, shape, 3.0, {})}
    data = Dataset.create(path, engine={"engine": "counting", "functional": "none"}, radial=radial)
    rng = np.random.default_rng(0)
    number = 0
    for trajectory, split, count in TRAJECTORIES:
        for _ in range(count):
            data.write(
                number,
                _snapshot(rng, radial),
                label=f"{trajectory}-{number}",
                trajectory=trajectory,
                split=split,
            )
            number += 1
    return Dataset.open(path)


def _snapshot(rng: np.random.Generator, radial: dict[int, RadialDensity]) -> Snapshot:
    cell = 7.65 * np.eye(3)
    sites = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]) @ cell
    structure = Structure(cell, sites + 0.4 * rng.standard_normal(sites.shape), np.full(4, 13))
    grid = UniformGrid(cell, (10, 11, 12))
    atoms = superpose(structure, grid, radial).values
    bent = atoms + 4.0 * (atoms - atoms.mean()) ** 2
    return Snapshot(structure, ScalarField(grid, bent).rescaled(12.0).field, 12.0)


class CountingEngine:
    """Energies that are the integral of ρ², and how many were taken."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, fingerprint: Any) -> "CountingEngine":
        """Itself: what a study asks for to make the engine of its data."""
        return self

    def fingerprint(self) -> dict[str, Any]:
        return {"engine": "counting"}

    def harris(self, structure: Structure, density: ScalarField, **options: Any) -> SimpleNamespace:
        self.calls += 1
        energy = float((density.values**2).sum() * density.grid.dv)
        return SimpleNamespace(free_energy=energy, correction=None)
