"""`LcaoSettings`: everything that decides the numbers of the `lcao` engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self, get_args

from nearsight.engines.kpoints import KSampling
from nearsight.errors import InputError

#: what other codes call what this engine has not
_MAGNETIC = ("magnetic_moments", "magmoms", "nspin", "spin_polarised", "spin_polarized", "multiplicity")
_NO_SPIN = (
    "this engine has no spin polarisation, every state holds two electrons; for magnetic materials the "
    "unpolarised density is what it can give: leave it out or say 'unpolarised'"
)


@dataclass(frozen=True)
class LcaoSettings:
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

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from the keys and values of a file; raises `InputError` for what it does not take."""
        known = {f.name: f.type for f in fields(cls)}
        for key, value in settings.items():
            if key in _MAGNETIC:
                raise InputError(f"lcao setting {key}: {_NO_SPIN}")
            if key not in known:
                raise InputError(f"unknown lcao setting '{key}'; known: {', '.join(known)}")
            if key != "k_points" and not _fits(value, known[key]):
                wanted = getattr(known[key], "__name__", str(known[key]))
                raise InputError(f"lcao setting {key} must be {wanted}, not {value!r}")
        return cls(**settings)

    def __post_init__(self) -> None:
        object.__setattr__(self, "k_points", KSampling.from_setting(self.k_points))
        if self.spin != "unpolarised":
            raise InputError(f"lcao setting spin: {_NO_SPIN}, not {self.spin!r}")
        if "szv" in self.basis.lower():
            raise InputError(
                f"the basis '{self.basis}' is minimal: its densities are wrong by 8-15 %, too much for "
                "training data; use 'gth-dzvp-molopt-sr' or larger"
            )
        positive = ("density_tolerance", "mixing", "orbital_cutoff", "memory_limit_mb")
        for name in positive:
            if not getattr(self, name) > 0:
                raise InputError(f"lcao setting {name} must be positive, not {getattr(self, name)}")
        for name in ("max_iterations", "mixing_depth"):
            if getattr(self, name) < 1:
                raise InputError(f"lcao setting {name} must be at least 1, not {getattr(self, name)}")
        if not self.smearing_kelvin >= 0 or self.mixing > 1 or not (self.kerker or 0.0) >= 0:
            raise InputError("lcao settings need smearing_kelvin ≥ 0, kerker ≥ 0 and 0 < mixing ≤ 1")
        if self.spacing is not None and not self.spacing > 0:
            raise InputError(f"lcao setting spacing must be positive, not {self.spacing}")
        if self.threads is not None and self.threads < 1:
            raise InputError(f"lcao setting threads must be at least 1, not {self.threads}")


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of an annotated type; whole numbers are numbers, true and false are not."""
    kinds = get_args(kind) or (kind,)
    if float in kinds:
        kinds = (*kinds, int)
    return isinstance(value, kinds) and not isinstance(value, bool)
