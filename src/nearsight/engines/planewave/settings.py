"""`PlanewaveSettings`: everything that decides the numbers of the `planewave` engine."""

from dataclasses import dataclass, field
from math import ceil
from typing import ClassVar

from nearsight.engines.kpoints import KSampling
from nearsight.engines.settings import SelfConsistentSettings
from nearsight.errors import InputError

#: states beyond the filled ones: at least so many, and this part of the filled ones
_FEWEST_EXTRA, _EXTRA_PART = 4, 0.12


@dataclass(frozen=True)
class PlanewaveSettings(SelfConsistentSettings):
    """Settings of the plane-wave engine.

    Parameters
    ----------
    pseudopotential : str
        Family of GTH pseudopotentials (``gth-pbe``), or a folder or file of .psp8 or .upf pseudopotentials.
    functional : str
        A local or generalised-gradient functional, by its PySCF name.
    ecut : float, optional
        Largest kinetic energy of the orbitals' plane waves in hartree; settled by the hardest element unless
        given.
    k_points : str, list, dict or KSampling
        ``gamma``, a mesh such as [2, 2, 2] or {spacing: 0.2} in 1/bohr.
    smearing_kelvin : float
        Electronic temperature of the Fermi–Dirac occupations.
    spacing : float, optional
        Largest spacing of the default grid in bohr; settled by `ecut` and the hardest element unless given.
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
    extra_states : int, optional
        States beyond the filled ones; an eighth of those unless given, and more where smearing asks for it.
    memory_limit_mb : float
        Largest table of projectors that is kept; a larger one is made anew, block by block, each time it is
        needed, with the same result.
    spin : str
        ``unpolarised``; anything else is refused.
    device : str
        ``cpu``, ``cuda`` or ``auto``: where orbitals live.
    threads : int, optional
        Threads for everything; all available cores unless given.

    Raises
    ------
    InputError
        A value out of its range, or spin.
    """

    engine: ClassVar[str] = "planewave"
    pseudopotential: str = "gth-pbe"
    functional: str = "PBE"
    ecut: float | None = None
    k_points: KSampling = field(default_factory=KSampling)
    smearing_kelvin: float = 1000.0
    spacing: float | None = None
    density_tolerance: float = 1e-6
    max_iterations: int = 100
    mixing: float = 0.6
    mixing_depth: int = 15
    kerker: float | None = None
    extra_states: int | None = None
    memory_limit_mb: float = 700.0
    spin: str = "unpolarised"
    device: str = "cpu"
    threads: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_positive("ecut")
        if self.extra_states is not None and self.extra_states < 0:
            raise InputError(f"planewave setting extra_states must not be negative, not {self.extra_states}")

    def n_states(self, n_electrons: float) -> int:
        """States to begin with."""
        filled = ceil(n_electrons / 2)
        if self.extra_states is not None:
            return filled + self.extra_states
        return filled + max(_FEWEST_EXTRA, ceil(_EXTRA_PART * filled))
