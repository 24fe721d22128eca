"""`EspressoSettings`: what decides the numbers of the `quantum_espresso` engine, and where the program is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from nearsight.engines.external import settings_from
from nearsight.engines.kpoints import KSampling
from nearsight.errors import InputError

#: functionals by their PySCF names, in Quantum ESPRESSO's spelling
FUNCTIONALS = {"PBE": "PBE", "PBEsol": "PBESOL", "LDA,PW": "sla-pw-nogx-nogc", "LDA,PZ": "sla-pz-nogx-nogc"}


@dataclass(frozen=True)
class EspressoSettings:
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

    pseudopotential: str = "gth-pbe"
    functional: str = "PBE"
    ecut: float | None = None
    k_points: Any = "gamma"
    smearing_kelvin: float = 1000.0
    energy_tolerance: float = 1e-9
    max_iterations: int = 100
    mixing: float = 0.4
    command: str | None = None
    python: str | None = None
    threads: int | None = None
    timeout: float | None = None
    folder: str | None = None

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Settings from the keys and values of a file; raises `InputError` for what it does not take."""
        return settings_from(cls, values, "quantum_espresso")

    def __post_init__(self) -> None:
        if self.functional not in FUNCTIONALS:
            raise InputError(
                f"quantum_espresso is used with {', '.join(FUNCTIONALS)}, not with '{self.functional}'"
            )
        for name in ("energy_tolerance", "mixing"):
            if not getattr(self, name) > 0:
                raise InputError(
                    f"quantum_espresso setting {name} must be positive, not {getattr(self, name)}"
                )
        for name in ("ecut", "timeout"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"quantum_espresso setting {name} must be positive, not {value}")
        if self.max_iterations < 1 or self.mixing > 1 or not self.smearing_kelvin >= 0:
            raise InputError(
                "quantum_espresso settings need max_iterations ≥ 1, mixing ≤ 1 and smearing_kelvin ≥ 0"
            )
        object.__setattr__(self, "k_points", KSampling.from_setting(self.k_points))
