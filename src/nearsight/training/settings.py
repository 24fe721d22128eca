"""`TrainSettings`: how a network is trained."""

import math
from dataclasses import dataclass
from typing import Literal

from nearsight.errors import InputError
from nearsight.networks.precision import Precision


@dataclass(frozen=True)
class TrainSettings:
    """AdamW with warm-up and decay, stopped early on held-out snapshots.

    Parameters
    ----------
    batch : int
        Points a step; all of them where the set is smaller.
    steps : int
        Optimiser steps.
    epochs : float, optional
        Passes through the data; settles the steps in place of `steps`. Equal steps and equal epochs
        are different comparisons between a coreset and all the data: say which one is made.
    learning_rate : float
        Its peak.
    warmup : float
        Fraction of the steps over which the learning rate rises linearly.
    decay : {"cosine", "linear", "constant"}
        How it falls to zero over the rest, or does not.
    weight_decay : float
        Decoupled (AdamW, arXiv:1711.05101).
    ema : float
        Decay a step of a running average of the weights, which is then what is validated and kept;
        0 switches it off.
    checks : int
        Validations in the whole run, evenly spread; the best weights are kept.
    patience : int, optional
        Stop after this many validations without improvement; None never stops early (the best weights
        are kept all the same).
    validation_points : int
        At most so many validation points are used, drawn once.
    precision : {"auto", "float32", "bfloat16"}
        Of the hidden matrix products; see `nearsight.networks.precision`.
    threads : int, optional
        CPU threads; the same seed gives the same model on one thread.
    device : {"auto", "cpu", "cuda"}

    Raises
    ------
    InputError
        A setting outside its range.
    """

    batch: int = 2048
    steps: int = 2000
    epochs: float | None = None
    learning_rate: float = 3e-3
    warmup: float = 0.1
    decay: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: float = 0.2
    ema: float = 0.0
    checks: int = 60
    patience: int | None = 20
    validation_points: int = 20_000
    precision: Precision = "auto"
    threads: int | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        positive = {
            "batch": self.batch,
            "steps": self.steps,
            "epochs": 1 if self.epochs is None else self.epochs,
            "learning_rate": self.learning_rate,
            "checks": self.checks,
            "patience": 1 if self.patience is None else self.patience,
            "validation_points": self.validation_points,
            "threads": 1 if self.threads is None else self.threads,
        }
        for name, value in positive.items():
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"the training setting {name} must be positive, not {value}")
        for name, value in {"warmup": self.warmup, "ema": self.ema}.items():
            if not 0 <= value < 1:
                raise InputError(f"the training setting {name} must be in [0, 1), not {value}")
        if not self.weight_decay >= 0:
            raise InputError(f"weight_decay must not be negative, as {self.weight_decay} is")
        if self.decay not in ("cosine", "linear", "constant"):
            raise InputError(f"decay is cosine, linear or constant, not '{self.decay}'")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise InputError(f"precision is auto, float32 or bfloat16, not '{self.precision}'")

    def total_steps(self, n_points: int) -> int:
        """Optimiser steps for a set of `n_points`."""
        if self.epochs is None:
            return self.steps
        return max(1, math.ceil(self.epochs * n_points / min(self.batch, n_points)))

    def rate(self, step: int, total: int) -> float:
        """Learning rate of step 0 … total-1: a linear rise, then the decay."""
        rising = self.warmup * total
        if step < rising:
            return self.learning_rate * (step + 1) / (rising + 1)
        done = (step - rising) / max(1.0, total - rising)
        if self.decay == "constant":
            return self.learning_rate
        if self.decay == "linear":
            return self.learning_rate * (1 - done)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
