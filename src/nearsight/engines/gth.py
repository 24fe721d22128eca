"""Goedecker–Teter–Hutter pseudopotentials as `NormConserving`: everything is Gaussians.

Local part: Goedecker, Teter, Hutter, PRB 54, 1703 (1996), equation 1; projectors: Hartwigsen, Goedecker,
Hutter, PRB 58, 3641 (1998), equations 3 and 4. Parameters from PySCF's copy of the CP2K tables.
"""

from functools import lru_cache

import numpy as np
from scipy.special import gamma

from nearsight.engines.norm_conserving import NormConserving, Projectors
from nearsight.engines.pseudopotential import load_gth
from nearsight.engines.radial_function import GaussianFunction
from nearsight.engines.radial_pseudopotential import load_radial


@lru_cache(maxsize=256)
def gth_potential(family: str, number: int) -> NormConserving:
    """The potential of an element; raises `UnknownElementError` where the family does not have it."""
    local, table = load_gth(family, number), load_radial(number, family)
    return NormConserving(
        number=number,
        charge=local.charge,
        split=local.r_loc,
        short=GaussianFunction(0, local.r_loc, local.coefficients),
        projectors=tuple(
            Projectors(ell, tuple(_projector(ell, i, radius) for i in range(len(h))), h)
            for ell, (radius, h) in enumerate(table.projectors)
            if h.size
        ),
        name=family,
    )


def _projector(ell: int, i: int, radius: float) -> GaussianFunction:
    """Projector i = 0, 1, … of HGH's equation 3, of norm one."""
    norm = np.sqrt(2 / (gamma(ell + 2 * i + 1.5) * radius**3))
    return GaussianFunction(ell, radius, (0.0,) * i + (float(norm),))
