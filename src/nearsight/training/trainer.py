"""`Trainer`: one network, its optimiser and its data; takes steps, and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from nearsight.model.scaler import FeatureScaler
from nearsight.model.target import Target
from nearsight.networks.precision import hidden_products
from nearsight.networks.protocol import LossNetwork
from nearsight.store.table import PointTable
from nearsight.training.batches import Batches
from nearsight.training.settings import TrainSettings

#: rows of a mapped file kept together while shuffling
_CHUNK = 256


class TrainingData:
    """A table made ready for training: standardised target, features standardised batch by batch.

    Parameters
    ----------
    table : PointTable
    scaler : FeatureScaler
    target : Target
    device : torch.device
        Where batches go; the table stays where it is.
    """

    def __init__(
        self, table: PointTable, scaler: FeatureScaler, target: Target, device: torch.device
    ) -> None:
        self.device = device
        self.in_memory = table.in_memory
        self._features = _as_tensor(table.features)
        self._target = torch.from_numpy(target.encode(table.density, table.rho_saed))
        self._weight = torch.from_numpy(np.array(table.weight))
        self._mean = torch.from_numpy(scaler.mean).to(device)
        self._inverse_std = torch.from_numpy(1.0 / scaler.std).to(device)

    def __len__(self) -> int:
        return len(self._features)

    def gather(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Standardised features (m, d), target (m,) and weight (m,) of the given rows."""
        index = torch.from_numpy(rows)
        return (
            self._standardised(self._features.index_select(0, index)),
            self._target.index_select(0, index).to(self.device),
            self._weight.index_select(0, index).to(self.device),
        )

    def block(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Standardised features and target of consecutive rows."""
        return self._standardised(self._features[start:stop]), self._target[start:stop].to(self.device)

    def _standardised(self, features: torch.Tensor) -> torch.Tensor:
        return (features.to(self.device) - self._mean) * self._inverse_std


class Trainer:
    """Takes AdamW steps on the network's own loss, or else on the weighted mean square error.

    Parameters
    ----------
    network : nn.Module
        On the data's device.
    data : TrainingData
    settings : TrainSettings
    seed : int
        Settles the order of the batches.
    n_effective : float, optional
        Independent values among the points, for losses that weigh them against a prior; each point is
        one unless given.
    """

    def __init__(
        self,
        network: nn.Module,
        data: TrainingData,
        settings: TrainSettings,
        seed: int,
        n_effective: float | None = None,
    ) -> None:
        self.network = network
        self.data = data
        self.settings = settings
        self.n_effective = float(len(data)) if n_effective is None else n_effective
        self.total = settings.total_steps(len(data))
        self.step_number = 0
        self.batches = Batches(len(data), settings.batch, seed, 1 if data.in_memory else _CHUNK)
        self.optimizer = torch.optim.AdamW(_groups(network, settings), lr=settings.learning_rate, fused=True)

    @property
    def done(self) -> float:
        """Share of the steps that were taken, 0 … 1."""
        return self.step_number / self.total

    def step(self) -> torch.Tensor:
        """Take one step; returns the loss of its batch, a detached scalar."""
        x, t, weight = self.data.gather(self.batches.rows(self.step_number))
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate(self.step_number, self.total)
        self.optimizer.zero_grad(set_to_none=True)
        with hidden_products(self.settings.precision, self.data.device):
            loss = self._loss(x, t, weight)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.step_number += 1
        return loss.detach()

    def _loss(self, x: torch.Tensor, t: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        if isinstance(self.network, LossNetwork):
            return self.network.loss(x, t, weight, n_effective=self.n_effective, done=self.done)
        square: torch.Tensor = (weight * (self.network(x) - t).square()).mean()
        return square


def _groups(network: nn.Module, settings: TrainSettings) -> list[dict[str, Any]]:
    """What is trained, with weight decay but for what the network exempts by an `undecayed` method.

    Weights with a prior of their own are drawn to it already, and a variance has no use for zero.
    """
    spared = {id(p) for p in getattr(network, "undecayed", list)()}
    trained = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if id(p) not in spared], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if id(p) in spared], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


@contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Run PyTorch on so many CPU threads, then as before; None changes nothing."""
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _as_tensor(array: np.ndarray) -> torch.Tensor:
    """Share the memory of an array; a read-only one is copied, as torch has no read-only tensors."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())
