"""`SparcSettings`: what decides the numbers of the `sparc` engine, and where the program is."""

from dataclasses import dataclass, field
from typing import ClassVar

from nearsight.engines.kpoints import KSampling
from nearsight.engines.settings import EngineSettings
from nearsight.errors import InputError

#: functionals by their PySCF names, in SPARC's spelling
FUNCTIONALS = {"PBE": "GGA_PBE", "PBEsol": "GGA_PBEsol", "LDA,PW": "LDA_PW", "LDA,PZ": "LDA_PZ"}


@dataclass(frozen=True)
class SparcSettings(EngineSettings):
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

    engine: ClassVar[str] = "sparc"
    pseudopotential: str = "gth-pbe"
    functional: str = "PBE"
    spacing: float | None = None
    order: int = 12
    k_points: KSampling = field(default_factory=KSampling)
    smearing_kelvin: float = 1000.0
    scf_tolerance: float = 1e-5
    max_iterations: int = 100
    mixing: float = 0.3
    command: str = "sparc"
    threads: int | None = 1
    timeout: float | None = None
    folder: str | None = None

    def __post_init__(self) -> None:
        self._require_functional(self.functional, FUNCTIONALS)
        self._require_positive("smearing_kelvin", "scf_tolerance", "mixing", "spacing", "timeout")
        if self.order < 2 or self.order % 2 or self.max_iterations < 1 or self.mixing > 1:
            raise InputError("sparc settings need an even order, max_iterations ≥ 1 and mixing ≤ 1")
        self._settle_k_points(self.k_points)
