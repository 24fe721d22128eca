"""Covariances of a Gaussian process: of points already scaled by length and metric, amplitude one.

With h = ½‖a − b‖² the kinds are exp(−h), Matérn 5/2 (1 + r + r²/3) e⁻ʳ with r = √(10 h) (Rasmussen and
Williams, Gaussian Processes for Machine Learning, 2006, eq. 4.17), and 1 + a·b, which is Bayesian linear
regression; ``linear+rbf`` is the sum of that and exp(−h).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from nearsight.errors import InputError

KernelName = Literal["rbf", "matern52", "linear", "linear+rbf"]


def half_squares(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """½‖a_i − b_j‖² ≥ 0, (m, n), by one matrix product."""
    left = torch.cat([-a, 0.5 * (a * a).sum(1, keepdim=True), torch.ones_like(a[:, :1])], dim=1)
    right = torch.cat([b, torch.ones_like(b[:, :1]), 0.5 * (b * b).sum(1, keepdim=True)], dim=1)
    return (left @ right.T).clamp_(min=0)


#: h up to which exp(−h) − (1 − h) in float32 is worth its speed
_NEAR = 1.0


class Centres:
    """Points that a sum of kernels is about, with their weights and what `Kernel.sum` needs of them.

    Parameters
    ----------
    points : Tensor (n, d), float32
    alpha : Tensor (n,), float64
    """

    def __init__(self, points: torch.Tensor, alpha: torch.Tensor) -> None:
        self.points, self.alpha = points, alpha
        b = points.double()
        #: Σ α, Σ α b, Σ α ½‖b‖²
        self.total, self.first, self.spread = alpha.sum(), alpha @ b, 0.5 * alpha @ (b * b).sum(1)


@dataclass(frozen=True)
class Kernel:
    """A covariance function.

    Parameters
    ----------
    name : {"rbf", "matern52", "linear", "linear+rbf"}

    Raises
    ------
    InputError
        Another name.
    """

    name: KernelName

    def __post_init__(self) -> None:
        if self.name not in get_args(KernelName):
            known = ", ".join(get_args(KernelName))
            raise InputError(f"unknown kernel '{self.name}'; known: {known}")

    @property
    def _linear(self) -> bool:
        return "linear" in self.name

    @property
    def _local(self) -> bool:
        return self.name != "linear"

    def gram(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Covariance (m, n) of the rows of `a` (m, d) and of `b` (n, d)."""
        if not self._local:
            return 1 + a @ b.T
        k = self._of(half_squares(a, b))
        return k + 1 + a @ b.T if self._linear else k

    def scaled_gram(self, half: torch.Tensor, inner: torch.Tensor, scale: float) -> torch.Tensor:
        """`gram` of points divided by `scale`, from ½‖a − b‖² and a·b of the points as they are."""
        k = self._of(half / scale**2) if self._local else torch.ones_like(half)
        if not self._linear:
            return k
        return k + inner / scale**2 + float(self._local)

    def diagonal(self, a: torch.Tensor) -> torch.Tensor:
        """Variance (m,) of the rows of `a`."""
        ones = torch.ones_like(a[:, 0])
        return float(self._local) * ones + (1 + (a * a).sum(1) if self._linear else 0)

    def sum(self, a: torch.Tensor, centres: "Centres") -> torch.Tensor:
        """Σ_j k(a_i, b_j) α_j (m,), float64, of points `a` (m, d) in float64.

        Where the noise is small α is large and alternates in sign, and most digits of a covariance cancel.
        So of exp(−h) the part 1 − h, by far the largest where the length is long, is summed in closed form
        and float64, and the small rest in float32; points far from some centre run in float64 altogether.
        """
        if self.name != "rbf":
            return self.gram(a, centres.points.double()) @ centres.alpha
        h = half_squares(a.float(), centres.points)
        rest = torch.expm1(-h).add_(h) @ centres.alpha.float()
        squares = 0.5 * (a * a).sum(1)
        found = rest.double() + centres.total * (1 - squares) - centres.spread + a @ centres.first
        far = (h > _NEAR).any(dim=1) if len(centres.points) else squares > torch.inf
        if bool(far.any()):
            found[far] = self.gram(a[far], centres.points.double()) @ centres.alpha
        return found

    def gradient(self, a: torch.Tensor, b: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        """Gradient (m, d) of Σ_j k(a_i, b_j) α_j with respect to a_i."""
        found = torch.zeros_like(a)
        if self._local:
            weight = self._slope(half_squares(a, b)) * alpha
            found = weight @ b - weight.sum(1, keepdim=True) * a
        return found + alpha @ b if self._linear else found

    def _of(self, half: torch.Tensor) -> torch.Tensor:
        """The local part as a function of h; `half` is overwritten."""
        if self.name != "matern52":
            return half.neg_().exp_()
        r = half.mul_(10).sqrt_()
        return (1 + r + r * r / 3) * torch.exp(-r)

    def _slope(self, half: torch.Tensor) -> torch.Tensor:
        """−dk/dh of the local part; `half` is overwritten."""
        if self.name != "matern52":
            return half.neg_().exp_()
        r = half.mul_(10).sqrt_()
        return (5 / 3) * (1 + r) * torch.exp(-r)
