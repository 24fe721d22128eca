"""The same work on many items: here, or in processes side by side, on this machine or on others (Dask)."""

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from threadpoolctl import threadpool_limits

from nearsight.errors import InputError
from nearsight.progress import Progress, silent
from nearsight.workflows.outcome import Outcome

#: a snapshot's number, and what is needed to work on it
T = TypeVar("T")
Item = tuple[int, T]

_ADDRESS = re.compile(r"((tcp|tls|wss?)://)?[^/\s]+:\d{1,5}")


class Work(Protocol):
    """What is done to an item: reports a failed calculation, raises where the run has to end."""

    def __call__(self, item: Item[T], /) -> Outcome:
        """Work on one item."""
        ...


@dataclass(frozen=True)
class Execution:
    """How, where and how patiently to work.

    Parameters
    ----------
    jobs : int
        Items side by side on this machine. One means this process, unless there is a time limit.
    scheduler : str, optional
        Address of a running Dask scheduler, such as ``tcp://node7:8786``; its workers do the work.
    retries : int
        How often an item is begun again after its process died or something unforeseen.
    timeout : float, optional
        Seconds that one item may take; then its process is ended and it counts as failed.
    threads : int, optional
        Threads of one item; its share of the cores unless given.
    memory_mb : float, optional
        Memory that all items of this machine together may take, MB; nine tenths of what is free unless given.

    Raises
    ------
    InputError
        A value out of range, or both `jobs` and `scheduler`.
    """

    jobs: int = 1
    scheduler: str | None = None
    retries: int = 1
    timeout: float | None = None
    threads: int | None = None
    memory_mb: float | None = None

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise InputError(f"--jobs must be at least 1, not {self.jobs}")
        if self.jobs > 1 and self.scheduler is not None:
            raise InputError("give --jobs or --scheduler, not both: the scheduler knows its workers")
        if self.scheduler is not None and not _ADDRESS.fullmatch(self.scheduler):
            raise InputError(f"--scheduler is an address such as tcp://node7:8786, not '{self.scheduler}'")
        if self.memory_mb is not None and self.scheduler is not None:
            raise InputError(
                "--memory is for this machine; workers of a scheduler announce theirs: "
                "dask worker --resources MB=60000"
            )
        if self.retries < 0:
            raise InputError(f"--retries must be at least 0, not {self.retries}")
        if self.timeout is not None and not 0 < self.timeout < float("inf"):
            raise InputError(f"--timeout is a positive number of seconds, not {self.timeout}")
        if self.threads is not None and self.threads < 1:
            raise InputError(f"--threads must be at least 1, not {self.threads}")
        if self.memory_mb is not None and not self.memory_mb > 0:
            raise InputError(f"--memory is a positive number of MB, not {self.memory_mb}")

    def in_this_process(self, n_items: int) -> bool:
        """Whether nothing asks for other processes."""
        return self.scheduler is None and self.timeout is None and min(self.jobs, n_items) < 2


def outcomes(
    work: Work,
    items: Sequence[Item[T]],
    execution: Execution,
    megabytes: Callable[[Item[T]], float],
    progress: Progress = silent,
) -> Generator[Outcome, None, None]:
    """How each item went, as soon as that is settled, in whatever order.

    Close the iterator where it is left early: that ends the processes.

    Parameters
    ----------
    work : callable
        Returns an `Outcome`, and raises only where the run has to end. In other processes it is
        pickled by value.
    items : sequence
    execution : Execution
    megabytes : callable
        Memory that an item will take, MB: no more are begun at once than fit.
    progress : Progress

    Raises
    ------
    NearsightError
        What `work` raises; a scheduler that cannot be reached or goes away.
    """
    if execution.in_this_process(len(items)):
        yield from _here(work, items, execution)
    elif items:
        # here, since importing Dask takes longer than labelling a small structure
        from nearsight.workflows.cluster import on_cluster

        yield from on_cluster(work, items, execution, megabytes, progress)


def _here(work: Work, items: Sequence[Item[T]], execution: Execution) -> Iterator[Outcome]:
    for item in items:
        for tries in range(1, execution.retries + 2):
            limit = nullcontext() if execution.threads is None else threadpool_limits(execution.threads)
            with limit:
                outcome = replace(work(item), tries=tries)
            if not outcome.worth_retrying:
                break
        yield outcome
