"""`PlaneWaves`: the orbitals' basis at one wave vector, and its transforms to a box of points.

ψ(r) = Ω^(−1/2) Σ_G c(G) exp(i(k + G)·r) over all G with ½|k + G|² ≤ E_cut.

Where 2k is a reciprocal vector, orbitals can be real: c(−G − 2k) is the conjugate of c(G). Half of the
coefficients are then held, as √2 (Re c, Im c), in real vectors whose scalar products are the orbitals':
every matrix product costs a quarter, and one complex transform serves two orbitals.
"""

from functools import cached_property

import numpy as np
import scipy.fft
import torch

from nearsight.engines.potential_resolution import spacing_of_cutoff
from nearsight.errors import InputError
from nearsight.grid import UniformGrid


def sphere(cell: np.ndarray, k: np.ndarray, ecut: float) -> np.ndarray:
    """All G with ½|k + G|² ≤ ecut as whole numbers along the reciprocal vectors, shape (n, 3).

    Parameters
    ----------
    cell : ndarray (3, 3)
        Rows are vectors, bohr.
    k : ndarray (3,)
        Wave vector along the reciprocal vectors.
    ecut : float
        Hartree.
    """
    reach = np.sqrt(2 * ecut) * np.linalg.norm(cell, axis=1) / (2 * np.pi)
    axes = [np.arange(np.ceil(-r - x), np.floor(r - x) + 1) for r, x in zip(reach, k, strict=True)]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    waves = (index + k) @ (2 * np.pi * np.linalg.inv(cell).T)
    return index[0.5 * np.einsum("gx,gx->g", waves, waves) <= ecut * (1 + 1e-12)].astype(np.int64)


def box_shape(grid: UniformGrid, points: np.ndarray, ecut: float) -> tuple[int, int, int]:
    """Shape of the smallest box without aliasing in densities, no larger than the grid.

    Parameters
    ----------
    grid : UniformGrid
    points : ndarray (n_k, 3)
        Fractional wave vectors.
    ecut : float
        Hartree.

    Raises
    ------
    InputError
        The grid does not even hold the orbitals.
    """
    spheres = [sphere(grid.cell, k, ecut) for k in points]
    widths = np.max([np.ptp(one, axis=0) for one in spheres], axis=0)
    if any(n <= width for n, width in zip(grid.shape, widths, strict=True)):
        raise InputError(
            f"{grid!r} is too coarse for orbitals up to {ecut:g} hartree; "
            f"use a spacing of {spacing_of_cutoff(ecut):.3f} bohr or a smaller ecut"
        )
    n1, n2, n3 = (
        min(n, scipy.fft.next_fast_len(int(2 * width + 1)))
        for n, width in zip(grid.shape, widths, strict=True)
    )
    return n1, n2, n3


class PlaneWaves:
    """Plane waves up to a kinetic energy at one wave vector.

    Parameters
    ----------
    cell : ndarray (3, 3)
        Bohr.
    k : ndarray (3,)
        Fractional wave vector.
    ecut : float
        Hartree.
    shape : tuple of three int
        Of the box that orbitals are transformed to.
    device : torch.device

    Attributes
    ----------
    real : bool
        Whether vectors are real, as above.
    waves : ndarray (n_held, 3)
        k + G of the held coefficients, 1/bohr.
    """

    def __init__(
        self, cell: np.ndarray, k: np.ndarray, ecut: float, shape: tuple[int, int, int], device: torch.device
    ) -> None:
        self.cell, self.shape, self.device = cell, shape, device
        self.volume = float(abs(np.linalg.det(cell)))
        index = sphere(cell, k, ecut)
        self._n_waves = len(index)
        self.real = bool(np.abs(2 * k - np.rint(2 * k)).max() < 1e-9)
        partner = -index - np.rint(2 * k).astype(np.int64)
        if self.real:
            # one of each pair: the first that differs along the axes is larger
            difference = index - partner
            sign = np.sign(difference) @ np.array([9, 3, 1])
            index, partner, sign = index[sign >= 0], partner[sign >= 0], sign[sign >= 0]
            self._root = torch.as_tensor(np.where(sign == 0, 1.0, np.sqrt(2.0)), device=device)
        self.index = index
        self.waves = (index + k) @ (2 * np.pi * np.linalg.inv(cell).T)
        self._flat, self._partner = (
            torch.as_tensor(self._positions(i), device=device) for i in (index, partner)
        )

    def __len__(self) -> int:
        """Length of a vector: real or complex numbers."""
        return len(self.index) * (2 if self.real else 1)

    @property
    def n_waves(self) -> int:
        """Plane waves within the sphere, the conjugates of the held ones included."""
        return self._n_waves

    def dtype(self, *, single: bool = False) -> torch.dtype:
        """Of the vectors, in double or single precision."""
        if self.real:
            return torch.float32 if single else torch.float64
        return torch.complex64 if single else torch.complex128

    @cached_property
    def kinetic(self) -> torch.Tensor:
        """½|k + G|² of each entry of a vector, hartree, float64."""
        return self._entries(0.5 * np.einsum("gx,gx->g", self.waves, self.waves))

    @cached_property
    def _directions(self) -> list[torch.Tensor]:
        return [torch.as_tensor(self.waves[:, x], device=self.device) for x in range(3)]

    def vectors(self, coefficients: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Vectors (m, len) of functions with coefficients c (m, n_held), double precision."""
        c = torch.as_tensor(coefficients, device=self.device)
        return torch.view_as_real(c * self._root).flatten(-2) if self.real else c

    def gradient(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        """∂/∂r along a Cartesian axis of functions (m, len)."""
        factor = self._directions[axis]
        if not self.real:
            return x * (1j * factor)
        pairs = x.reshape(len(x), -1, 2)
        return torch.stack([-pairs[..., 1] * factor, pairs[..., 0] * factor], dim=-1).flatten(-2)

    def random(self, n: int, generator: np.random.Generator) -> torch.Tensor:
        """Vectors (n, len) of random phases, mostly of long waves."""
        kinetic = 0.5 * np.einsum("gx,gx->g", self.waves, self.waves)
        c = generator.uniform(-1, 1, (n, len(kinetic), 2)) @ np.array([1, 1j]) / (1 + kinetic) ** 2
        if self.real:
            c[:, self._root.cpu().numpy() == 1.0] = c.real[:, self._root.cpu().numpy() == 1.0]
        return self.vectors(c)

    # -- the box ----------------------------------------------------------------------------

    def to_box(self, x: torch.Tensor) -> torch.Tensor:
        """√Ω exp(−ik·r) ψ on the box, shape (m, n1, n2, n3); two real orbitals (ψ₁ + iψ₂) in one."""
        if self.real:
            c = torch.view_as_complex(x.reshape(len(x), -1, 2)) / self._root.to(x.dtype)
            first, second = c[0::2], c[1::2]
            if len(second) < len(first):
                second = torch.cat([second, torch.zeros_like(c[:1])])
            box = c.new_zeros((len(first), self.shape[0] * self.shape[1] * self.shape[2]))
            box[:, self._partner] = first.conj() + 1j * second.conj()
            box[:, self._flat] = first + 1j * second
        else:
            box = x.new_zeros((len(x), self.shape[0] * self.shape[1] * self.shape[2]))
            box[:, self._flat] = x
        return torch.fft.ifftn(box.reshape(-1, *self.shape), dim=(1, 2, 3), norm="forward")

    def from_box(self, values: torch.Tensor, n: int) -> torch.Tensor:
        """Vectors (n, len) of functions on the box: the adjoint of `to_box` over the number of points."""
        box = torch.fft.fftn(values, dim=(1, 2, 3), norm="forward").flatten(1)
        if not self.real:
            return box[:, self._flat]
        direct, mirrored = box[:, self._flat], box[:, self._partner].conj()
        c = torch.stack([direct + mirrored, -1j * (direct - mirrored)], dim=1).flatten(0, 1)[:n]
        return torch.view_as_real(c * (0.5 * self._root.to(c.real.dtype))).flatten(-2)

    def _positions(self, index: np.ndarray) -> np.ndarray:
        """Flat indices in the box of waves (n, 3)."""
        return np.ravel_multi_index(tuple((index % np.array(self.shape)).T), self.shape)

    def _entries(self, held: np.ndarray) -> torch.Tensor:
        """Numbers of the held waves (n_held,) for each entry of a vector (len,)."""
        return torch.as_tensor(np.repeat(held, 2) if self.real else held, device=self.device)
