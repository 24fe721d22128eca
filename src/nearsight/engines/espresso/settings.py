"""`EspressoSettings`: what decides the numbers of the `quantum_espresso` engine, and where the program is."""

from dataclasses import dataclass, field
from typing import ClassVar

from nearsight.engines.kpoints import KSampling
from nearsight.engines.settings import EngineSettings
from nearsight.errors import InputError

#: functionals by their PySCF names, in Quantum ESPRESSO's spelling
FUNCTIONALS = {"PBE": "PBE", "PBEsol": "PBESOL", "LDA,PW": "sla-pw-nogx-nogc", "LDA,PZ": "sla-pz-nogx-nogc"}


@dataclass(frozen=True)
class EspressoSettings(EngineSettings):
    """Settings of Quantum ESPRESSO.

    Parameters
    ----------
    pseudopotential : str
        A family of PySCF's tables (``gth-pbe``), or a folder or file of .psp8 or .upf; written as UPF for
        Quantum ESPRESSO, whatever they were.
    functional : str
        By its PySCF name: PBE, PBEsol, ``LDA,PW`` or ``LDA,PZ``.
    ecut : float, optional
        Largest kinetic energy of the plane waves, hartree; settled by the hardest element unless given.
    k_points
        ``gamma``, ``[2, 2, 2]`` or ``{spacing: 0.2}`` (1/bohr).
    smearing_kelvin : float
        Electronic temperature of the Fermi–Dirac occupations; 0 for fixed ones.
    energy_tolerance : float
        Converged when the estimated error of the energy per atom falls below it, hartree.
    max_iterations : int
    mixing : float
        Part of the residual that is taken over, 0 … 1.
    command : str, optional
        How to start pw.x, launcher included (``mpirun -n 4 pw.x``); ``pw.x`` where it is found unless given.
    python : str, optional
        Python of an environment that has QEpy; else the environment variable NEARSIGHT_QEPY_PYTHON.
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

    engine: ClassVar[str] = "quantum_espresso"
    pseudopotential: str = "gth-pbe"
    functional: str = "PBE"
    ecut: float | None = None
    k_points: KSampling = field(default_factory=KSampling)
    smearing_kelvin: float = 1000.0
    energy_tolerance: float = 1e-9
    max_iterations: int = 100
    mixing: float = 0.4
    command: str | None = None
    python: str | None = None
    threads: int | None = None
    timeout: float | None = None
    folder: str | None = None

    def __post_init__(self) -> None:
        self._require_functional(self.functional, FUNCTIONALS)
        self._require_positive("energy_tolerance", "mixing", "ecut", "timeout")
        if self.max_iterations < 1 or self.mixing > 1 or not self.smearing_kelvin >= 0:
            raise InputError(
                "quantum_espresso settings need max_iterations ≥ 1, mixing ≤ 1 and smearing_kelvin ≥ 0"
            )
        self._settle_k_points(self.k_points)
