"""`PowerSpectrum`: a smooth, rotation-invariant expansion of the atoms around a point.

With q = (r² + s²)^½ for a softening length s, every atom of species a at the vector **r** from the
point adds to the coefficients

    c^a_nlm = Σ_atoms w(r) T_n(x(q)) Y_lm(**r**/q)

where w = (1 − r²/r_c²)³ inside the cut-off r_c is the window (twice continuously differentiable at
r_c), T_n the Chebyshev polynomials, x a map of q onto [−1, 1] that resolves short distances more
finely, q/(q + b) up to a linear map, and Y_lm the real solid harmonics with Σ_m Y_lm² = (r/q)^2l.
All of it is a smooth function of the position, at r = 0 as well. Features are the coefficients
c^a_n00 themselves, which are sums over atoms, and for l > 0 the power spectrum

    p^ab_nn'l = Σ_m c^a_nlm c^b_n'lm = Σ_ij f_n(r_i) f_n'(r_j) P_l(cos γ_ij)

(A. P. Bartók, R. Kondor, G. Csányi, Phys. Rev. B 87, 184115 (2013)).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from nearsight.descriptors.evaluator import BlockEvaluator, check_species, species_index
from nearsight.descriptors.kernels import Bins
from nearsight.descriptors.kernels_power import Expansion, power_spectrum
from nearsight.descriptors.protocol import Evaluator
from nearsight.errors import InputError
from nearsight.neighbours import CellList
from nearsight.provenance import to_plain
from nearsight.structure import Structure

#: the recurrence of the harmonics is in single precision; beyond this nothing is gained
_LARGEST_L = 12


@dataclass(frozen=True)
class PowerSpectrum:
    """Radial functions × spherical harmonics, made invariant by the power spectrum.

    Parameters
    ----------
    species : sequence of int
        Atomic numbers told apart; kept ascending.
    cutoff : float
        Bohr; atoms beyond it do not count.
    channels : tuple of int
        How many radial functions l = 0, 1, 2 … have; its length is the largest l plus one.
    softening : float
        The length s in bohr below which distances blur.
    stretch : float
        The length b in bohr: distances well below it are resolved more finely.
    cross : {"diagonal", "full", "none"}
        Which n, n′ of two different species are combined: n = n′, all, or none. With S species and
        k channels "full" has of the order of (S k)²/2 features for each l, "diagonal" S k²/2 + S² k/2.

    Raises
    ------
    InputError
        A setting that makes no sense.
    """

    species: tuple[int, ...]
    cutoff: float = 9.0
    channels: tuple[int, ...] = (8, 7, 6, 5, 4, 3, 2)
    softening: float = 1.0
    stretch: float = 3.0
    cross: Literal["diagonal", "full", "none"] = "diagonal"

    name = "power_spectrum"

    def __post_init__(self) -> None:
        object.__setattr__(self, "species", check_species(self.species))
        for key in ("cutoff", "softening", "stretch"):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e3:
                raise InputError(f"power_spectrum: {key} is a positive number of bohr, not {value!r}")
            object.__setattr__(self, key, float(value))
        channels = self.channels
        if (
            not isinstance(channels, list | tuple)
            or not 1 <= len(channels) <= _LARGEST_L + 1
            or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in channels)
        ):
            raise InputError(
                f"power_spectrum: channels lists 1 to {_LARGEST_L + 1} positive whole numbers "
                f"(radial functions for l = 0, 1 …), not {channels!r}"
            )
        object.__setattr__(self, "channels", tuple(channels))
        if self.cross not in ("diagonal", "full", "none"):
            raise InputError(f"power_spectrum: cross is diagonal, full or none, not {self.cross!r}")

    @property
    def l_max(self) -> int:
        """Largest angular momentum."""
        return len(self.channels) - 1

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        return len(self._terms[0])

    def settings(self) -> dict[str, Any]:
        """JSON-ready settings from which `descriptor_from_settings` builds an equal descriptor."""
        plain: dict[str, Any] = to_plain(self)
        return {"name": self.name, **plain}

    def prepare(self, structure: Structure) -> Evaluator:
        """Build the cell list of a structure.

        Raises
        ------
        UnknownElementError
            An atom's element is not among `species`.
        """
        index = species_index(structure, self.species)
        cells = CellList.build(structure, self.cutoff)
        bins, kind, expansion = Bins.of(cells), index[cells.atom], self._expansion

        def kernel(points: np.ndarray, out: np.ndarray) -> None:
            power_spectrum(points, bins, kind, expansion, out)

        return BlockEvaluator(cells, self.n_features, kernel)

    @cached_property
    def _expansion(self) -> Expansion:
        """What the kernel needs to know."""
        s, b, q = self.softening, self.stretch, float(np.hypot(self.cutoff, self.softening))
        low, high = s / (s + b), q / (q + b)
        radial = np.array([self.cutoff**2, s * s, b, low, 2 / (high - low)], dtype=np.float32)
        channels = np.array(self.channels, dtype=np.int64)
        return Expansion(radial, _RECURRENCE, channels, len(self.species), *self._terms)

    @cached_property
    def _terms(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each feature: its row of coefficients, the row it is multiplied with (−1: none), 2l + 1.

        Row (a, l, n, m) of the coefficients lies at a·R + Σ_{l'<l} k_l'(2l' + 1) + n(2l + 1) + l + m.
        """
        sizes = [k * (2 * ell + 1) for ell, k in enumerate(self.channels)]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        terms = [
            (a * starts[-1] + n, -1, 1) for a in range(len(self.species)) for n in range(self.channels[0])
        ]
        for a in range(len(self.species)):
            for b in range(a, len(self.species)):
                for ell in range(1, self.l_max + 1):
                    wide = 2 * ell + 1
                    here, there = a * starts[-1] + starts[ell], b * starts[-1] + starts[ell]
                    terms += [(here + n * wide, there + k * wide, wide) for n, k in self._pairs(ell, a == b)]
        first, second, width = np.array(terms, dtype=np.int64).T.copy()
        return first, second, width

    def _pairs(self, ell: int, same_species: bool) -> list[tuple[int, int]]:
        """The radial indices (n, n′) combined at l: n ≤ n′ within a species, as `cross` says otherwise."""
        k = range(self.channels[ell])
        if same_species:
            return [(n, m) for n in k for m in k if n <= m]
        return [(n, m) for n in k for m in k if self.cross == "full" or (self.cross == "diagonal" and n == m)]


def _recurrence(l_max: int) -> np.ndarray:
    """Coefficients that raise l, coefficients of l − 2, and those of m = l; (3, l_max + 1, l_max + 1).

    (l² − m²)^½ Y_lm = (2l − 1) z Y_(l−1)m − ((l − 1)² − m²)^½ v² Y_(l−2)m, and
    Y_m,±m = ((2m − 1)/(2m))^½ (x Y_(m−1),±(m−1) ∓ y Y_(m−1),∓(m−1)), for Racah's normalisation.
    """
    table = np.zeros((3, l_max + 1, l_max + 1))
    for ell in range(1, l_max + 1):
        for m in range(ell):
            root = np.sqrt(ell * ell - m * m)
            table[0, ell, m] = (2 * ell - 1) / root
            table[1, ell, m] = np.sqrt(max(0, (ell - 1) ** 2 - m * m)) / root
        table[2, 0, ell] = np.sqrt((2 * ell - 1) / (2 * ell))
    return table.astype(np.float32)


_RECURRENCE = _recurrence(_LARGEST_L)
