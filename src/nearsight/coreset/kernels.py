"""Compiled greedy choice; `reference` holds the twin that is written for reading."""

import heapq

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"reassoc", "nsz", "nnan", "contract"})
def _gain(row: np.ndarray, served: np.ndarray) -> float:
    """Σ_i max(0, s_i − served_i) of finite numbers; the order of the sum is left to the compiler."""
    total = row.dtype.type(0)
    for i in range(len(row)):
        more = row[i] - served[i]
        if more > 0:
            total += more
    return total


@njit(cache=True, nogil=True)
def greedy_facilities(similarity: np.ndarray, n_keep: int) -> np.ndarray:
    """Lazy greedy facility location; see `reference.greedy_facilities`.

    A gain computed earlier bounds today's, so only points whose bound is the highest are computed afresh.
    """
    m = len(similarity)
    served = np.zeros(m, dtype=similarity.dtype)
    heap = [(-float(_gain(similarity[j], served)), j) for j in range(m)]  # ties go to the lower position
    heapq.heapify(heap)
    fresh = np.zeros(m, dtype=np.int64)  # the pick before which each gain was computed
    picked = np.empty(n_keep, dtype=np.int64)
    for n in range(n_keep):
        best = heap[0][1]
        while fresh[best] != n:
            fresh[best] = n
            heapq.heapreplace(heap, (-float(_gain(similarity[best], served)), best))
            best = heap[0][1]
        picked[n] = best
        heapq.heappop(heap)
        for i in range(m):
            served[i] = max(served[i], similarity[best, i])
    return picked
