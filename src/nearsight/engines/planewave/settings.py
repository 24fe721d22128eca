"""`PlanewaveSettings`: everything that decides the numbers of the `planewave` engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import ceil
from typing import Any, Self, get_args

from nearsight.engines.kpoints import KSampling
from nearsight.errors import InputError

#: states beyond the filled ones: at least so many, and this part of the filled ones
_FEWEST_EXTRA, _EXTRA_PART = 4, 0.12
#: what other codes call what this engine has not
_MAGNETIC = ("magnetic_moments", "magmoms", "nspin", "spin_polarised", "spin_polarized", "multiplicity")
_NO_SPIN = (
    "this engine has no spin polarisation, every state holds two electrons; for magnetic materials the "
    "unpolarised density is what it can give: leave it out or say 'unpolarised'"
)


@dataclass(frozen=True)
class PlanewaveSettings:
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

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from the keys and values of a file; raises `InputError` for what it does not take."""
        known = {f.name: f.type for f in fields(cls)}
        for key, value in settings.items():
            if key in _MAGNETIC:
                raise InputError(f"planewave setting {key}: {_NO_SPIN}")
            if key not in known:
                raise InputError(f"unknown planewave setting '{key}'; known: {', '.join(known)}")
            if key != "k_points" and not _fits(value, known[key]):
                wanted = getattr(known[key], "__name__", str(known[key]))
                raise InputError(f"planewave setting {key} must be {wanted}, not {value!r}")
        return cls(**settings)

    def __post_init__(self) -> None:
        object.__setattr__(self, "k_points", KSampling.from_setting(self.k_points))
        if self.spin != "unpolarised":
            raise InputError(f"planewave setting spin: {_NO_SPIN}, not {self.spin!r}")
        for name in ("density_tolerance", "mixing", "memory_limit_mb", "ecut", "spacing"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"planewave setting {name} must be positive, not {value}")
        for name in ("max_iterations", "mixing_depth", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"planewave setting {name} must be at least 1, not {value}")
        if not self.smearing_kelvin >= 0 or self.mixing > 1 or not (self.kerker or 0.0) >= 0:
            raise InputError("planewave settings need smearing_kelvin ≥ 0, kerker ≥ 0 and 0 < mixing ≤ 1")
        if self.extra_states is not None and self.extra_states < 0:
            raise InputError(f"planewave setting extra_states must not be negative, not {self.extra_states}")

    def n_states(self, n_electrons: float) -> int:
        """States to begin with."""
        filled = ceil(n_electrons / 2)
        if self.extra_states is not None:
            return filled + self.extra_states
        return filled + max(_FEWEST_EXTRA, ceil(_EXTRA_PART * filled))


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of an annotated type; whole numbers are numbers, true and false are not."""
    kinds = get_args(kind) or (kind,)
    if float in kinds:
        kinds = (*kinds, int)
    return isinstance(value, kinds) and not isinstance(value, bool)
