"""Factors that make stated variances hold: by likelihood, cautious of what was not seen, then the tails.

Held-out errors e of points that state an aleatoric variance A and an epistemic variance E give

    v = a A + b E + c,        J(a, b, c) = ⟨½ ln v + e²/2v⟩ + (ln b − ln a)²/2s²M,

⟨⟩ the mean over points, then over snapshots. J is the Gaussian negative log-likelihood of one of the M
independent values behind the points, with a normal prior on ln b/a, as though the network were off by one
factor. c takes the place of a A for networks that state no aleatoric variance (the prior then draws b to
one); it is zero otherwise.

Held-out snapshots that look like the training ones hold little of E, so that a wide range of b does them
justice. Where E matters, at structures unlike the training data, a small b is the error that hurts: b is
the upper end of its one-sided 95 % interval by profile likelihood (S. Wilks, Ann. Math. Stat. 9, 60
(1938)), the largest b with min J(·, b) ≤ min J + 1.645²/2M, and a or c the most likely with it. The more
snapshots there are, and the more they say of E, the nearer that is to the most likely b; where they say
nothing, the prior bounds it at a few times a.

Two things are left. Tails are heavier than a normal's; and a σ that is right on average is too small for some
snapshots, hot or strange ones, and snapshots never seen are more often of that kind. A last common factor of
all variances, chosen on the same points, sees to both, see `widening`.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize, minimize_scalar

from nearsight.errors import InputError

#: independent values that a snapshot is taken to hold, however many of its points are given
INDEPENDENT = 100.0
#: standard deviation of the prior on ln b/a
PRIOR = float(np.log(3.0))
#: rise of M J at the upper end of the interval of b
_CAUTION = 0.5 * 1.645**2
#: coverage at 3σ that the last factor is to reach, a normal's, and on which share of the snapshots
TAIL = 0.997
_SHARE = 0.9
#: 1σ may cover so much for the sake of the tails, and no more
BULK_LIMIT = 0.74
_ONE_SIGMA = 0.6826894921370859
#: how far logarithms of factors are looked for
_BOUND = 12.0
#: least variance, so that none is zero; the mean square error is one
_FLOOR = 1e-12


@dataclass(frozen=True)
class Factors:
    """Calibrated variance is aleatoric · A + epistemic · E + noise; see the module for A and E.

    Attributes
    ----------
    aleatoric, epistemic, noise : float
        a, b and c, all ≥ 0, the last common factor included; c in the square of the errors' unit.
    widening : float
        That last factor, of σ: its square is in all three.
    """

    aleatoric: float
    epistemic: float
    noise: float
    widening: float


def fit_factors(
    errors: np.ndarray, aleatoric: np.ndarray, epistemic: np.ndarray, snapshots: np.ndarray
) -> Factors:
    """Fit the factors on held-out points.

    Parameters
    ----------
    errors : ndarray (n,)
        Reference minus prediction.
    aleatoric, epistemic : ndarray (n,)
        Variances ≥ 0 that the network states, in the square of the errors' unit.
    snapshots : ndarray (n,)
        Which snapshot each point is from; snapshots count equally, whatever their number of points.

    Raises
    ------
    InputError
        No points, arrays of different lengths, negative variances, numbers that are not finite, or a
        prediction without any error.
    """
    e2, parts, weight = _checked(errors, aleatoric, epistemic, snapshots)
    scale = float(weight @ e2)
    if not scale > 0:
        raise InputError("the prediction has no error at all on these points: nothing to calibrate with")
    likelihood = _Likelihood(e2 / scale, [part / scale for part in parts], weight, len(np.unique(snapshots)))
    a, b, c = likelihood.cautious()
    c *= scale
    v = a * parts[0] + b * parts[1] + c
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(e2 > 0, np.sqrt(e2 / v), 0.0)
    wider = widening(z, snapshots)
    a, b, c = (wider**2 * factor for factor in (a, b, c))
    return Factors(a, b, c, wider)


def widening(z: np.ndarray, snapshots: np.ndarray) -> float:
    """Factor of σ after which |z| = |e|/σ has the coverage asked for.

    1σ covers 68.27 % or more in the mean over snapshots. 3σ covers `TAIL` (99.7 %) of the points of nine
    snapshots in ten (of the worst one where there are fewer), unless 1σ had to cover more than `BULK_LIMIT`
    (74 %) in the mean for that, where tails give way. It is one for normal errors whose σ is right in every
    snapshot. The tail of a snapshot is its root mean square z times the quantile of z over that of all
    snapshots together: few points settle the one, and only many the other.

    Parameters
    ----------
    z : ndarray (n,)
        e/σ.
    snapshots : ndarray (n,)
        Which snapshot each point is from; in the mean they count equally.
    """
    size = np.abs(z)
    weight = _equal_weights(snapshots)
    bulk, limit = weighted_quantiles(size, weight, (_ONE_SIGMA, BULK_LIMIT))
    _, which, counts = np.unique(snapshots, return_inverse=True, return_counts=True)
    scale = np.sqrt(np.bincount(which, weights=size**2) / counts)
    own = np.divide(size, scale[which], out=np.zeros_like(size), where=scale[which] > 0)
    tail = np.quantile(scale, _SHARE, method="higher") * weighted_quantiles(own, weight, (TAIL,))[0]
    return float(max(bulk, min(tail / 3.0, limit)))


def weighted_quantiles(values: np.ndarray, weight: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Smallest values that so large shares of the weight do not exceed."""
    order = np.argsort(values)
    share = np.cumsum(weight[order]) / weight.sum()
    at = np.minimum(np.searchsorted(share, np.asarray(levels) - 1e-12), len(values) - 1)
    return values[order][at]


class _Likelihood:
    """J of points whose mean square error is one."""

    def __init__(self, e2: np.ndarray, parts: list[np.ndarray], weight: np.ndarray, n_snapshots: int) -> None:
        self._e2, self._weight = e2, weight
        self._independent = INDEPENDENT * n_snapshots
        self._stated = [bool(part.any()) for part in parts]
        #: what stands beside the epistemic variance: the aleatoric one, or a constant
        self._beside = parts[0] if self._stated[0] else np.ones_like(e2)
        self._epistemic = parts[1]

    def cautious(self) -> tuple[float, float, float]:
        """a, b and c, with b at the upper end of its interval."""
        if not self._stated[1]:
            beside = float(np.exp(self._profile(-_BOUND)[1]))
            return (beside, beside, 0.0) if self._stated[0] else (1.0, 1.0, beside)
        start = self._start()
        bounds = [(at - _BOUND, at + _BOUND) for at in start]
        found = minimize(
            self._value, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"gtol": 1e-7}
        )
        limit = float(found.fun) + _CAUTION / self._independent
        log_b = float(found.x[1])

        def above(log: float) -> float:
            return self._profile(log)[0] - limit

        if above(log_b) < 0:
            log_b = float(brentq(above, log_b, log_b + _BOUND, xtol=1e-4))
        beside, b = float(np.exp(self._profile(log_b)[1])), float(np.exp(log_b))
        return (beside, b, 0.0) if self._stated[0] else (0.0, b, beside)

    def _value(self, logs: np.ndarray) -> tuple[float, np.ndarray]:
        """J and its gradient at ln a (or ln c) and ln b."""
        terms = np.exp(logs)[:, None] * np.stack([self._beside, self._epistemic])
        v = terms.sum(axis=0) + _FLOOR
        value = 0.5 * float(self._weight @ (np.log(v) + self._e2 / v))
        slope = 0.5 * (terms @ (self._weight * (1.0 / v - self._e2 / v**2)))
        if self._stated[1]:
            off = float(logs[1] - logs[0] * self._stated[0])
            rigour = 1.0 / (PRIOR**2 * self._independent)
            value += 0.5 * rigour * off**2
            slope += rigour * off * np.array([-float(self._stated[0]), 1.0])
        return value, slope

    def _profile(self, log_b: float) -> tuple[float, float]:
        """Least J at this b, and ln a (or ln c) there."""
        start = self._start()[0]
        found = minimize_scalar(
            lambda log: self._value(np.array([log, log_b]))[0],
            bounds=(start - _BOUND, start + 3.0),
            method="bounded",
            options={"xatol": 1e-5},
        )
        return float(found.fun), float(found.x)

    def _start(self) -> np.ndarray:
        """One factor for both variances; else the epistemic one as stated, and c for the rest."""
        mean = float(self._weight @ self._epistemic)
        if self._stated[0]:
            one = -np.log(float(self._weight @ self._beside) + mean)
            return np.array([one, one])
        return np.array([np.log(max(1.0 - mean, 0.01)), 0.0])


def _checked(
    errors: np.ndarray, aleatoric: np.ndarray, epistemic: np.ndarray, snapshots: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Squared errors, the two variances and weights of sum one, all float64."""
    if not (errors.ndim == 1 and errors.shape == aleatoric.shape == epistemic.shape == snapshots.shape):
        raise InputError(
            "errors, variances and snapshot numbers of a calibration must be equally long vectors"
        )
    if len(errors) == 0:
        raise InputError("a calibration needs at least one point")
    e2 = errors.astype(np.float64) ** 2
    parts = [aleatoric.astype(np.float64), epistemic.astype(np.float64)]
    if not all(np.isfinite(array).all() for array in (e2, *parts)):
        raise InputError("errors or variances of a calibration are not all finite")
    if any((part < 0).any() for part in parts):
        raise InputError("a variance is negative; the network that stated it is at fault")
    return e2, parts, _equal_weights(snapshots)


def _equal_weights(snapshots: np.ndarray) -> np.ndarray:
    """Weights of points, of sum one, the same sum for every snapshot."""
    _, which, counts = np.unique(snapshots, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (counts[which] * len(counts)))
