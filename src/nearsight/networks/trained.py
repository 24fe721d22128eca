"""`TrainedModule`: what networks of several perceptrons, trained by steps, have in common."""

from collections.abc import Mapping
from typing import Self

import torch
from torch import nn

from nearsight.errors import ModelFileError


class TrainedModule(nn.Module):
    """A module as a `Network` stores, moves and fills it; what it predicts is its own affair."""

    @property
    def device(self) -> torch.device:
        """Where its weights live."""
        return next(self.parameters()).device

    def undecayed(self) -> list[nn.Parameter]:
        """Parameters that weight decay leaves alone, as zero is nothing to them; none unless overridden."""
        return []

    def frozen(self) -> Self:
        """Itself, moved to the CPU, its weights no longer trainable."""
        return self.to("cpu").requires_grad_(False)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Parameters and buffers by name, on the CPU."""
        return {name: t.detach().cpu().contiguous() for name, t in self.state_dict().items()}

    def load_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Fill in what `tensors` gave; raises `ModelFileError` where names or shapes differ."""
        try:
            self.load_state_dict(dict(tensors))
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise ModelFileError(f"the stored weights do not fit the network: {reason}") from None
