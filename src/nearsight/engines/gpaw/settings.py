"""`GpawSettings`: what decides the numbers of the `gpaw` engine, and which Python has the program."""

import importlib.util
import sys
from dataclasses import dataclass, field
from typing import ClassVar

from nearsight.engines.external import python_of
from nearsight.engines.kpoints import KSampling
from nearsight.engines.settings import EngineSettings
from nearsight.errors import InputError

#: environment variable that names the Python of an environment with GPAW
PYTHON_VARIABLE = "NEARSIGHT_GPAW_PYTHON"


@dataclass(frozen=True)
class GpawSettings(EngineSettings):
    """Settings of GPAW, in its plane-wave mode with its standard PAW setups.

    Parameters
    ----------
    functional : str
        As GPAW calls it: PBE, PBEsol, LDA …; there must be setups for it.
    ecut : float
        Largest kinetic energy of the plane waves, hartree.
    k_points
        ``gamma``, ``[2, 2, 2]`` or ``{spacing: 0.2}`` (1/bohr); only time reversal reduces the mesh.
    smearing_kelvin : float
        Electronic temperature of the Fermi–Dirac occupations.
    density_tolerance : float
        Converged when the density changes by less, electrons per valence electron.
    max_iterations : int
    python : str, optional
        Python that has GPAW; else the environment variable NEARSIGHT_GPAW_PYTHON, else this one if it has.
    threads : int, optional
        Threads; the program's own choice unless given.
    timeout : float, optional
        Seconds that one run may take.
    folder : str, optional
        Where the program's files are kept; they are removed unless given.

    Raises
    ------
    InputError
        A value out of its range.
    """

    engine: ClassVar[str] = "gpaw"
    functional: str = "PBE"
    ecut: float = 15.0
    k_points: KSampling = field(default_factory=KSampling)
    smearing_kelvin: float = 1000.0
    density_tolerance: float = 1e-6
    max_iterations: int = 200
    python: str | None = None
    threads: int | None = 1
    timeout: float | None = None
    folder: str | None = None

    def __post_init__(self) -> None:
        self._require_positive("ecut", "density_tolerance")
        if self.max_iterations < 1 or not self.smearing_kelvin >= 0 or not (self.timeout or 1.0) > 0:
            raise InputError("gpaw settings need max_iterations ≥ 1, smearing_kelvin ≥ 0 and timeout > 0")
        self._settle_k_points(self.k_points)


def gpaw_python(settings: GpawSettings) -> str:
    """The Python that has GPAW; raises `InputError` where there is none."""
    python = python_of(settings.python, PYTHON_VARIABLE, "GPAW")
    if python is not None:
        return python
    if importlib.util.find_spec("gpaw") is not None:
        return sys.executable
    raise InputError(
        "GPAW is not here: 'pip install gpaw gpaw-data' (it compiles and needs libxc and BLAS), or give the "
        f"Python of an environment that has it as the setting 'python' or in {PYTHON_VARIABLE}"
    )
