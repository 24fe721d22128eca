"""`NormConserving`: a separable norm-conserving pseudopotential of one element, wherever it comes from.

    V = V_loc(r) + Σ_l Σ_ij Σ_m |p_i^l Y_lm⟩ D^l_ij ⟨p_j^l Y_lm|

(Kleinman and Bylander, PRL 48, 1425 (1982); several projectors: Blöchl, PRB 41, 5414 (1990), and Hamann,
PRB 88, 085117 (2013)). The local part is split as V_loc = −Z erf(r/√2σ)/r + short(r): the first is analytic
in both spaces, the second vanishes within a few bohr. A core density, where there is one, is added to the
valence density in exchange and correlation only (Louie, Froyen, Cohen, PRB 26, 1738 (1982)).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import erf

from nearsight.atomic.radial import RadialDensity
from nearsight.engines.radial_function import RadialFunction
from nearsight.errors import InputError
from nearsight.provenance import digest


@dataclass(frozen=True, eq=False)
class Projectors:
    """The projectors of one angular momentum.

    Attributes
    ----------
    ell : int
        Angular momentum l.
    functions : tuple of RadialFunction
        p_i(r), in bohr^-3/2.
    matrix : ndarray (n, n)
        D_ij in hartree, symmetric.
    """

    ell: int
    functions: tuple[RadialFunction, ...]
    matrix: np.ndarray

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        n = len(self.functions)
        if matrix.shape != (n, n) or not np.allclose(matrix, matrix.T, atol=1e-8):
            raise InputError(f"{n} projectors with l = {self.ell} need a symmetric ({n}, {n}) matrix")
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    def __len__(self) -> int:
        return len(self.functions)

    def fourier(self, q: np.ndarray) -> np.ndarray:
        """4π ∫ r² j_l(qr) p_i(r) dr in bohr^3/2 at wave numbers `q` (1/bohr), shape (n, *q.shape)."""
        return np.stack([function.fourier(q) for function in self.functions])


@dataclass(frozen=True, eq=False)
class NormConserving:
    """A norm-conserving pseudopotential of one element, spherical and without spin.

    Attributes
    ----------
    number : int
        Atomic number.
    charge : float
        Z, the valence electrons.
    split : float
        σ in bohr, which divides the local part; no result depends on it.
    short : RadialFunction
        V_loc(r) + Z erf(r/√2σ)/r in hartree.
    projectors : tuple of Projectors
        One entry for each angular momentum that has any, ascending.
    core : RadialFunction or None
        Core density for exchange and correlation, e/bohr³.
    valence_density : RadialDensity or None
        The free atom's, where the file has it.
    functional : str or None
        What it was made for, where the file says.
    name : str
        Family or file name, for people.
    """

    number: int
    charge: float
    split: float
    short: RadialFunction
    projectors: tuple[Projectors, ...] = ()
    core: RadialFunction | None = None
    valence_density: RadialDensity | None = None
    functional: str | None = None
    name: str = ""

    def local(self, g_squared: np.ndarray) -> np.ndarray:
        """v(G) in hartree·bohr³ at |G|² (1/bohr²), any shape.

        At G = 0 the divergence −4πZ/G² cancels against the other Coulomb terms of a neutral cell; what
        remains, 4π ∫ r² (V_loc + Z/r) dr, is the value there.
        """
        g_squared = np.asarray(g_squared, dtype=np.float64)
        zero = g_squared < 1e-12
        decay = np.exp(-0.5 * g_squared * self.split**2)
        coulomb = np.where(zero, 0.5 * self.split**2, -decay / np.where(zero, 1.0, g_squared))
        return np.asarray(4 * np.pi * self.charge * coulomb + self.short.fourier(np.sqrt(g_squared)))

    def local_potential(self, r: np.ndarray) -> np.ndarray:
        """V_loc in hartree at radii `r` (bohr), any shape; finite at zero."""
        r = np.asarray(r, dtype=np.float64)
        near = r < 1e-8
        smeared = erf(r / (np.sqrt(2) * self.split)) / np.where(near, 1.0, r)
        smeared = np.where(near, np.sqrt(2 / np.pi) / self.split, smeared)
        return np.asarray(self.short(r) - self.charge * smeared)

    def core_density(self, g_squared: np.ndarray) -> np.ndarray | None:
        """Fourier transform of the core density in electrons at |G|² (1/bohr²); None without one."""
        return None if self.core is None else self.core.fourier(np.sqrt(np.asarray(g_squared)))

    @property
    def n_projectors(self) -> int:
        """Projectors of one atom, all l, i and m."""
        return sum((2 * channel.ell + 1) * len(channel) for channel in self.projectors)

    @cached_property
    def digest(self) -> str:
        """Hash of everything that decides energies; not of the name."""
        channels = [(channel.ell, channel.functions, channel.matrix) for channel in self.projectors]
        return digest(self.number, self.charge, self.split, self.short, channels, self.core)
