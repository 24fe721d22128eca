"""Threads and device: the same work on rows of orbitals, shared out by the engine itself.

Torch is held to one thread and the engine shares out the rows: transforms and products of one thread wait
for nobody, where a threaded product waits for its slowest thread in every call.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from nearsight.engines.lcao.threads import threads as blas_threads
from nearsight.errors import InputError

R = TypeVar("R")

#: rows of a product that are worth a thread of their own
_FEWEST_ROWS = 8


class Workers:
    """A device, and as many threads as work on it.

    Parameters
    ----------
    count : int
        Threads; one on a GPU, which shares out its work by itself.
    device : torch.device
    """

    def __init__(self, count: int, device: torch.device) -> None:
        self.count = count if device.type == "cpu" else 1
        self.device = device
        self._pool = ThreadPoolExecutor(self.count) if self.count > 1 else None

    def parts(self, work: Callable[[slice], R], n: int, multiple: int = 1) -> list[R]:
        """Results of `work` on consecutive slices of range(n), one a thread, cut at multiples."""
        size = -(-n // (self.count * multiple)) * multiple
        slices = [slice(start, min(start + size, n)) for start in range(0, n, max(size, 1))]
        if self._pool is None or len(slices) < 2:
            return [work(rows) for rows in slices]
        return list(self._pool.map(work, slices))

    def matmul(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Left @ right of matrices, by blocks of the rows of `left`."""
        if self._pool is None or len(left) < 2 * _FEWEST_ROWS:
            return left @ right
        out = left.new_empty((left.shape[0], right.shape[1]))

        def block(rows: slice) -> None:
            torch.matmul(left[rows], right, out=out[rows])

        self.parts(block, len(left))
        return out

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()


def find_device(name: str) -> torch.device:
    """The device of that name; raises `InputError` where this machine has none.

    ``auto`` is the GPU where there is one.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        raise InputError(f"device '{name}' is not available here; use 'cpu' or 'auto'") from None
    return device


@contextmanager
def workers(wanted: int | None, device: torch.device) -> Iterator[Workers]:
    """`wanted` threads or all; torch and BLAS are held to one inside the block, restored after it."""
    before = torch.get_num_threads()
    with blas_threads(wanted) as count:
        pool = Workers(count, device)
        torch.set_num_threads(1)
        try:
            yield pool
        finally:
            torch.set_num_threads(before)
            pool.close()
