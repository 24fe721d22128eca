"""`Validation`: the error on held-out snapshots while a network trains."""

import numpy as np
import torch

from nearsight.model.scaler import FeatureScaler
from nearsight.model.target import Target
from nearsight.networks.precision import Precision, hidden_products
from nearsight.networks.protocol import Network
from nearsight.provenance import generator
from nearsight.store.table import PointTable


class Validation:
    """NRMSE of a network on points of held-out snapshots, in per cent.

    √⟨e²⟩ / (max − min of ρ_ref) for each snapshot, then the mean over snapshots, as the project's NRMSE
    but from a fixed random part of the points and before rescaling to the electron count.

    Parameters
    ----------
    table : PointTable
        Points of held-out snapshots.
    scaler, target
        Those of the training set.
    n_points : int
        At most so many points are used, drawn once.
    seed : int
    device : torch.device
    precision : {"auto", "float32", "bfloat16"}
    """

    def __init__(
        self,
        table: PointTable,
        scaler: FeatureScaler,
        target: Target,
        *,
        n_points: int,
        seed: int,
        device: torch.device,
        precision: Precision,
    ) -> None:
        ranges = {n: np.ptp(table.density[rows]) or 1.0 for n, rows in table.points.by_snapshot()}
        if len(table) > n_points:
            rng = generator(seed, "validation")
            table = table.take(np.sort(rng.choice(len(table), n_points, replace=False)))
        self._table = table
        self._groups = [(rows, ranges[number]) for number, rows in table.points.by_snapshot()]
        self._x = torch.from_numpy((table.features - scaler.mean) / scaler.std).to(device)
        self._target = target
        self._precision = precision

    def nrmse(self, network: Network) -> float:
        """Mean over snapshots of √⟨e²⟩ / (max − min of ρ_ref), per cent."""
        with hidden_products(self._precision, self._x.device):
            output = torch.cat([network.predict(x) for x in torch.split(self._x, 8192)])
        predicted = self._target.decode(output.cpu().numpy(), self._table.rho_saed)
        squares = (predicted - self._table.density) ** 2
        errors = [np.sqrt(squares[rows].mean()) / extent for rows, extent in self._groups]
        return 100.0 * float(np.mean(errors))
