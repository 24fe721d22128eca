"""Free energies from a density and the states in a potential, whatever the states are expanded in.

Kohn–Sham free energy of orbitals ψ with occupations f and density ρ = Σ f|ψ|²:

    F = Σ f⟨ψ|T + V_nl|ψ⟩ + ∫V_loc ρ + E_H[ρ] + E_xc[ρ + ρ_core] + E_ewald − TS.

Harris–Foulkes free energy of an input density ρ, with ε, f from one diagonalisation in its potential:

    F = Σ f ε − TS − E_H[ρ] + E_xc[ρ + ρ_core] − ∫v_xc ρ + E_ewald,

second order in the error of ρ (Harris, PRB 31, 1770 (1985); Foulkes and Haydock, PRB 39, 12520 (1989)). Sums
over states run over wave vectors with their weights; pseudopotentials without ρ_core leave it out.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nearsight.engines.kpoints import KPoints
from nearsight.engines.occupations import Occupations
from nearsight.field import ScalarField


@dataclass(frozen=True, eq=False)
class DensityTerms:
    """What a density alone decides: energies (hartree) and potentials on the grid (hartree)."""

    hartree: float
    xc: float
    v_xc: np.ndarray
    potential: np.ndarray


class FixedParts(Protocol):
    """What is known before any density, of one structure on one grid."""

    @property
    def k_points(self) -> KPoints:
        """Wave vectors of the states."""
        ...

    @property
    def ewald(self) -> tuple[float, np.ndarray]:
        """Energy and forces of the ions."""
        ...

    @property
    def local_pseudopotential(self) -> np.ndarray:
        """Hartree, (n1, n2, n3)."""
        ...


class OccupiedStates(Protocol):
    """The states that one diagonalisation found."""

    @property
    def eigenvalues(self) -> np.ndarray:
        """Hartree, (n_k, n_states)."""
        ...

    @property
    def occupations(self) -> Occupations:
        """How electrons fill them."""
        ...


def harris_terms(
    fixed: FixedParts, rho: ScalarField, terms: DensityTerms, states: OccupiedStates
) -> dict[str, float]:
    """Parts of the Harris–Foulkes free energy, hartree."""
    band = np.einsum("k,kn,kn->", fixed.k_points.weights, states.occupations.values, states.eigenvalues)
    return {
        "eigenvalues": float(band),
        "hartree_double_counting": -terms.hartree,
        "xc_double_counting": terms.xc - float(np.vdot(terms.v_xc, rho.values)) * rho.grid.dv,
        "ewald": fixed.ewald[0],
        "minus_ts": states.occupations.minus_ts,
    }


def kohn_sham_terms(
    fixed: FixedParts,
    rho: ScalarField,
    terms: DensityTerms,
    states: OccupiedStates,
    *,
    kinetic: float,
    separable: float,
) -> dict[str, float]:
    """Parts of the Kohn–Sham free energy of orbitals and their own density, hartree.

    `kinetic` and `separable`, the expectation of the non-local pseudopotential, need the orbitals.
    """
    return {
        "kinetic": kinetic,
        "nonlocal_pseudopotential": separable,
        "local_pseudopotential": float(np.vdot(fixed.local_pseudopotential, rho.values)) * rho.grid.dv,
        "hartree": terms.hartree,
        "xc": terms.xc,
        "ewald": fixed.ewald[0],
        "minus_ts": states.occupations.minus_ts,
    }
