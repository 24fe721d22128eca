"""The non-local pseudopotential at one wave vector: projectors as rows of plane-wave coefficients.

    ⟨k + G|p_a⟩ = Ω^(−1/2) (−i)^l F(|k + G|) Y_lm exp(−i(k + G)·R_a)

(Kleinman and Bylander, PRL 48, 1425 (1982)). Rows are kept where they fit into memory, and otherwise made
anew, a few atoms at a time, whenever they are needed; the result is the same.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from nearsight.engines.norm_conserving import NormConserving
from nearsight.engines.planewave.harmonics import real_harmonics
from nearsight.engines.planewave.sphere import PlaneWaves
from nearsight.engines.planewave.threads import Workers
from nearsight.structure import Structure

#: bytes of projectors that are made at a time
_BLOCK_BYTES = 64e6
#: step of the strain that differentiates F and Y, and weights of the fourth-order differences
_STRAIN = 1e-3
_STENCIL = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}

Forms = Callable[[NormConserving], np.ndarray]


@dataclass(frozen=True, eq=False)
class Block:
    """Projectors of a few atoms of one element.

    Attributes
    ----------
    atoms : ndarray (n_a,)
        Their indices in the structure.
    rows : Tensor (n_a · n_p, len)
    matrix : Tensor (n_p, n_p)
        The coupling D of one atom, hartree.
    """

    atoms: np.ndarray
    rows: torch.Tensor
    matrix: torch.Tensor

    def overlaps(self, x: torch.Tensor, workers: Workers) -> torch.Tensor:
        """⟨p|x⟩ for rows x (m, len), shape (m, n_a, n_p)."""
        found = workers.matmul(x, self.rows.mH)
        return found.reshape(len(x), len(self.atoms), len(self.matrix))

    def couple(self, overlaps: torch.Tensor) -> torch.Tensor:
        """Σ_j D_ij ⟨p_j|x⟩."""
        return overlaps @ self.matrix.to(overlaps.dtype)


class NonLocal:
    """Projectors of all atoms in one basis.

    Parameters
    ----------
    structure : Structure
    potentials : mapping from atomic number to NormConserving
    waves : PlaneWaves
    memory_mb : float
        Projectors are kept if they need no more.
    """

    def __init__(
        self,
        structure: Structure,
        potentials: Mapping[int, NormConserving],
        waves: PlaneWaves,
        memory_mb: float,
    ) -> None:
        self.structure, self.potentials, self.waves = structure, potentials, waves
        number = sum(potentials[int(z)].n_projectors for z in structure.numbers)
        self._kept: list[Block] | None = None
        self._keep = number * self._row_bytes <= memory_mb * 1e6

    @property
    def _row_bytes(self) -> float:
        return 16.0 * len(self.waves.index)

    def blocks(self, dtype: torch.dtype) -> Iterator[Block]:
        """All projectors, in blocks."""
        if self._kept is None or (self._kept and self._kept[0].rows.dtype != dtype):
            made = self._make(self._forms, dtype)
            if not self._keep:
                yield from made
                return
            self._kept = list(made)
        yield from self._kept

    def add_to(self, out: torch.Tensor, x: torch.Tensor, workers: Workers) -> None:
        """Add V_nl x to `out`, both (m, len)."""
        for block in self.blocks(x.dtype):
            coupled = block.couple(block.overlaps(x, workers)).flatten(1)
            out += workers.matmul(coupled, block.rows)

    def energy(self, x: torch.Tensor, occupations: torch.Tensor, workers: Workers) -> float:
        """Σ_n f_n ⟨x_n|V_nl|x_n⟩ in hartree."""
        total = 0.0
        for block in self.blocks(x.dtype):
            overlaps = block.overlaps(x, workers)
            total += _weighted(occupations, overlaps, block.couple(overlaps))
        return total

    def forces(self, x: torch.Tensor, occupations: torch.Tensor, workers: Workers) -> np.ndarray:
        """−∂/∂R of the energy at fixed vectors in hartree/bohr, shape (n_atoms, 3)."""
        forces = np.zeros((self.structure.n_atoms, 3))
        gradients = [self.waves.gradient(x, axis) for axis in range(3)]
        for block in self.blocks(x.dtype):
            coupled = block.couple(block.overlaps(x, workers))
            for axis, gradient in enumerate(gradients):
                # ∂⟨p|x⟩/∂R = ⟨p|∇x⟩
                moved = (coupled.conj() * block.overlaps(gradient, workers)).real.sum(dim=2)
                forces[block.atoms, axis] = -2 * (occupations @ moved).cpu().numpy()
        return forces

    def strain_derivative(self, x: torch.Tensor, occupations: torch.Tensor, workers: Workers) -> np.ndarray:
        """∂E/∂ε_ij at fixed vectors in hartree, shape (3, 3); the volume's part, −E δ_ij, included."""
        result = np.zeros((3, 3))
        for i in range(3):
            for j in range(i + 1):
                forms = self._strained(i, j)
                total = 0.0
                for block, moved in zip(
                    self._make(self._forms, x.dtype), self._make(forms, x.dtype), strict=True
                ):
                    coupled = block.couple(block.overlaps(x, workers))
                    total += 2 * _weighted(occupations, coupled, moved.overlaps(x, workers))
                result[i, j] = result[j, i] = total
        return result - np.eye(3) * self.energy(x, occupations, workers)

    def _forms(self, potential: NormConserving) -> np.ndarray:
        return projector_forms(potential, self.waves.waves, self.waves.volume)

    def _strained(self, i: int, j: int) -> Forms:
        """Derivative of the forms for a symmetric strain, which takes k + G to (1 − ε)(k + G)."""
        strain = np.zeros((3, 3))
        strain[i, j] += 0.5
        strain[j, i] += 0.5

        def derivative(potential: NormConserving) -> np.ndarray:
            total = np.zeros((potential.n_projectors, len(self.waves.waves)), dtype=np.complex128)
            for step, weight in _STENCIL.items():
                waves = self.waves.waves @ (np.eye(3) - step * _STRAIN * strain)
                total += weight / _STRAIN * projector_forms(potential, waves, self.waves.volume)
            return total

        return derivative

    def _make(self, forms: Forms, dtype: torch.dtype) -> Iterator[Block]:
        structure = self.structure
        for number in structure.species:
            potential = self.potentials[number]
            if not potential.n_projectors:
                continue
            form = forms(potential)
            matrix = torch.as_tensor(coupling_matrix(potential), device=self.waves.device)
            atoms = np.flatnonzero(structure.numbers == number)
            size = max(1, int(_BLOCK_BYTES / (potential.n_projectors * self._row_bytes)))
            for start in range(0, len(atoms), size):
                some = atoms[start : start + size]
                phases = np.exp(-1j * (structure.positions[some] @ self.waves.waves.T))
                rows = (phases[:, None] * form).reshape(-1, form.shape[1])
                yield Block(some, self.waves.vectors(rows).to(dtype), matrix)


def projector_forms(potential: NormConserving, waves: np.ndarray, volume: float) -> np.ndarray:
    """Ω^(−1/2) (−i)^l F_i Y_lm at wave vectors (n, 3) in 1/bohr, shape (n_p, n): l, then i, then m."""
    length = np.linalg.norm(waves, axis=1)
    parts = []
    for channel in potential.projectors:
        harmonics = real_harmonics(channel.ell, waves)
        radial = channel.fourier(length)
        parts.append((-1j) ** channel.ell * (radial[:, None] * harmonics).reshape(-1, len(length)))
    return np.concatenate(parts) / np.sqrt(volume)


def coupling_matrix(potential: NormConserving) -> np.ndarray:
    """D of one atom in the order of `projector_forms`, hartree, shape (n_p, n_p)."""
    blocks = [np.kron(channel.matrix, np.eye(2 * channel.ell + 1)) for channel in potential.projectors]
    total = np.zeros((potential.n_projectors, potential.n_projectors))
    start = 0
    for block in blocks:
        total[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    return total


def _weighted(occupations: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> float:
    """Σ_n f_n Re⟨left_n|right_n⟩ of overlaps (m, n_a, n_p)."""
    return float(occupations @ (left.conj() * right).real.flatten(1).sum(dim=1))
