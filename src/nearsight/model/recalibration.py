"""`fit_calibration`: the factors of `nearsight.metrics.recalibration` as a model keeps them."""

import numpy as np

from nearsight.metrics.recalibration import fit_factors
from nearsight.model.calibration import Calibration


def fit_calibration(
    errors: np.ndarray, aleatoric: np.ndarray, epistemic: np.ndarray, snapshots: np.ndarray
) -> Calibration:
    """Factors that make the variances of a network hold on held-out points.

    Parameters
    ----------
    errors : ndarray (n,)
        Reference minus prediction, in units of the standardised density.
    aleatoric, epistemic : ndarray (n,)
        Variances as the network states them, standardised density squared.
    snapshots : ndarray (n,)
        Which snapshot each point is from; snapshots count equally.

    Raises
    ------
    InputError
        See `fit_factors`.
    """
    found = fit_factors(errors, aleatoric, epistemic, snapshots)
    return Calibration(found.aleatoric, found.epistemic, found.noise, len(errors), len(np.unique(snapshots)))
