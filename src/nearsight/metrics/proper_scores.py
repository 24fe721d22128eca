"""Proper scores of a normal prediction: least in the mean for the true mean and standard deviation only.

T. Gneiting, A. E. Raftery, J. Am. Stat. Assoc. 102, 359 (2007): section 4.2 for the continuous ranked
probability score, equation (21) its closed form for a normal distribution.
"""

import numpy as np
from scipy.special import ndtr


def gaussian_nll(error: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Negative log-likelihood ½ ln(2πσ²) + e²/2σ² of each point.

    Parameters
    ----------
    error, sigma : ndarray (n,)
        Errors and standard deviations > 0, in one unit.

    Returns
    -------
    ndarray (n,)
        In nats of a density per that unit: another unit adds a constant.
    """
    z = error / sigma
    return 0.5 * np.log(2.0 * np.pi) + np.log(sigma) + 0.5 * z**2


def gaussian_crps(error: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score ∫(F(x) − 1{x ≥ y})² dx of each point, ≥ 0.

    σ (z (2Φ(z) − 1) + 2φ(z) − 1/√π) with z = e/σ, and its limit |e| where σ is zero.

    Parameters
    ----------
    error, sigma : ndarray (n,)
        Errors and standard deviations ≥ 0, in one unit: that of the score.
    """
    size = np.abs(error)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = size / sigma
        density = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
        score = size * (2.0 * ndtr(z) - 1.0) + sigma * (2.0 * density - 1.0 / np.sqrt(np.pi))
    return np.where(sigma > 0, score, size)
