"""H = T + V + V_nl on vectors of one wave vector, and the density of orbitals."""

import torch

from nearsight.engines.planewave.nonlocal_potential import NonLocal
from nearsight.engines.planewave.sphere import PlaneWaves
from nearsight.engines.planewave.threads import Workers

#: points of the boxes that one thread transforms at a time, on a CPU (its cache) and on a GPU
_POINTS = {"cpu": 2**18, "cuda": 2**26}


class Hamiltonian:
    """The Kohn–Sham operator of a potential at one wave vector.

    Parameters
    ----------
    waves : PlaneWaves
    projectors : NonLocal
    potential : Tensor (n1, n2, n3)
        Total local potential on the box, hartree.
    workers : Workers
    """

    def __init__(
        self, waves: PlaneWaves, projectors: NonLocal, potential: torch.Tensor, workers: Workers
    ) -> None:
        self.waves, self.projectors, self.workers = waves, projectors, workers
        self._potential = potential

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """H on rows (m, len)."""
        out = x * self.waves.kinetic.to(x.real.dtype)
        potential = self._potential.to(x.real.dtype)

        def add_local(rows: slice) -> None:
            for some in chunks(rows, self.waves):
                product = self.waves.to_box(x[some]).mul_(potential)
                out[some] += self.waves.from_box(product, some.stop - some.start)

        self.workers.parts(add_local, len(x), multiple=2)
        self.projectors.add_to(out, x, self.workers)
        return out


def squared(waves: PlaneWaves, x: torch.Tensor, occupations: torch.Tensor, workers: Workers) -> torch.Tensor:
    """Σ_n f_n |ψ_n|² on the box, e/bohr³, for rows (m, len) and their occupations (m,)."""
    weighted = x * occupations.sqrt().to(x.real.dtype)[:, None]

    def one(rows: slice) -> torch.Tensor:
        total = torch.zeros(waves.shape, dtype=torch.float64, device=waves.device)
        for some in chunks(rows, waves):
            parts = torch.view_as_real(waves.to_box(weighted[some]))
            total += torch.einsum("m...c,m...c->...", parts, parts)
        return total

    return torch.stack(workers.parts(one, len(x), multiple=2)).sum(dim=0) / waves.volume


def chunks(rows: slice, waves: PlaneWaves) -> list[slice]:
    """Pieces of a slice whose boxes fit together, an even number of rows each."""
    n1, n2, n3 = waves.shape
    size = 2 * max(1, _POINTS.get(waves.device.type, 2**22) // (n1 * n2 * n3))
    return [slice(start, min(start + size, rows.stop)) for start in range(rows.start, rows.stop, size)]
