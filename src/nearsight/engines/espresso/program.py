"""Where Quantum ESPRESSO is: pw.x, or QEpy in a virtual environment of its own.

QEpy needs an older NumPy and is under the GPL, so it is never imported into this process: its Python runs
pw.x's main program or `worker.py`, and files go in and out.
"""

import shlex
import shutil

from nearsight.engines.espresso.settings import EspressoSettings
from nearsight.engines.external import python_of
from nearsight.errors import InputError

#: environment variable that names the Python of an environment with QEpy
PYTHON_VARIABLE = "NEARSIGHT_QEPY_PYTHON"
_HOW = (
    "make an environment with \"pip install qepy 'f90wrap==0.2.16'\" and give its Python as the setting "
    f"'python' or in {PYTHON_VARIABLE}"
)


def pw_command(settings: EspressoSettings) -> list[str]:
    """The command that runs pw.x, without its arguments.

    The setting ``command`` comes first, then a Python with QEpy, then ``pw.x`` on the PATH.

    Raises
    ------
    InputError
        None of them is there.
    """
    if settings.command is not None:
        words = shlex.split(settings.command)
        if not words or shutil.which(words[0]) is None:
            raise InputError(f"the quantum_espresso setting command names no program: '{settings.command}'")
        return words
    python = python_of(settings.python, PYTHON_VARIABLE, "QEpy")
    if python is not None:
        return [python, "-m", "qepy", "--pw.x"]
    if shutil.which("pw.x"):
        return ["pw.x"]
    raise InputError(f"Quantum ESPRESSO is not here: install pw.x, or {_HOW}")


def qepy_python(settings: EspressoSettings) -> str:
    """The Python that has QEpy, which Harris energies need; raises `InputError` where there is none."""
    python = python_of(settings.python, PYTHON_VARIABLE, "QEpy")
    if python is None:
        raise InputError(f"Harris energies from Quantum ESPRESSO need QEpy: {_HOW}")
    return python
