"""The linear algebra behind `gaussian_process`: exact, and with inducing points, both in float64."""

from dataclasses import dataclass

import torch

from nearsight.errors import ConvergenceError
from nearsight.networks.fit_data import Block, FitData
from nearsight.networks.kernels import Kernel

#: directions of the inducing points' covariance below this share of the largest are rounding errors
_KEPT = 1e-11


def solve_exact(kernel: Kernel, centres: torch.Tensor, points: Block, noise: float) -> torch.Tensor:
    """α (n,) of (K + σ²/w) α = t, by Cholesky's decomposition.

    Parameters
    ----------
    kernel : Kernel
    centres : Tensor (n, d), float64
        The points, scaled.
    points : Block
        Their targets and weights.
    noise : float
        σ², relative to the amplitude's square.

    Raises
    ------
    ConvergenceError
        The matrix is singular to double precision.
    """
    gram = kernel.gram(centres, centres)
    gram.diagonal().add_(noise / points.weight)
    factor, failed = torch.linalg.cholesky_ex(gram)
    if int(failed):
        raise ConvergenceError(
            f"the covariance of {len(centres)} points is singular at noise {noise:.1e}; raise noise or leave "
            "it to be chosen"
        )
    return torch.cholesky_solve(points.t[:, None], factor)[:, 0]


@dataclass(frozen=True, eq=False)
class InducingFit:
    """A process that knows the data through inducing points alone.

    With K_mm = U Λ Uᵀ and F = U Λ^-½ (directions without variance left out), ψ(x) = Fᵀ k(x) are features
    with unit prior, so that all is Bayesian linear regression in them: A = σ² + Σ w ψ ψᵀ.

    Attributes
    ----------
    centres : Tensor (m, d), float64
        Inducing points, scaled.
    features : Tensor (m, r)
        F.
    normal : Tensor (r, r)
        Σ w ψ ψᵀ.
    alpha : Tensor (m,)
        Weights of the kernels: F A⁻¹ Σ w ψ t.
    noise : float
        σ², relative to the amplitude's square.
    square_amplitude : Tensor ()
        tᵀ C⁻¹ t / Σ w, where the marginal likelihood is largest.
    """

    centres: torch.Tensor
    features: torch.Tensor
    normal: torch.Tensor
    alpha: torch.Tensor
    noise: float
    square_amplitude: torch.Tensor

    @classmethod
    def of(
        cls, kernel: Kernel, centres: torch.Tensor, data: FitData, metric: torch.Tensor, noise: float
    ) -> "InducingFit":
        """Sum the normal equations over `data`, block by block; `metric` (d, d) scales its features."""
        prior, directions = torch.linalg.eigh(kernel.gram(centres, centres))
        kept = prior > _KEPT * prior[-1]
        features = directions[:, kept] / prior[kept].sqrt()
        normal = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64, device=data.device)
        cross, square, mass = normal.new_zeros(len(normal)), 0.0, 0.0
        for x, t, weight in data.blocks(4096):
            psi = kernel.gram(x.double() @ metric, centres) @ features
            weighted = psi * weight[:, None]
            normal += psi.T @ weighted
            cross += t @ weighted
            square += float(t.square() @ weight)
            mass += float(weight.sum())
        shifted = normal + noise * torch.eye(len(normal), dtype=torch.float64, device=data.device)
        solution = torch.cholesky_solve(cross[:, None], torch.linalg.cholesky(shifted))[:, 0]
        left = (square - cross @ solution).clamp(min=0) / noise
        return cls(centres, features, normal, features @ solution, noise, left / mass)

    def reduction(self, independent: float = 1.0) -> torch.Tensor:
        """V (r, m) with variance = amplitude² (k(x, x) − ‖V k(x)‖²): prior less what the data tells.

        `independent` is the share of the points that tell something of their own.
        """
        values, vectors = torch.linalg.eigh(self.normal)
        values = values.clamp(min=0) * independent
        share = (values / (values + self.noise)).sqrt()
        return (share[:, None] * (vectors.T @ self.features.T)).contiguous()
