"""What adapters of external codes share: folders, runs, and the checks before them."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from nearsight.errors import ChargeError, GridMismatchError, InputError, NearsightError, StructureError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.neighbours import require_separated_atoms
from nearsight.structure import Structure

#: how far, relative to the electron count, the integral of a density given to `harris` may be off
CHARGE_TOLERANCE = 1e-2
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def workspace(keep: str | None) -> Iterator[Path]:
    """A folder for one run: a temporary one, or a new one inside `keep`, which stays."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="nearsight-") as name:
            yield Path(name)
    else:
        Path(keep).mkdir(parents=True, exist_ok=True)
        yield Path(tempfile.mkdtemp(prefix="run-", dir=keep))


def run_program(
    command: Sequence[str],
    folder: Path,
    *,
    name: str,
    threads: int | None = None,
    timeout: float | None = None,
) -> str:
    """Run a program in a folder and return what it printed.

    Parameters
    ----------
    command : sequence of str
        Program and arguments; no shell is involved.
    folder : Path
        Its working directory.
    name : str
        What to call it in messages.
    threads : int, optional
        Threads of each of its processes.
    timeout : float, optional
        Seconds after which it is ended.

    Raises
    ------
    NearsightError
        The program is not there, fails, or takes longer than `timeout`.
    """
    environment = dict(os.environ)
    if threads is not None:
        environment.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    try:
        done = subprocess.run(
            list(command),
            cwd=folder,
            env=environment,
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise InputError(f"{name} cannot be started: {error.strerror or error} ({command[0]})") from error
    except subprocess.TimeoutExpired as error:
        raise NearsightError(f"{name} did not end within {timeout:g} s; raise the timeout") from error
    if done.returncode != 0:
        said = last_words(done.stdout + "\n" + done.stderr)
        raise NearsightError(f"{name} ended with code {done.returncode}: {said}")
    return done.stdout


def last_words(output: str) -> str:
    """The last line that says something, for a message of one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip(" %=-*\t")]
    return lines[-1][:200] if lines else "it printed nothing"


def require_cell(structure: Structure, grid: UniformGrid) -> None:
    """Refuse a grid of another cell (`GridMismatchError`) and touching atoms (`StructureError`)."""
    if not np.allclose(grid.cell, structure.cell, rtol=0, atol=1e-4):
        raise GridMismatchError("the grid's cell differs from the structure's cell")
    require_separated_atoms(structure)


def require_right_handed(structure: Structure, name: str) -> None:
    """Raise `StructureError` for a left-handed cell, which some codes mistake."""
    if np.linalg.det(structure.cell) < 0:
        raise StructureError(f"{name} needs a right-handed cell; exchange two of the cell vectors")


def require_charge(density: ScalarField, n_electrons: float) -> None:
    """Raise `ChargeError` where a density is more than 1 % off the electron count."""
    found = density.integrate()
    if not abs(found - n_electrons) <= CHARGE_TOLERANCE * n_electrons:
        raise ChargeError(
            f"the density integrates to {found:.6g} electrons where the structure has {n_electrons:g}; "
            "check its units (e/bohr³), or rescale it"
        )
