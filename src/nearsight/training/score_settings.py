"""`ScoreSettings`: how points are scored."""

import math
from dataclasses import dataclass

from nearsight.errors import InputError
from nearsight.networks.precision import Precision


@dataclass(frozen=True)
class ScoreSettings:
    """How points are scored.

    Parameters
    ----------
    initialisations : int
        Random starts averaged over (the original takes ten or more). On 32-atom aluminium the rank
        correlation of GraNd with ten starts trained on all points was 0.98 for another ten, 0.96 for
        three and 0.92 for one; with a proxy of 1 % 0.97, 0.95 and 0.90.
    steps : int
        Optimiser steps after which a network is asked, at the peak learning rate after warm-up.
    block : int
        Points scored at a time; settles the memory needed.
    precision : {"auto", "float32", "bfloat16"}
        Of the hidden products while scoring; ``auto`` as in training, so that a score costs less than a
        training step of the point. float32 gives the norm that automatic differentiation gives, to
        1e-5; bfloat16 gives it within 2 % of the mean score, where another random start changes it by
        27 % (rms, 32-atom aluminium).
    proxy : float, optional
        Fraction of the points on which the scoring networks are trained, drawn at random, 16,384
        points at least (with 4,096 the correlation fell from 0.95 to 0.87); the others are seen once,
        when they are scored. None trains on all points, as the papers do.
    proxy_width, proxy_depth : int, optional
        A smaller network for scoring; that of the training unless given.
    checks : int
        Moments of the short training, evenly spread, at which ``dual`` and ``difficulty`` ask the
        network: each costs a forward pass over all points.
    window : int
        Checks in a window of ``dual``; the authors take 10 of 30 epochs.
    ridge : float
        Of ``leverage``, in units of the mean eigenvalue of the activations' Gram matrix.

    Raises
    ------
    InputError
        A setting outside its range.
    """

    initialisations: int = 3
    steps: int = 200
    block: int = 4096
    precision: Precision = "auto"
    proxy: float | None = 0.01
    proxy_width: int | None = None
    proxy_depth: int | None = None
    checks: int = 12
    window: int = 4
    ridge: float = 1e-3

    def __post_init__(self) -> None:
        if min(self.initialisations, self.steps, self.block) < 1:
            raise InputError("scoring needs at least one initialisation, one step and a block of one point")
        if self.proxy is not None and not 0 < self.proxy <= 1:
            raise InputError(f"scoring's proxy is a fraction of the points in (0, 1], not {self.proxy}")
        for name, least in (("proxy_width", 1), ("proxy_depth", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"scoring's {name} must be {least} or more, not {value}")
        if not 2 <= self.window <= self.checks:
            raise InputError(
                f"scoring needs 2 ≤ window ≤ checks, not window {self.window} and checks {self.checks}"
            )
        if not (math.isfinite(self.ridge) and self.ridge > 0):
            raise InputError(f"scoring's ridge must be positive, not {self.ridge}")

    @property
    def optimiser_steps(self) -> int:
        """Steps of all initialisations together."""
        return self.initialisations * self.steps

    def check_steps(self) -> list[int]:
        """The steps after which a network is asked, ascending; the last is the last step."""
        return [round((i + 1) * self.steps / self.checks) for i in range(self.checks)]
