"""`QuadraticForm`: φᵀ Λ⁻¹ φ of many points, φ = (h, 1), in float32 and by a thin matrix product.

With Λ = [[A, b], [bᵀ, c]], u = h − b/c and S = A − b bᵀ/c it is uᵀ S⁻¹ u + 1/c. Many eigenvalues s of S are
little above the smallest: directions of which the data says less than the prior. With those up to a quarter
above it set to one value s₀,

    uᵀ S⁻¹ u = ‖u‖²/s₀ − Σ (1/s₀ − 1/s) (v·u)²,

where the sum runs over the others, fewer than half for the default network and Al32. That halves the cost; it
is off by at most 1/9 for certain, and by half a per cent on points like those of the training. Where the
difference would lose the digits of float32, because the data says very much, or where few directions can be
left out, it is ‖L⁻¹ u‖² with S = L Lᵀ.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F  # noqa: N812

#: eigenvalues up to this multiple of the smallest count as one
_ALIKE = 1.25
#: smallest share of ‖u‖²/s₀ that may be left of the difference, on the mean, in float32
_LEFT = 3e-4
#: share of the directions above which leaving the others out is not worth it
_WORTH = 0.8

#: rows worked on at a time: they stay in the processor's cache
_CACHED = 2048


@dataclass(frozen=True, eq=False)
class QuadraticForm:
    """What evaluates the form, and a linear function beside it, in one product; float32.

    Attributes
    ----------
    centre : Tensor (p − 1,)
        b/c.
    rows : Tensor (r + 1, p − 1)
        The directions, scaled, and last the linear function.
    shift : Tensor (r + 1,)
        Zero, and the linear function's value at the centre.
    whole : float
        1/s₀, or 0 where all directions are among the rows.
    offset : float
        1/c.
    """

    centre: torch.Tensor
    rows: torch.Tensor
    shift: torch.Tensor
    whole: float
    offset: float

    @classmethod
    def of(cls, precision: torch.Tensor, linear: torch.Tensor) -> "QuadraticForm":
        """Of Λ (p, p) and a function linear · φ (p,), both float64."""
        b, c = precision[:-1, -1], precision[-1, -1]
        centre = b / c
        values, vectors = torch.linalg.eigh(precision[:-1, :-1] - torch.outer(b, centre))
        rest = values <= _ALIKE * values[0]
        common = 2 / (1 / values[rest].min() + 1 / values[rest].max())
        if _loses_digits(values / common) or float((~rest).double().mean()) > _WORTH:
            whole, rows = 0.0, vectors.T / values.sqrt()[:, None]
        else:
            weight = (1 / common - 1 / values[~rest]).sqrt()
            whole, rows = float(1 / common), vectors.T[~rest] * weight[:, None]
        shift = torch.zeros(len(rows) + 1, dtype=rows.dtype, device=rows.device)
        shift[-1] = linear[:-1] @ centre + linear[-1]
        rows = torch.cat([rows, linear[None, :-1]])
        return cls(centre.float(), rows.float().contiguous(), shift.float(), whole, float(1 / c))

    def values(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The form and the linear function (m,) of hidden activations (m, p − 1), float32."""
        found = hidden.new_empty(2, len(hidden))
        for start in range(0, len(hidden), _CACHED):
            rows = slice(start, start + _CACHED)
            self._fill(found[:, rows], hidden[rows])
        return found[0], found[1]

    def _fill(self, found: torch.Tensor, hidden: torch.Tensor) -> None:
        u = hidden - self.centre
        z = F.linear(u, self.rows, self.shift)
        found[1] = z[:, -1]
        known = torch.linalg.vector_norm(z[:, :-1], dim=1).square_()
        if self.whole:
            norm = torch.linalg.vector_norm(u, dim=1).square_()
            known = norm.mul_(self.whole).sub_(known).clamp_(min=0)
        found[0] = known.add_(self.offset)


def _loses_digits(relative: torch.Tensor) -> bool:
    """Whether ⟨uᵀ S⁻¹ u⟩ is too small beside ⟨‖u‖²⟩/s₀, from eigenvalues relative to s₀.

    What the prior did not give them the data did, so that the mean of (v·u)² goes with s/s₀ − 1.
    """
    excess = (relative - 1).clamp(min=0)
    return float((excess / relative).sum()) < _LEFT * float(excess.sum())
