"""Errors of densities against labelled snapshots: density by density, with energies where asked."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from nearsight.energy.harris_foulkes import harris_energy
from nearsight.engines.protocol import Engine
from nearsight.field import ScalarField
from nearsight.inference.predictor import Prediction
from nearsight.metrics.calibration import SnapshotSummary, summarise
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

    def score(self, density: ScalarField, *, energy: bool = True) -> dict[str, Any]:
        """All errors of a density of this snapshot, JSON-ready; the energy error keeps its sign.

        Without `energy` the energies, which are dear, are left out (None).
        """
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
            **self._energy_errors(density if energy else None),
        }

    def summary(self, prediction: Prediction, *, seed: int = 0) -> SnapshotSummary | None:
        """Whether the uncertainty of a prediction holds; None for one that states none."""
        if prediction.aleatoric is None or prediction.epistemic is None:
            return None
        errors = (self.reference - prediction.density).values
        parts = prediction.aleatoric.values, prediction.epistemic.values
        return summarise(self.info.number, errors, *parts, seed=seed)

    def _energy_errors(self, density: ScalarField | None) -> dict[str, float | None]:
        """Error of the Harris–Foulkes energy, and what is left of it with its second-order correction."""
        plain, corrected = "energy_error_ha_per_atom", "corrected_energy_error_ha_per_atom"
        if self._engine is None or density is None:
            return {plain: None, corrected: None}
        if self._reference_energy is None:
            self._reference_energy = harris_energy(self._engine, self.structure, self.reference)
        found = self._engine.harris(self.structure, density, output_density=True)
        error = (found.free_energy - self._reference_energy) / self.info.n_atoms
        left = None if found.correction is None else error + found.correction / self.info.n_atoms
        return {plain: error, corrected: left}


def mean_errors(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over snapshots; of the energy errors, the mean absolute value (None where not taken)."""
    names = ("nrmse_percent", "nmae_percent", "h1_seminorm", "h1_norm", "hartree_error_ha_per_atom")
    means: dict[str, Any] = {name: float(np.mean([r[name] for r in results])) for name in names}
    for name in ("energy_error_ha_per_atom", "corrected_energy_error_ha_per_atom"):
        energies = [r[name] for r in results]
        means[name] = None if None in energies else float(np.mean(np.abs(energies)))
    return means
