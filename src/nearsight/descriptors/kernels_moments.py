"""Compiled moments of a neighbourhood and their principal axes; rows of `near` begin (x, y, z, distance)."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def second_moment(near, held, radius, moment):  # type: ignore[no-untyped-def]
    """Moment = Σ w r rᵀ with w = (1 − (r/radius)²)²."""
    moment[:] = 0.0
    for i in range(held):
        w = max(0.0, 1.0 - (near[i, 3] / radius) ** 2) ** 2
        for a in range(3):
            for b in range(3):
                moment[a, b] += w * near[i, a] * near[i, b]


@njit(cache=True, nogil=True)
def third_moment(near, held, radius, axis):  # type: ignore[no-untyped-def]
    """Σ w (axis·r)³ over Σ w r³: how lopsided the neighbourhood is along an axis."""
    along, bound = 0.0, 1e-300
    for i in range(held):
        w = max(0.0, 1.0 - (near[i, 3] / radius) ** 2) ** 2
        along += w * (axis[0] * near[i, 0] + axis[1] * near[i, 1] + axis[2] * near[i, 2]) ** 3
        bound += w * near[i, 3] ** 3
    return along / bound


@njit(cache=True, nogil=True)
def rotate_pair(matrix, axes, a, b):  # type: ignore[no-untyped-def]
    """One Jacobi rotation that clears matrix[a, b]."""
    if abs(matrix[a, b]) < 1e-300:
        return
    theta = (matrix[b, b] - matrix[a, a]) / (2.0 * matrix[a, b])
    t = 1.0 / (abs(theta) + np.sqrt(theta * theta + 1.0))
    if theta < 0:
        t = -t
    c = 1.0 / np.sqrt(t * t + 1.0)
    s = t * c
    for k in range(3):
        matrix[k, a], matrix[k, b] = c * matrix[k, a] - s * matrix[k, b], s * matrix[k, a] + c * matrix[k, b]
    for k in range(3):
        matrix[a, k], matrix[b, k] = c * matrix[a, k] - s * matrix[b, k], s * matrix[a, k] + c * matrix[b, k]
        axes[a, k], axes[b, k] = c * axes[a, k] - s * axes[b, k], s * axes[a, k] + c * axes[b, k]


@njit(cache=True, nogil=True)
def principal_axes(matrix, axes):  # type: ignore[no-untyped-def]
    """Diagonalise `matrix` in place (Jacobi); rows of `axes` belong to falling eigenvalues."""
    axes[:] = 0.0
    for k in range(3):
        axes[k, k] = 1.0
    size = matrix[0, 0] + matrix[1, 1] + matrix[2, 2]
    for _ in range(30):
        if abs(matrix[0, 1]) + abs(matrix[0, 2]) + abs(matrix[1, 2]) <= 1e-15 * size:
            break
        rotate_pair(matrix, axes, 0, 1)
        rotate_pair(matrix, axes, 0, 2)
        rotate_pair(matrix, axes, 1, 2)
    for a, b in ((0, 1), (1, 2), (0, 1)):
        if matrix[a, a] < matrix[b, b]:
            matrix[a, a], matrix[b, b] = matrix[b, b], matrix[a, a]
            for k in range(3):
                axes[a, k], axes[b, k] = axes[b, k], axes[a, k]
