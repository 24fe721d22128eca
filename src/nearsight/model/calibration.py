"""`Calibration`: what turns the variances that a network states into variances that hold."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from nearsight.errors import ModelFileError


class Variances(NamedTuple):
    """Aleatoric and epistemic variance of a block, (m,) each, float64, standardised density squared."""

    aleatoric: np.ndarray
    epistemic: np.ndarray


@dataclass(frozen=True)
class Calibration:
    """Factors fitted on held-out snapshots: a · aleatoric + c, and b · epistemic.

    Parameters
    ----------
    aleatoric, epistemic : float
        The factors a and b, ≥ 0.
    noise : float
        The constant c, ≥ 0, standardised density squared: for networks that state no aleatoric variance.
    n_points, n_snapshots : int
        That it was fitted on; 0 where it was not.
    """

    aleatoric: float = 1.0
    epistemic: float = 1.0
    noise: float = 0.0
    n_points: int = 0
    n_snapshots: int = 0

    def apply(self, aleatoric: np.ndarray, epistemic: np.ndarray) -> Variances:
        """The calibrated variances of a block."""
        return Variances(
            self.aleatoric * aleatoric.astype(np.float64) + self.noise,
            self.epistemic * epistemic.astype(np.float64),
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, as it lies in a model file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Calibration":
        """What `as_dict` gave; an empty mapping is the identity.

        Raises
        ------
        ModelFileError
            Fields that this version does not know.
        """
        try:
            return cls(**fields)
        except TypeError as error:
            raise ModelFileError(f"the calibration of the model does not fit this version: {error}") from None
