"""Real spherical harmonics up to l = 3 as polynomials of the direction (Condon and Shortley's tables)."""

import numpy as np

from nearsight.errors import InputError

LARGEST = 3


def real_harmonics(ell: int, vectors: np.ndarray) -> np.ndarray:
    """Y_lm of the directions of vectors (n, 3), shape (2l + 1, n), orthonormal on the sphere.

    At the zero vector, which has no direction, they are whatever the polynomials give: what they multiply
    vanishes there for l > 0.

    Raises
    ------
    InputError
        l above 3.
    """
    length = np.linalg.norm(vectors, axis=1)
    x, y, z = (vectors / np.where(length > 1e-12, length, 1.0)[:, None]).T
    one = np.ones_like(x)
    if ell == 0:
        rows = [np.sqrt(1 / (4 * np.pi)) * one]
    elif ell == 1:
        rows = [np.sqrt(3 / (4 * np.pi)) * c for c in (y, z, x)]
    elif ell == 2:
        a = np.sqrt(15 / (4 * np.pi))
        rows = [
            a * x * y,
            a * y * z,
            np.sqrt(5 / (16 * np.pi)) * (3 * z**2 - 1),
            a * x * z,
            0.5 * a * (x**2 - y**2),
        ]
    elif ell == LARGEST:
        a, b, c = np.sqrt(35 / (32 * np.pi)), np.sqrt(105 / (4 * np.pi)), np.sqrt(21 / (32 * np.pi))
        rows = [
            a * y * (3 * x**2 - y**2),
            b * x * y * z,
            c * y * (5 * z**2 - 1),
            np.sqrt(7 / (16 * np.pi)) * z * (5 * z**2 - 3),
            c * x * (5 * z**2 - 1),
            0.5 * b * z * (x**2 - y**2),
            a * x * (x**2 - 3 * y**2),
        ]
    else:
        raise InputError(f"projectors with l = {ell} are not supported; l goes up to {LARGEST}")
    return np.array(rows)
