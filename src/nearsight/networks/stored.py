"""`StoredNetwork`: what networks that are nothing but a few tensors have in common."""

from collections.abc import Mapping
from typing import Any, Self

import torch

from nearsight.errors import ModelFileError


class StoredNetwork:
    """Tensors by name, moved, stored and filled in together.

    Parameters
    ----------
    n_inputs : int
        Length of a feature vector.
    tensors : mapping of str to Tensor
        With the names, types and numbers of axes that `load_tensors` then asks for.
    """

    def __init__(self, n_inputs: int, tensors: Mapping[str, torch.Tensor]) -> None:
        self.n_inputs = n_inputs
        self._tensors = dict(tensors)
        #: what a fit chose, JSON-ready; empty in a network read from a file
        self.notes: dict[str, Any] = {}

    @property
    def device(self) -> torch.device:
        """Where its tensors live."""
        return next(iter(self._tensors.values())).device

    def to(self, device: Any) -> Self:
        """Itself, its tensors moved to `device`."""
        self._tensors = {name: t.to(device) for name, t in self._tensors.items()}
        return self

    def frozen(self) -> Self:
        """Itself, moved to the CPU."""
        return self.to("cpu")

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything learned, by name, on the CPU."""
        return {name: t.detach().cpu().contiguous() for name, t in self._tensors.items()}

    def load_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Fill in the tensors; raises `ModelFileError` where names, types or shapes do not fit."""
        if tensors.keys() != self._tensors.keys():
            found, needed = ", ".join(sorted(tensors)), ", ".join(sorted(self._tensors))
            raise ModelFileError(f"the stored tensors do not fit the network: {found} for {needed}")
        for name, own in self._tensors.items():
            if tensors[name].dtype != own.dtype or tensors[name].ndim != own.ndim:
                raise ModelFileError(f"the stored tensor {name} does not fit the network")
        self._check_shapes(tensors)
        self._tensors = {name: tensors[name].detach().to(self.device) for name in self._tensors}

    def _check_shapes(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Raise `ModelFileError` where shapes do not fit each other; kinds of networks say how."""
        raise NotImplementedError


def require_shapes(tensors: Mapping[str, torch.Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise `ModelFileError` where a tensor does not have its shape."""
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != shape:
            found = tuple(tensors[name].shape)
            raise ModelFileError(f"the stored tensor {name} has shape {found}, not {shape}; it does not fit")
