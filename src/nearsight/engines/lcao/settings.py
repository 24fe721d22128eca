"""`LcaoSettings`: everything that decides the numbers of the `lcao` engine."""

from dataclasses import dataclass, field
from typing import ClassVar

from nearsight.engines.kpoints import KSampling
from nearsight.engines.settings import SelfConsistentSettings
from nearsight.errors import InputError


@dataclass(frozen=True)
class LcaoSettings(SelfConsistentSettings):
    """Settings of the embedded engine.

    Parameters
    ----------
    basis : str
        Gaussian basis that goes with the pseudopotentials, by PySCF's name or by CP2K's. Minimal (SZV)
        bases are refused: their densities are wrong by 8–15 %, where DZVP is within 1.3–1.9 % of the
        complete basis.
    basis_file : str, optional
        File in CP2K's format that holds the basis, in place of PySCF's tables.
    pseudopotential : str
        Family of GTH pseudopotentials.
    functional : str
        A local or generalised-gradient functional, by its PySCF name.
    smearing_kelvin : float
        Electronic temperature of the Fermi–Dirac occupations.
    k_points : KSampling
        ``gamma``, a Γ-centred mesh ``[2, 2, 2]``, or the largest distance of neighbouring points in 1/bohr,
        ``{spacing: 0.2}``, as `KSampling.from_setting` takes it.
    spacing : float, optional
        Largest spacing of the default grid in bohr; settled by the hardest element unless given.
    density_tolerance : float
        Converged when ∫|ρ_out − ρ_in| per electron falls below it. Errors of the energy are second
        order in it, errors of the forces first order.
    max_iterations : int
    mixing : float
        Part of the (preconditioned) residual that is taken over, 0 … 1.
    mixing_depth : int
        Iterations that Pulay's extrapolation remembers.
    kerker : float, optional
        Wave vector in 1/bohr below which Kerker damping sets in; 0 switches it off. Thomas and Fermi's,
        from the density of states at the Fermi level, unless given.
    orbital_cutoff : float
        An orbital is cut off on the grid where its radial part stays below this.
    spin : str
        ``unpolarised``; anything else is refused.
    memory_limit_mb : float
        Largest table of orbital values that is kept; a larger one is made anew, block by block, each
        time it is needed, with the same result.
    threads : int, optional
        Threads for everything; all available cores unless given.

    Raises
    ------
    InputError
        A value out of its range, or a minimal basis.
    """

    engine: ClassVar[str] = "lcao"
    basis: str = "gth-dzvp-molopt-sr"
    basis_file: str | None = None
    pseudopotential: str = "gth-pbe"
    functional: str = "PBE"
    smearing_kelvin: float = 1000.0
    k_points: KSampling = field(default_factory=KSampling)
    spacing: float | None = None
    density_tolerance: float = 1e-6
    max_iterations: int = 100
    mixing: float = 0.6
    mixing_depth: int = 15
    kerker: float | None = None
    orbital_cutoff: float = 1e-8
    spin: str = "unpolarised"
    memory_limit_mb: float = 1500.0
    threads: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_positive("orbital_cutoff")
        if "szv" in self.basis.lower():
            raise InputError(
                f"the basis '{self.basis}' is minimal: its densities are wrong by 8-15 %, too much for "
                "training data; use 'gth-dzvp-molopt-sr' or larger"
            )
