"""Checkpoints: everything that a run needs to carry on as if it had not been interrupted.

Weights, optimiser moments and history as a safetensors file with a JSON header; nothing is pickled.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from nearsight.model.tensorfile import read_tensor_file, write_tensor_file
from nearsight.training.run import RunState

FORMAT: Final = "nearsight-checkpoint"
FORMAT_VERSION: Final = 1
_FILE = "training.checkpoint"


@dataclass
class Checkpoints:
    """Where a run leaves its checkpoints.

    Parameters
    ----------
    folder : Path
    run : str
        Hash of settings, data, network and seed; a checkpoint of another run is not carried on.
    every : float
        Seconds between checkpoints at least.
    """

    folder: Path
    run: str
    every: float = 10.0
    _last: float = field(default_factory=time.monotonic, init=False)

    @property
    def path(self) -> Path:
        """The checkpoint file."""
        return self.folder / _FILE

    def save(self, state: RunState, *, force: bool = False) -> None:
        """Write a checkpoint, unless the last one is younger than `every` seconds."""
        if not force and time.monotonic() - self._last < self.every:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        header = {"run": self.run, **state.record()}
        write_tensor_file(self.path, FORMAT, FORMAT_VERSION, header, _arrays(state))
        self._last = time.monotonic()

    def restore(self, state: RunState) -> bool:
        """Bring `state` to the stored checkpoint; False where there is none of this run.

        Raises
        ------
        ModelFileError
            The checkpoint is corrupted.
        """
        if not self.path.exists():
            return False
        header, arrays = read_tensor_file(self.path, FORMAT, FORMAT_VERSION)
        if header.pop("run") != self.run:
            return False
        _fill(state, header, arrays)
        return True

    def clear(self) -> None:
        """Remove the checkpoint, those of an ensemble's members, and the folder if nothing else is in it."""
        for member in self.folder.glob("member-*"):
            Checkpoints(member, self.run).clear()
        self.path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def _arrays(state: RunState) -> dict[str, np.ndarray]:
    tensors = {f"weights.{k}": t for k, t in state.network.tensors().items()}
    tensors |= {f"best.{k}": t for k, t in state.best.items()}
    tensors |= {f"average.{k}": t for k, t in state.average.items()}
    for number, moments in state.trainer.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{k}": t for k, t in moments.items()}
    return {name: t.detach().cpu().numpy() for name, t in tensors.items()}


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): torch.from_numpy(array.copy())
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _fill(state: RunState, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    state.network.load_tensors(_part(arrays, "weights."))
    state.best = _part(arrays, "best.")
    device = state.trainer.data.device
    state.average = {name: t.to(device) for name, t in _part(arrays, "average.").items()}
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in _part(arrays, "optimizer.").items():
        number, kind = name.split(".", 1)
        moments.setdefault(int(number), {})[kind] = tensor
    optimizer = state.trainer.optimizer
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    state.adopt(header)
