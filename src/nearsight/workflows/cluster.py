"""Work on Dask's workers: of a cluster in this process, or of one that runs elsewhere.

Dask decides what runs where and when, so that the memory of each worker suffices; each calculation then
has a process of its own (`nearsight.workflows.child`), which holds its libraries to their threads, can
be ended, and takes nothing along when it dies. On this machine the whole of Dask is a few threads.
"""

import logging
import os
import secrets
import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import cloudpickle

from nearsight.errors import InputError, NearsightError
from nearsight.progress import Progress
from nearsight.provenance import software
from nearsight.workflows.child import ChildPool, ProcessDiedError, TimeLimitError
from nearsight.workflows.outcome import Outcome, one_line
from nearsight.workflows.parallel import Execution, Item, Work

try:
    import psutil
    from distributed import (
        CancelledError,
        Client,
        Future,
        KilledWorker,
        LocalCluster,
        as_completed,
        get_worker,
    )
    from distributed.client import ClosedClientError
    from distributed.system import MEMORY_LIMIT
except ImportError as error:
    raise InputError(
        "--jobs, --scheduler and --timeout need the package 'distributed': pip install distributed"
    ) from error

#: seconds to wait for a scheduler to answer
CONNECT_SECONDS = 10.0
#: the resource that workers announce: ``dask worker --resources MB=60000``
_MEMORY = "MB"
_LOGGERS = ("distributed", "distributed.client", "distributed.worker", "tornado.application", "asyncio")

#: the children of each run, in a process with Dask's workers
_POOLS: dict[str, ChildPool] = {}


def on_cluster(
    work: Work,
    items: Sequence[Item[Any]],
    execution: Execution,
    megabytes: Callable[[Item[Any]], float],
    progress: Progress,
) -> Iterator[Outcome]:
    """How each item went; see `nearsight.workflows.parallel.outcomes`."""
    run = f"nearsight-{secrets.token_hex(6)}"
    with _connected(execution, len(items), run) as client:
        memory = _memory_of_workers(client, progress)
        begun: dict[str, tuple[Item[Any], int]] = {}

        def begin(item: Item[Any], spent: int) -> Future:
            key = f"{run}-{item[0]}-{spent}"
            begun[key] = item, spent
            task = _Task(run, item[0], cloudpickle.dumps((work, item)), software(), execution)
            needs = None if memory is None else {_MEMORY: min(megabytes(item), memory)}
            return client.submit(_on_worker, task, key=key, pure=False, resources=needs)

        waiting = as_completed([begin(item, 0) for item in items], loop=client.loop)
        for future in waiting:
            item, spent = begun.pop(future.key)
            outcome = _outcome(future, item[0], execution)
            spent += outcome.tries
            if outcome.worth_retrying and spent <= execution.retries:
                waiting.add(begin(item, spent))
            else:
                yield replace(outcome, tries=spent)


def available_mb() -> float:
    """Nine tenths of the memory that is free on this machine, MB, limits of containers heeded."""
    return 0.9 * min(psutil.virtual_memory().available, MEMORY_LIMIT) / 2**20


# -- on the workers ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    """What a worker is sent: the work as bytes, which only the child unpickles."""

    run: str
    number: int
    work: bytes
    software: dict[str, str]
    execution: Execution


def _on_worker(task: _Task) -> Outcome:
    """One calculation, in a child of a Dask worker."""
    _require_same_software(task.software)
    threads = task.execution.threads or max(1, _cores() // get_worker().state.nthreads)
    pool = _POOLS.setdefault(task.run, ChildPool())
    try:
        outcome: Outcome = pool.call(task.work, threads, task.execution.timeout)
    except TimeLimitError as error:
        return Outcome(task.number, "timeout", str(error))
    except ProcessDiedError as error:
        return Outcome(task.number, "killed", str(error))
    return outcome


def _end_children(run: str) -> None:
    """End what a run still does under this process."""
    _POOLS.setdefault(run, ChildPool()).end()


def _announced_memory(dask_worker: Any) -> float | None:
    """The memory that a worker was started with, MB."""
    found: float | None = dask_worker.state.total_resources.get(_MEMORY)
    return found


def _require_same_software(expected: dict[str, str]) -> None:
    """Raise unless a worker has the nearsight and the Python of whoever sends it work."""
    here = software()
    for name in ("python", "nearsight"):
        if _minor(here[name], name) != _minor(expected[name], name):
            raise InputError(
                f"the worker on {socket.gethostname()} has {name} {here[name]}, not {expected[name]}: "
                "start the workers from the same environment"
            )


def _minor(version: str, name: str) -> str:
    """What has to agree of a version: of Python's only 3.x, since the rest reads the same pickles."""
    return ".".join(version.split(".")[:2]) if name == "python" else version


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# -- on the client ----------------------------------------------------------------------------


def _outcome(future: Future, number: int, execution: Execution) -> Outcome:
    """What became of one calculation; raises where the run has to end."""
    if future.status == "cancelled":
        raise CancelledError(future.key)
    error = future.exception()
    if error is None:
        result: Outcome = future.result()
        return result
    if isinstance(error, KilledWorker):
        died = error.allowed_failures + 1
        message = f"{died} workers in a row died while they worked on it, last {error.last_worker.address}"
        return Outcome(number, "killed", message, tries=died)
    if isinstance(error, NearsightError):
        raise error
    raise NearsightError(
        f"a worker of {execution.scheduler or 'this machine'} cannot work: "
        f"{one_line(f'{type(error).__name__}: {error}')}; start the workers from the same environment"
    ) from error


def _memory_of_workers(client: Client, progress: Progress) -> float | None:
    """The largest memory that a worker announces, MB; None if not all of them announce it."""
    if not client.nthreads():
        progress("waiting for workers", 0, 1)
        client.wait_for_workers(1)
        progress("waiting for workers", 1, 1)
    announced = list(client.run(_announced_memory).values())
    return None if None in announced else max(announced, default=None)


@contextmanager
def _connected(execution: Execution, n_items: int, run: str) -> Iterator[Client]:
    """A client of the scheduler asked for; in the end no process of this run is left."""
    with _silent_dask():
        local = None if execution.scheduler is not None else _local_cluster(execution, n_items)
        client = None
        try:
            client = _connect(execution.scheduler or local)
            yield client
        except (OSError, CancelledError, ClosedClientError) as error:
            raise NearsightError(
                f"the connection to the Dask scheduler {execution.scheduler or 'of this machine'} was lost; "
                "finished snapshots are kept: run the same command again with a scheduler that runs"
            ) from error
        finally:
            _end_children(run)
            if client is not None:
                _leave(client, run)
            if local is not None:
                local.close()


def _local_cluster(execution: Execution, n_items: int) -> LocalCluster:
    """One worker in this process, whose threads wait for the children that do the work."""
    return LocalCluster(
        n_workers=1,
        threads_per_worker=min(execution.jobs, n_items),
        processes=False,
        dashboard_address=None,
        memory_limit=None,
        resources={_MEMORY: execution.memory_mb or available_mb()},
    )


def _connect(to: "str | LocalCluster | None") -> Client:
    try:
        client = Client(to, timeout=CONNECT_SECONDS, set_as_default=False)
    except Exception as error:  # a bad address, nobody there, something else at that port: anything
        raise NearsightError(
            f"no Dask scheduler answers at {to} within {CONNECT_SECONDS:g} s: start one with 'dask "
            "scheduler', or label on this machine with --jobs"
        ) from error
    if isinstance(to, str):
        _require_same_dask(client, to)
    return client


def _require_same_dask(client: Client, address: str) -> None:
    found = client.get_versions()
    ours, theirs = found["client"]["packages"], found["scheduler"]["packages"]
    for name in ("python", "dask", "distributed"):
        if _minor(str(ours[name]), name) != _minor(str(theirs[name]), name):
            client.close()
            raise InputError(
                f"the scheduler {address} has {name} {theirs[name]}, not {ours[name]}: start it from the "
                "same environment"
            )


def _leave(client: Client, run: str) -> None:
    """End the run's processes wherever they are, as far as the scheduler still answers, and hang up."""
    try:
        if client.status == "running":
            client.run(_end_children, run, on_error="ignore")
        client.close(timeout=2)
    except (OSError, CancelledError, ClosedClientError):
        return  # nobody there: the children of dead workers have ended, those of others do so when idle


@contextmanager
def _silent_dask() -> Iterator[None]:
    """Keep Dask's log off the terminal: what matters of it becomes one line."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="distributed")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
