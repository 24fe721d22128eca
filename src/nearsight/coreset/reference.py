"""Plain NumPy twins of the compiled kernels."""

import numpy as np


def greedy_facilities(similarity: np.ndarray, n_keep: int) -> np.ndarray:
    """Positions of `n_keep` points, in the order picked, each with the largest gain in Σ_i max_{j in S} s_ij.

    Parameters
    ----------
    similarity : ndarray (m, m)
        Symmetric, ≥ 0.
    n_keep : int
        1 … m.

    Returns
    -------
    ndarray (n_keep,), int64
        Ties go to the lower position, up to rounding.
    """
    served = np.zeros(len(similarity), dtype=similarity.dtype)
    picked = np.empty(n_keep, dtype=np.int64)
    for n in range(n_keep):
        gains = np.maximum(similarity - served, 0.0).sum(axis=1)
        gains[picked[:n]] = -np.inf
        picked[n] = np.argmax(gains)
        served = np.maximum(served, similarity[picked[n]])
    return picked
