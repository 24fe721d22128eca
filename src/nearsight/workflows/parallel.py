"""The same function over many items, here or in several processes of this machine (Dask)."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from typing import Any, TypeVar

import dask
from dask.callbacks import Callback
from threadpoolctl import threadpool_limits

from nearsight.errors import InputError

T = TypeVar("T")
R = TypeVar("R")


def map_items(
    function: Callable[[T], R], items: Sequence[T], jobs: int, done: Callable[[R], None]
) -> list[R]:
    """Results in the order of `items`; `done` hears of each as soon as it is there.

    Parameters
    ----------
    function : callable
        Importable, or a `functools.partial` of something importable, where `jobs` exceeds one.
    items : sequence
    jobs : int
        Processes. One means this process. Several share the processor: each uses at most its part
        of the cores.
    done : callable

    Raises
    ------
    InputError
        A number of jobs below one.
    """
    if jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {jobs}")
    if jobs == 1 or len(items) < 2:
        results = []
        for item in items:
            results.append(function(item))
            done(results[-1])
        return results
    return _in_processes(function, items, min(jobs, len(items)), done)


def _in_processes(
    function: Callable[[T], R], items: Sequence[T], jobs: int, done: Callable[[R], None]
) -> list[R]:
    threads = max(1, _cores() // jobs)
    limited = dask.delayed(_limited, pure=False)
    # Dask starts with the last of equal tasks by name: count down, so that they start in order
    names = [f"item-{len(items) - i:09d}" for i in range(len(items))]
    tasks = [
        limited(function, item, threads, dask_key_name=name) for item, name in zip(items, names, strict=True)
    ]

    def heard(key: Any, result: R, *_: Any) -> None:
        done(result)

    with Callback(posttask=heard):
        options = {"num_workers": jobs, "chunksize": 1, "initializer": _follow_parent}
        return list(dask.compute(*tasks, scheduler="processes", **options))


def _follow_parent() -> None:
    """End this worker when its parent is gone, killed perhaps, which a pool does not see to."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _limited(function: Callable[[T], R], item: T, threads: int) -> R:
    """Run in a worker with its part of the threads."""
    with threadpool_limits(limits=threads):
        return function(item)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
