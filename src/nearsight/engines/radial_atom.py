"""The spherical Kohn–Sham atom with a GTH pseudopotential, and its density as a table.

Restricted (spin-unpolarised) and spherical: each shell holds the pseudopotential's electrons spread
evenly over m and spin. Orbitals are u(r) = r R(r) in a spectral basis of integrated Legendre
polynomials, so that there is no basis set to choose and the energy converges exponentially.

Pseudopotentials: Goedecker, Teter, Hutter, PRB 54, 1703 (1996); Hartwigsen, Goedecker, Hutter,
PRB 58, 3641 (1998), read from PySCF's tables. Mixing: Anderson, J. ACM 12, 547 (1965).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from pyscf.dft import libxc
from threadpoolctl import threadpool_limits

from nearsight.atomic.radial import RadialDensity
from nearsight.engines.radial_basis import RadialSpace
from nearsight.engines.radial_pseudopotential import RadialPseudopotential, load_radial
from nearsight.errors import ConvergenceError, InputError

_SPACE = RadialSpace()
#: ∫|ρ_out − ρ_in| per electron at convergence
_TOLERANCE = 1e-8
_MAX_ITERATIONS = 300
#: mixing: remembered iterations, and the part of a residual that is taken over
_DEPTH, _DAMPING = 10, 0.3
#: charge that may be left outside a table's cut-off (electrons), and the largest cut-off (bohr)
_TAIL_CHARGE, _LARGEST_CUTOFF = 1e-5, 12.0
#: width of the region over which the tail is switched off, and spacing of the table, bohr
_SWITCH_WIDTH, _TABLE_STEP = 2.0, 0.01


class Shell(NamedTuple):
    """One radial orbital: angular momentum, electrons in it, eigenvalue (hartree)."""

    ell: int
    occupation: float
    eigenvalue: float


@dataclass(frozen=True, eq=False)
class AtomSolution:
    """A converged spherical atom.

    Attributes
    ----------
    space : RadialSpace
        The basis.
    shells : tuple of Shell
        Occupied shells, by angular momentum, then energy.
    orbitals : ndarray (n_shells, n_basis)
        Coefficients of u(r) in the spectral basis.
    terms : dict
        kinetic, local, nonlocal, hartree, xc: energies in hartree.
    """

    space: RadialSpace
    shells: tuple[Shell, ...]
    orbitals: np.ndarray
    terms: dict[str, float]

    @property
    def energy(self) -> float:
        """Total energy in hartree."""
        return sum(self.terms.values())

    def density(self, r: np.ndarray) -> np.ndarray:
        """Electron density in e/bohr³ at radii `r` (bohr) within the box."""
        u, slope = (self.orbitals @ f for f in self.space.at(r))
        radial = np.divide(u, r, out=slope, where=r > 1e-6)  # R(0) = u'(0)
        occupation = np.array([shell.occupation for shell in self.shells])
        return np.asarray(occupation @ radial**2 / (4 * np.pi))


# -- the self-consistent field ----------------------------------------------------------------


def _shell_occupations(electrons: int, ell: int) -> list[float]:
    """Fill the shells of one l from below; the last one may be partly full."""
    capacity = 2 * (2 * ell + 1)
    full, rest = divmod(electrons, capacity)
    return [float(capacity)] * full + ([float(rest)] if rest else [])


class _Mean(NamedTuple):
    """What a density makes: its matrix, the same for every l, and its energies."""

    matrix: np.ndarray
    hartree: float
    xc: float


def _mean_field(density: np.ndarray, functional: str, space: RadialSpace) -> _Mean:
    """Hartree and exchange-correlation matrix of a radial density (2, n): values and slopes.

    The GGA potential enters in its weak form, ∫(v_ρ φφ' + 2 v_σ ∇ρ·∇(φφ')), so that no second
    derivative of the density is needed.
    """
    r, w, u, du = space.r, space.weight, space.u, space.du
    rho, slope = density
    charge = 4 * np.pi * r**2 * rho
    outer = charge / r
    v_hartree = space.cumulative @ charge / r + w @ outer - space.cumulative @ outer
    exc, v_rho, v_sigma = _functional(rho, slope, functional)
    flux = 2 * v_sigma * slope
    matrix = (u * (w * (v_hartree + v_rho - 2 * flux / r))) @ u.T
    mixed = (du * (w * flux)) @ u.T
    return _Mean(matrix + mixed + mixed.T, 0.5 * float(w @ (charge * v_hartree)), float(w @ (charge * exc)))


def _functional(
    rho: np.ndarray, slope: np.ndarray, functional: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energy per electron, v_ρ and v_σ of an LDA or GGA by libxc."""
    zero = np.zeros_like(rho)
    if libxc.xc_type(functional) == "LDA":
        exc, (v_rho, *_), *_ = libxc.eval_xc(functional, rho, deriv=1)
        return exc, v_rho, zero
    exc, (v_rho, v_sigma, *_), *_ = libxc.eval_xc(functional, np.array([rho, slope, zero, zero]), deriv=1)
    return exc, v_rho, v_sigma


def _require_semilocal(functional: str) -> None:
    """Raise `InputError` unless libxc knows the functional as an LDA or a GGA."""
    try:
        known = libxc.xc_type(functional) in ("LDA", "GGA") and not libxc.is_hybrid_xc(functional)
    except KeyError as error:
        raise InputError(f"libxc has no functional '{functional}'") from error
    if not known:
        raise InputError(f"the radial atom knows LDA and GGA functionals; '{functional}' is neither")


class _Anderson:
    """Mixing of inputs by the smallest combined residual over the last iterations, damped."""

    def __init__(self, metric: np.ndarray) -> None:
        self.metric = metric
        self.history: list[tuple[np.ndarray, np.ndarray]] = []

    def __call__(self, given: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """The next input, from this one and its residual: rows (density, slope), metric on the first."""
        steps = np.array([given - x for x, _ in self.history])
        changes = np.array([residual - f for _, f in self.history])
        self.history = [*self.history, (given, residual)][-_DEPTH:]
        proposal = given + _DAMPING * residual
        if not len(steps):
            return proposal
        weights = np.linalg.lstsq((changes[:, 0] * self.metric).T, residual[0] * self.metric, rcond=1e-12)[0]
        return np.asarray(proposal - np.tensordot(weights, steps + _DAMPING * changes, 1))


class _Atom:
    """The Hamiltonian of one atom in the spectral basis."""

    def __init__(self, pseudo: RadialPseudopotential, functional: str, space: RadialSpace) -> None:
        self.space = space
        self.functional = functional
        self.momenta = [ell for ell, n in enumerate(pseudo.electrons) if n]
        self.occupations = [_shell_occupations(pseudo.electrons[ell], ell) for ell in self.momenta]
        kinetic = 0.5 * (space.du * space.weight) @ space.du.T
        centrifugal = (space.u * (0.5 * space.weight / space.r**2)) @ space.u.T
        local = (space.u * (space.weight * pseudo.local(space.r))) @ space.u.T
        self.fixed = {
            "kinetic": np.array([kinetic + ell * (ell + 1) * centrifugal for ell in self.momenta]),
            "local": np.array([local] * len(self.momenta)),
            "nonlocal": np.array([pseudo.nonlocal_matrix(ell, space) for ell in self.momenta]),
        }
        self.core = np.sum(list(self.fixed.values()), axis=0)
        self.n_electrons = float(sum(pseudo.electrons))
        self.symbol = pseudo.symbol

    def diagonalise(self, fock: np.ndarray) -> tuple[tuple[Shell, ...], np.ndarray, np.ndarray]:
        """Occupied shells, their orbitals (n_shells, n_basis) and density matrices by l."""
        shells, orbitals, matrices = [], [], []
        for ell, occupation, f in zip(self.momenta, self.occupations, fock, strict=True):
            energies, vectors = scipy.linalg.eigh(f, subset_by_index=(0, len(occupation) - 1))
            shells += [Shell(ell, n, float(e)) for n, e in zip(occupation, energies, strict=True)]
            orbitals.append(vectors.T)
            matrices.append((vectors * occupation) @ vectors.T)
        return tuple(shells), np.concatenate(orbitals), np.array(matrices)

    def density(self, shells: tuple[Shell, ...], orbitals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Density and its slope on the quadrature nodes."""
        r = self.space.r
        occupation = np.array([shell.occupation for shell in shells]) / (4 * np.pi)
        radial = orbitals @ self.space.u / r
        slope = (orbitals @ self.space.du - radial) / r
        return occupation @ radial**2, 2 * occupation @ (radial * slope)

    def solve(self) -> AtomSolution:
        """Iterate to self-consistency from an exponential density."""
        space = self.space
        shell = 4 * np.pi * space.r**2 * space.weight
        mix = _Anderson(np.sqrt(shell))
        rho = self.n_electrons * np.exp(-space.r) / (8 * np.pi)
        given = np.array([rho, -rho])
        for _ in range(_MAX_ITERATIONS):
            mean = _mean_field(given, self.functional, space)
            shells, orbitals, matrices = self.diagonalise(self.core + mean.matrix)
            found = np.array(self.density(shells, orbitals))
            moved = float(shell @ np.abs(found[0] - given[0])) / self.n_electrons
            if moved < _TOLERANCE:
                terms = {name: float(np.vdot(m, matrices)) for name, m in self.fixed.items()}
                mean = _mean_field(found, self.functional, space)
                return AtomSolution(
                    space, shells, orbitals, {**terms, "hartree": mean.hartree, "xc": mean.xc}
                )
            given = mix(given, found - given)
        raise ConvergenceError(
            f"the free atom of {self.symbol} did not converge in {_MAX_ITERATIONS} iterations "
            f"(residual {moved:.1e} per electron); try another pseudopotential"
        )


# -- results ----------------------------------------------------------------------------------


def solve_spherical(
    number: int,
    pseudopotential: str = "gth-pbe",
    functional: str = "PBE",
    space: RadialSpace | None = None,
) -> AtomSolution:
    """Orbitals, eigenvalues and energies of the spherical atom; errors as `solve_atom`."""
    _require_semilocal(functional)
    pseudo = load_radial(number, pseudopotential)
    # the matrices are small: more threads than one only get in each other's way
    with threadpool_limits(1):
        return _Atom(pseudo, functional, space or _SPACE).solve()


@lru_cache(maxsize=256)
def solve_atom(number: int, pseudopotential: str = "gth-pbe", functional: str = "PBE") -> RadialDensity:
    """Density of the free, spherical, spin-unpolarised atom as a table.

    The tail is switched off smoothly within the last bohrs before the cut-off, and the table is
    scaled to the exact electron count. Results are kept for the life of the process.

    Parameters
    ----------
    number : int
        Atomic number.
    pseudopotential : str
        A GTH family that PySCF knows (``gth-pbe``, ``gth-pade``, with ``-qN`` for a choice of core).
    functional : str
        An LDA or GGA functional by libxc's name.

    Raises
    ------
    UnknownElementError
        The family has no pseudopotential for this element.
    InputError
        A functional that is neither LDA nor GGA.
    ConvergenceError
        No self-consistency.
    """
    solution = solve_spherical(number, pseudopotential, functional)
    n_electrons = sum(shell.occupation for shell in solution.shells)
    r, rho = _cut(solution, n_electrons)
    charge = RadialDensity(number, r, rho, n_electrons, {}).integrate()
    source: dict[str, Any] = {
        "solver": "radial_atom",
        "functional": functional,
        "pseudopotential": pseudopotential,
        "energy": solution.energy,
        "charge_cut": n_electrons - charge,
    }
    return RadialDensity(number, r, rho * (n_electrons / charge), n_electrons, source)


def _cut(solution: AtomSolution, n_electrons: float) -> tuple[np.ndarray, np.ndarray]:
    """Radii up to the cut-off and the density there, brought to zero smoothly."""
    r = np.arange(0.0, _LARGEST_CUTOFF + 0.5 * _TABLE_STEP, _TABLE_STEP)
    rho = solution.density(r)
    shell = 4 * np.pi * r**2 * rho
    inside = np.concatenate([[0.0], np.cumsum(0.5 * (shell[1:] + shell[:-1]) * _TABLE_STEP)])
    beyond = np.flatnonzero(n_electrons - inside < _TAIL_CHARGE)
    end = int(beyond[0]) if len(beyond) else len(r) - 1
    r, rho = r[: end + 1], rho[: end + 1]
    t = np.clip((r - r[-1] + _SWITCH_WIDTH) / _SWITCH_WIDTH, 0.0, 1.0)
    return r, rho * (1 - t**3 * (10 - 15 * t + 6 * t**2))
