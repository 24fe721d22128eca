"""`SparcSettings`: what decides the numbers of the `sparc` engine, and where the program is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from nearsight.engines.external import settings_from
from nearsight.engines.kpoints import KSampling
from nearsight.errors import InputError

#: functionals by their PySCF names, in SPARC's spelling
FUNCTIONALS = {"PBE": "GGA_PBE", "PBEsol": "GGA_PBEsol", "LDA,PW": "LDA_PW", "LDA,PZ": "LDA_PZ"}


@dataclass(frozen=True)
class SparcSettings:
    """Settings of SPARC.

    Parameters
    ----------
    pseudopotential : str
        A folder or file of .psp8 pseudopotentials, used as they are; .upf files and families of PySCF's
        tables (``gth-pbe``) are written as psp8.
    functional : str
        By its PySCF name: PBE, PBEsol, ``LDA,PW`` or ``LDA,PZ``.
    spacing : float, optional
        Largest spacing of the default grid in bohr; settled by the hardest element unless given.
    order : int
        Order of the finite differences.
    k_points
        ``gamma``, ``[2, 2, 2]`` or ``{spacing: 0.2}`` (1/bohr).
    smearing_kelvin : float
        Electronic temperature of the Fermi–Dirac occupations.
    scf_tolerance : float
        SPARC's TOL_SCF: relative change of the density.
    max_iterations : int
    mixing : float
        Part of the residual that is taken over, 0 … 1.
    command : str
        How to start SPARC, launcher included (``mpirun -n 2 sparc``).
    threads : int, optional
        Threads of each process; the program's own choice unless given.
    timeout : float, optional
        Seconds that one run may take.
    folder : str, optional
        Where the program's files are kept; they are removed unless given.

    Raises
    ------
    InputError
        A value out of its range, or a functional that is not among those named.
    """

    pseudopotential: str = "gth-pbe"
    functional: str = "PBE"
    spacing: float | None = None
    order: int = 12
    k_points: Any = "gamma"
    smearing_kelvin: float = 1000.0
    scf_tolerance: float = 1e-5
    max_iterations: int = 100
    mixing: float = 0.3
    command: str = "sparc"
    threads: int | None = 1
    timeout: float | None = None
    folder: str | None = None

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Settings from the keys and values of a file; raises `InputError` for what it does not take."""
        return settings_from(cls, values, "sparc")

    def __post_init__(self) -> None:
        if self.functional not in FUNCTIONALS:
            raise InputError(f"sparc is used with {', '.join(FUNCTIONALS)}, not with '{self.functional}'")
        for name in ("smearing_kelvin", "scf_tolerance", "mixing"):
            if not getattr(self, name) > 0:
                raise InputError(f"sparc setting {name} must be positive, not {getattr(self, name)}")
        for name in ("spacing", "timeout"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"sparc setting {name} must be positive, not {value}")
        if self.order < 2 or self.order % 2 or self.max_iterations < 1 or self.mixing > 1:
            raise InputError("sparc settings need an even order, max_iterations ≥ 1 and mixing ≤ 1")
        object.__setattr__(self, "k_points", KSampling.from_setting(self.k_points))
