"""Threads: how many, and the same work on all of them.

The engine shares out blocks of the grid itself and holds BLAS to one thread: a threaded BLAS waits for
its slowest thread in every product, and a competing process then makes it ten times slower.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_info, threadpool_limits

T = TypeVar("T")
R = TypeVar("R")


def available_threads() -> int:
    """Cores that this process may use, fewer where BLAS has been held to fewer."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # PySCF's own copy of BLAS is always held to one thread and says nothing
    blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return min(cores, max(blas, default=cores))


@contextmanager
def threads(wanted: int | None) -> Iterator[int]:
    """Hold BLAS to one thread inside the block; yields the threads to use, `wanted` or all.

    PySCF's integrals use the same number through OpenMP.
    """
    count = wanted or available_threads()
    with threadpool_limits(1, user_api="blas"), threadpool_limits(count, user_api="openmp"):
        yield count


def in_threads(work: Callable[[T], R], items: Sequence[T], count: int) -> Iterator[R]:
    """Results of `work` on all items, in their order, worked out by `count` threads."""
    if count == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(count) as pool:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            # few are started ahead: results may be large, and wait until they are taken
            if len(waiting) > 2 * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
