"""Errors of densities against labelled snapshots: density by density, with energies where asked."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from nearsight.energy.harris_foulkes import harris_energy
from nearsight.engines.protocol import Engine
from nearsight.field import ScalarField
from nearsight.metrics.density import density_errors
from nearsight.store import Dataset, SnapshotInfo


class Judge:
    """Scores densities of one snapshot; the reference's energy is computed once.

    Parameters
    ----------
    dataset : Dataset
    number : int
        The snapshot.
    engine : Engine, optional
        Takes Harris–Foulkes energies of predicted and reference density; none are taken without.
    """

    def __init__(self, dataset: Dataset, number: int, engine: Engine | None = None) -> None:
        self.info: SnapshotInfo = dataset.info(number)
        self.structure = dataset.structure(number)
        self.reference = dataset.density(number)
        self._engine = engine
        self._reference_energy: float | None = None

    def score(self, density: ScalarField) -> dict[str, Any]:
        """All errors of a density of this snapshot, JSON-ready; the energy error keeps its sign."""
        errors = asdict(density_errors(density, self.reference, self.info.n_atoms))
        hartree = errors.pop("hartree_error_per_atom")
        return {
            "snapshot": self.info.number,
            "label": self.info.label,
            "trajectory": self.info.trajectory,
            "split": self.info.split,
            "formula": self.info.formula,
            "n_atoms": self.info.n_atoms,
            **errors,
            "hartree_error_ha_per_atom": hartree,
            "energy_error_ha_per_atom": self._energy_error(density),
        }

    def _energy_error(self, density: ScalarField) -> float | None:
        if self._engine is None:
            return None
        if self._reference_energy is None:
            self._reference_energy = harris_energy(self._engine, self.structure, self.reference)
        energy = harris_energy(self._engine, self.structure, density)
        return (energy - self._reference_energy) / self.info.n_atoms


def mean_errors(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over snapshots; of the energy errors, the mean absolute value (None where not taken)."""
    names = ("nrmse_percent", "nmae_percent", "h1_seminorm", "h1_norm", "hartree_error_ha_per_atom")
    means: dict[str, Any] = {name: float(np.mean([r[name] for r in results])) for name in names}
    energies = [r["energy_error_ha_per_atom"] for r in results]
    means["energy_error_ha_per_atom"] = None if None in energies else float(np.mean(np.abs(energies)))
    return means
