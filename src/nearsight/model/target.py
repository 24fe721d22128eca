"""`Target`: what the network learns, and how its output becomes a density."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from nearsight.errors import InputError

TargetKind = Literal["total", "difference"]


@dataclass(frozen=True)
class Target:
    """The density, or its difference from superposed atoms, shifted and scaled.

    Parameters
    ----------
    kind : {"total", "difference"}
        ``difference`` is the density minus the superposition of atomic densities.
    shift, scale : float
        Learned is (y − shift)/scale, in e/bohr³; scale is positive.
    """

    kind: TargetKind
    shift: float
    scale: float

    def __post_init__(self) -> None:
        _require_kind(self.kind)
        if not (np.isfinite(self.shift) and np.isfinite(self.scale) and self.scale > 0):
            raise InputError("a target needs a finite shift and a positive scale")

    @classmethod
    def fit(
        cls,
        kind: TargetKind,
        density: np.ndarray,
        rho_saed: np.ndarray | None,
        weight: np.ndarray | None = None,
        *,
        positive: bool = False,
    ) -> "Target":
        """Shift and scale from the training points.

        A network whose output is rectified needs zero to stay zero: the target is then divided by its
        mean and not shifted, which only the total density allows.

        Parameters
        ----------
        kind : {"total", "difference"}
        density : ndarray (n,)
            e/bohr³.
        rho_saed : ndarray (n,) or None
            Superposed atomic densities, e/bohr³; needed for ``difference``.
        weight : ndarray (n,), optional
        positive : bool
            The network's output cannot be negative.

        Raises
        ------
        InputError
            A rectified output with the difference; a difference without atomic densities.
        """
        require_compatible(kind, positive)
        y = _raw(kind, density, rho_saed)
        mean = float(np.average(y, weights=weight))
        deviation = float(np.sqrt(np.average((y - mean) ** 2, weights=weight)))
        if positive:
            return cls(kind, 0.0, mean if mean > 0 else 1.0)
        return cls(kind, mean, deviation if deviation > 1e-12 * abs(mean) else 1.0)

    @property
    def needs_atoms(self) -> bool:
        """Whether atomic densities are needed to train and predict."""
        return self.kind == "difference"

    def encode(self, density: np.ndarray, rho_saed: np.ndarray | None) -> np.ndarray:
        """What the network should give for these densities: shape (m,), float32."""
        return ((_raw(self.kind, density, rho_saed) - self.shift) / self.scale).astype(np.float32)

    def decode(self, output: np.ndarray, rho_saed: np.ndarray | None) -> np.ndarray:
        """Density (m,), e/bohr³, float64, of the network's output; it may be negative in places."""
        y = output.astype(np.float64) * self.scale + self.shift
        return y + _needed(rho_saed) if self.needs_atoms else y


def require_compatible(kind: str, positive: bool) -> None:
    """Refuse a rectified output for the difference density, which has both signs."""
    _require_kind(kind)
    if positive and kind == "difference":
        raise InputError(
            "a ReLU output cannot learn the difference density, which has both signs; "
            "use target: total, or output: linear"
        )


def _require_kind(kind: str) -> None:
    if kind not in ("total", "difference"):
        raise InputError(f"the target is total or difference, not '{kind}'")


def _needed(rho_saed: np.ndarray | None) -> np.ndarray:
    if rho_saed is None:
        raise InputError(
            "the difference density needs atomic densities and the data has none; use target: total"
        )
    return rho_saed


def _raw(kind: TargetKind, density: np.ndarray, rho_saed: np.ndarray | None) -> np.ndarray:
    """Density or difference in float64."""
    y = np.asarray(density, dtype=np.float64)
    return y - _needed(rho_saed) if kind == "difference" else y
