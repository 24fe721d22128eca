"""What adapters of external codes share: folders and runs."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nearsight.errors import InputError, NearsightError

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
        if "No module named" in said:
            raise InputError(f"the Python for {name}, {command[0]}, has not what it takes: {said}")
        raise NearsightError(f"{name} ended with code {done.returncode}: {said}")
    return done.stdout


def python_of(setting: str | None, variable: str, program: str) -> str | None:
    """The Python of an environment with a program: as set, else of a variable; None where neither says.

    Raises
    ------
    InputError
        What is named is not there.
    """
    named = setting or os.environ.get(variable)
    if not named:
        return None
    found = shutil.which(named)
    if found is None:
        raise InputError(f"the Python with {program}, '{named}', does not exist or cannot be run")
    return str(Path(found).absolute())


def last_words(output: str) -> str:
    """The last line that says something, for a message of one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip(" %=-*\t")]
    return lines[-1][:200] if lines else "it printed nothing"
