"""Block Davidson for the lowest states, with the preconditioner of Teter, Payne and Allan.

The search space grows by preconditioned residuals of the states that have not converged. Once it would hold
more than `_BLOCKS` times their number it starts anew from the states and the directions of their last step
(Davidson, J. Comput. Phys. 17, 87 (1975); preconditioner: PRB 40, 12255 (1989), equation 5.16). Vectors are
rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from nearsight.engines.planewave.threads import Workers

#: size of the largest search space in units of the number of states
_BLOCKS = 4
#: directions of unit vectors' span whose squared norm falls below this are dropped as dependent
_DEPENDENT = {torch.float64: 1e-13, torch.float32: 1e-6}
#: directions of the last step that are shorter than this are not kept
_SHORTEST_STEP = 1e-6


@dataclass(frozen=True, eq=False)
class Eigenstates:
    """Approximate lowest states.

    Attributes
    ----------
    values : Tensor (n,)
        Ascending.
    vectors : Tensor (n, len)
        Orthonormal rows.
    residuals : Tensor (n,)
        ‖Hψ − εψ‖.
    """

    values: torch.Tensor
    vectors: torch.Tensor
    residuals: torch.Tensor


def davidson(
    apply: Callable[[torch.Tensor], torch.Tensor],
    kinetic: torch.Tensor,
    start: torch.Tensor,
    workers: Workers,
    *,
    tolerance: float,
    importance: torch.Tensor,
    max_steps: int,
) -> Eigenstates:
    """The lowest states of a Hermitian operator.

    Parameters
    ----------
    apply : callable
        H on rows (m, len).
    kinetic : Tensor (len,)
        Diagonal that the preconditioner is made of.
    start : Tensor (n, len)
        Where to begin; as many states are sought.
    workers : Workers
    tolerance : float
        For the residuals times `importance`.
    importance : Tensor (n,)
    max_steps : int
        Extensions of the search space at most.
    """
    space = _SearchSpace(orthonormal(_unit(start), workers), apply, workers)
    before = torch.eye(len(space), len(start)).to(space.matrix)
    for step in range(max_steps + 1):
        values, c = space.lowest(len(start))
        x, hx = space.combine(c)
        residual = hx - values[:, None] * x
        norms = torch.linalg.vector_norm(residual, dim=1)
        if step == max_steps or not bool((importance * norms > tolerance).any()):
            break
        # states of no importance come along: they keep what lies above them out of the others
        active = norms > tolerance
        if len(space) + int(active.sum()) > _BLOCKS * len(start):
            space.shrink(_restart(c, before))
            c = torch.eye(len(space), len(start)).to(c)
        added = space.extend(precondition(residual[active], x[active], kinetic))
        if not added:
            break
        before = torch.cat([c, c.new_zeros((added, len(start)))])
    return Eigenstates(values, x, norms)


class _SearchSpace:
    """Orthonormal rows, their images under H, and H between them."""

    def __init__(
        self, basis: torch.Tensor, apply: Callable[[torch.Tensor], torch.Tensor], workers: Workers
    ) -> None:
        self._apply, self._workers = apply, workers
        self._basis, self._image = basis, apply(basis)
        self.matrix = _product(basis, self._image, workers)

    def __len__(self) -> int:
        return len(self._basis)

    def lowest(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Ritz values (n,) and their coefficients (k, n)."""
        values, c = torch.linalg.eigh(0.5 * (self.matrix + self.matrix.mH))
        return values[:n], c[:, :n]

    def combine(self, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Combinations of the rows, and of their images, with coefficients (k, n)."""
        rows = c.mT.contiguous()
        return self._workers.matmul(rows, self._basis), self._workers.matmul(rows, self._image)

    def shrink(self, c: torch.Tensor) -> None:
        """Keep orthonormal combinations (k, m) only."""
        self._basis, self._image = self.combine(c)
        self.matrix = c.mH @ self.matrix @ c

    def extend(self, new: torch.Tensor) -> int:
        """Add the independent part of new rows; returns how many there were."""
        new = _independent_of(self._basis, new, self._workers)
        if not len(new):
            return 0
        image = self._apply(new)
        side = _product(self._basis, image, self._workers)
        corner = _product(new, image, self._workers)
        above, below = torch.cat([self.matrix, side], dim=1), torch.cat([side.mH, corner], dim=1)
        self.matrix = torch.cat([above, below])
        self._basis, self._image = torch.cat([self._basis, new]), torch.cat([self._image, image])
        return len(new)


def _restart(c: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """Orthonormal combinations (k, m) of the basis: the states, and where they came from in the last step."""
    past = before - c @ (c.mH @ before)
    vectors, sizes, _ = torch.linalg.svd(past, full_matrices=False)
    return torch.cat([c, vectors[:, sizes > _SHORTEST_STEP]], dim=1)


def precondition(residual: torch.Tensor, x: torch.Tensor, kinetic: torch.Tensor) -> torch.Tensor:
    """Residuals damped where the kinetic energy is above the state's own, rows of length one."""
    kinetic = kinetic.to(residual.real.dtype)
    own = 1.5 * (x.abs() ** 2 @ kinetic).clamp(min=1e-6)
    t = kinetic / own[:, None]
    polynomial = 27 + t * (18 + t * (12 + 8 * t))
    return _unit(residual * (polynomial / (polynomial + 16 * t**4)))


def _unit(x: torch.Tensor) -> torch.Tensor:
    """Rows of length one."""
    return x / torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp(min=1e-30)


def orthonormal(x: torch.Tensor, workers: Workers) -> torch.Tensor:
    """An orthonormal basis of the span of rows no longer than one, by Cholesky; dependent rows drop out."""
    overlap = _product(x, x, workers)
    factor, failed = torch.linalg.cholesky_ex(overlap)
    smallest = _DEPENDENT[overlap.real.dtype]
    if int(failed) == 0 and float(factor.diagonal().real.min()) ** 2 > 100 * smallest:
        inverse = torch.linalg.solve_triangular(factor, torch.eye(len(x)).to(factor), upper=False)
        return workers.matmul(inverse.conj() if inverse.is_complex() else inverse, x)
    values, vectors = torch.linalg.eigh(overlap)
    kept = values > smallest
    return workers.matmul((vectors[:, kept] / values[kept].sqrt()).mT.contiguous(), x)


def _independent_of(basis: torch.Tensor, new: torch.Tensor, workers: Workers) -> torch.Tensor:
    """New rows made orthonormal to each other and to a basis; twice, which is enough."""
    for _ in range(2):
        new = new - workers.matmul(_product(basis, new, workers).mT.contiguous(), basis)
        new = orthonormal(new, workers)
    return new


def _product(left: torch.Tensor, right: torch.Tensor, workers: Workers) -> torch.Tensor:
    """⟨left_i|right_j⟩ of rows."""
    return workers.matmul(left.conj(), right.mT) if left.is_complex() else workers.matmul(left, right.mT)
