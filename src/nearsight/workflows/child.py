"""A calculation in a process of its own, which can be stopped and may die without taking others along.

Work goes down the child's standard input, pickled by value, and answers come back up its standard
output: the one channel that also works from within Dask's workers, whose processes may not start
processes of `multiprocessing`. A child ends with its parent, however that ends: its input closes.
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle

from nearsight.errors import NearsightError
from nearsight.workflows.outcome import one_line

#: environment variable with the threads that a child may use
THREADS = "NEARSIGHT_THREADS"
#: what BLAS, OpenMP (so PySCF and torch) and numba read, once, when they are imported
_LIMITS = (
    THREADS,
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)
#: a child without work for so long ends
_IDLE_SECONDS = 600.0
_GREETING = b"ready"
# the engines are imported before the child says that it is ready, so that no time limit counts it
_COMMAND = "import nearsight.workflows.label; from nearsight.workflows.child import serve; serve()"


class ProcessDiedError(NearsightError):
    """The process of a calculation ended without an answer."""


class TimeLimitError(NearsightError):
    """A calculation took longer than it may."""


class Child:
    """One process that works on one thing at a time.

    Parameters
    ----------
    threads : int
        Threads that its libraries may use.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._greeted = False
        self._lock = threading.Lock()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        work_out, work_in = os.pipe()
        answer_out, answer_in = os.pipe()
        environment = os.environ | dict.fromkeys(_LIMITS, str(threads))
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        try:
            # a session of its own: Ctrl-C is the parent's to handle, and programs that an engine
            # starts can be ended with it
            self._process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND],
                stdin=work_out,
                stdout=answer_in,
                stderr=self._stderr,
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(work_out)
            os.close(answer_in)
        self._work = Connection(work_in, readable=False)
        self._answers = Connection(answer_out, writable=False)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def call(self, work: bytes, timeout: float | None = None) -> Any:
        """What ``function(item)`` returned or raised in the child.

        Parameters
        ----------
        work : bytes
            The pair (function, item), pickled by cloudpickle.
        timeout : float, optional
            Seconds that it may take, the start of the process not counted.

        Raises
        ------
        TimeLimitError
            It takes longer; the process is ended.
        ProcessDiedError
            The process ended: killed, out of memory, or crashed in compiled code.
        """
        try:
            if not self._greeted:
                self._answers.recv_bytes()
                self._greeted = True
            self._work.send_bytes(work)
            if not self._answers.poll(timeout):
                self.close()
                raise TimeLimitError(
                    f"not done after {timeout:g} s and ended; allow more with --timeout, or a coarser grid"
                )
            succeeded, value = cloudpickle.loads(self._answers.recv_bytes())
        except (EOFError, OSError):
            raise ProcessDiedError(self._obituary()) from None
        if succeeded:
            return value
        raise value

    def kill(self) -> None:
        """End the process and whatever it started; a thread that waits in `call` hears of it."""
        with self._lock:
            if self._process.returncode is None:  # not yet waited for: the number is still its own
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process and free what it held; for the thread that works with it."""
        self.kill()
        self._process.wait()
        self._work.close()
        self._answers.close()
        self._stderr.close()

    def _obituary(self) -> str:
        """Why the process, which is gone, ended."""
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        self.close()  # ends what it started; its own exit code stays as it is
        code = self._process.returncode
        if code < 0:
            advice = "; for want of memory perhaps: try fewer --jobs" if code == -signal.SIGKILL else ""
            return f"its process was ended by signal {-code} ({signal.strsignal(-code)}){advice}"
        return one_line(f"its process ended with exit code {code}" + (f": {lines[-1]}" if lines else ""))


class ChildPool:
    """The children of one run under this process; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._ended = False

    def call(self, work: bytes, threads: int, timeout: float | None) -> Any:
        """`Child.call` in a child that is free, or in a new one."""
        child = self._take(threads)
        try:
            return child.call(work, timeout)
        finally:
            self._put(child)

    def end(self) -> None:
        """End all children, those at work too; the pool takes no more work."""
        with self._lock:
            self._ended = True
            idle, self._idle = self._idle, []
            for child in self._busy:
                child.kill()
        for child in idle:
            child.close()

    def _take(self, threads: int) -> Child:
        with self._lock:
            if self._ended:
                raise ProcessDiedError("the run was ended")
            fit = [child for child in self._idle if child.threads == threads]
            child = fit[0] if fit else Child(threads)
            self._idle = [other for other in self._idle if other is not child]
            self._busy.add(child)
        if child.alive:
            return child
        self._put(child)
        return self._take(threads)

    def _put(self, child: Child) -> None:
        with self._lock:
            self._busy.discard(child)
            keep = child.alive and not self._ended
            if keep:
                self._idle.append(child)
        if not keep:
            child.close()


def serve() -> None:
    """Work on what comes in until the input closes; the child's main function."""
    incoming, outgoing = Connection(os.dup(0), writable=False), Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # what an engine prints must not get among the answers
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    work: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(incoming, work), daemon=True).start()
    outgoing.send_bytes(_GREETING)
    while True:
        try:
            outgoing.send_bytes(_answer(work.get(timeout=_IDLE_SECONDS)))
        except queue.Empty:
            return


def _listen(incoming: Connection, work: "queue.SimpleQueue[bytes]") -> None:
    """Hand over what comes in; when the parent is gone, end this process and what it started."""
    try:
        while True:
            work.put(incoming.recv_bytes())
    except (EOFError, OSError):
        os.killpg(0, signal.SIGKILL)


def _answer(work: bytes) -> bytes:
    """The result, or the error that the work ended with: it is the parent's to raise."""
    try:
        function, item = cloudpickle.loads(work)
        return bytes(cloudpickle.dumps((True, function(item))))
    except Exception as error:
        return bytes(cloudpickle.dumps((False, error)))
