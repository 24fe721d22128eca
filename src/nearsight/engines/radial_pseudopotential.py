"""GTH pseudopotentials along a radius: the local potential and the projectors' matrix.

Goedecker, Teter, Hutter, PRB 54, 1703 (1996), equation 1; Hartwigsen, Goedecker, Hutter, PRB 58, 3641
(1998), equations 3 and 4. Parameters from PySCF's copy of the CP2K tables.
"""

from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols
from pyscf.lib.exceptions import BasisNotFoundError
from pyscf.pbc.gto.pseudo import load as load_pseudopotential
from scipy.special import erf, gamma

from nearsight.engines.radial_basis import RadialSpace
from nearsight.errors import UnknownElementError


class RadialPseudopotential(NamedTuple):
    """A GTH pseudopotential, seen along a radius.

    Attributes
    ----------
    symbol : str
        Chemical symbol.
    electrons : list of int
        Valence electrons by angular momentum.
    r_local, c_local
        Radius (bohr) and coefficients (hartree) of the local part.
    projectors : list of (float, ndarray)
        Radius and h matrix by angular momentum.
    """

    symbol: str
    electrons: list[int]
    r_local: float
    c_local: list[float]
    projectors: list[tuple[float, np.ndarray]]

    def local(self, r: np.ndarray) -> np.ndarray:
        """Local potential in hartree (GTH, equation 1)."""
        s2 = (r / self.r_local) ** 2
        short = np.exp(-0.5 * s2) * np.polynomial.polynomial.polyval(s2, self.c_local or [0.0])
        return np.asarray(-sum(self.electrons) / r * erf(r / (np.sqrt(2) * self.r_local)) + short)

    def nonlocal_matrix(self, ell: int, space: RadialSpace) -> np.ndarray:
        """Σ_ij ⟨u|p_i⟩ h_ij ⟨p_j|u'⟩ in the basis (HGH, equations 3 and 4)."""
        if ell >= len(self.projectors) or self.projectors[ell][1].size == 0:
            return np.zeros((len(space.u), len(space.u)))
        radius, h = self.projectors[ell]
        overlaps = []
        for i in range(len(h)):
            power = ell + 2 * i
            norm = np.sqrt(2 / gamma(power + 1.5)) / radius ** (power + 1.5)
            projector = norm * space.r**power * np.exp(-0.5 * (space.r / radius) ** 2)
            overlaps.append(space.u @ (space.weight * space.r * projector))
        b = np.array(overlaps)
        return np.asarray(b.T @ h @ b)


def load_radial(number: int, family: str) -> RadialPseudopotential:
    """Read one element of a family from PySCF's tables; raises `UnknownElementError`."""
    symbol = chemical_symbols[number] if 0 < number < len(chemical_symbols) else str(number)
    try:
        electrons, r_local, _, c_local, _, *projectors = load_pseudopotential(family, symbol)
    except (BasisNotFoundError, KeyError, RuntimeError) as error:
        raise UnknownElementError(
            f"no pseudopotential of the family '{family}' for element {symbol}; choose another family"
        ) from error
    by_l = [(radius, np.array(h)) for radius, _, h in projectors]
    return RadialPseudopotential(symbol, electrons, r_local, c_local, by_l)
