"""Whether stated standard deviations hold: coverage, proper scores, reliability, error against σ.

Points of a snapshot are summarised when it is predicted; summaries are small, can be merged, and every
figure follows from them. σ is the total standard deviation √(aleatoric² + epistemic²) of a point, and
e = reference − prediction. Each snapshot counts equally. Nothing here speaks of the charge of a cell or of
any other sum over points: their errors are correlated, so that their variances do not add up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy.special import ndtri

from nearsight.errors import InputError
from nearsight.metrics.bootstrap import Interval, draws, mean_interval, percentile_interval
from nearsight.metrics.proper_scores import gaussian_crps, gaussian_nll
from nearsight.metrics.ranking import (
    Deciles,
    Ranking,
    correlation_of,
    deciles,
    ideal_rank_correlation,
    perfect_errors,
    rank_correlation,
)
from nearsight.provenance import generator

#: nominal levels of the reliability diagram
LEVELS = tuple(round(0.05 * k, 2) for k in range(1, 20))
#: points of a snapshot that are kept, drawn at random, for ranks and deciles
SAMPLE = 8192
#: of those, the ones that intervals of rank figures look at
_BOOTSTRAP_SAMPLE = 2048
_BOOTSTRAP_RANKS = 400


@dataclass(frozen=True)
class Means:
    """Figures that are means over the points of a snapshot, or over snapshots.

    Attributes
    ----------
    coverage_1, coverage_2, coverage_3 : float
        Share of points with |e| ≤ 1, 2, 3 σ; 0.6827, 0.9545, 0.9973 where errors are normal and σ right.
    nll : float
        Negative log-likelihood a point, over points with σ > 0, of e in e/bohr³; NaN without any.
    crps : float
        Continuous ranked probability score, e/bohr³.
    mean_sigma, rms_sigma : float
        Sharpness: how small the stated σ is, e/bohr³.
    mean_aleatoric, mean_epistemic : float
        Of the two standard deviations, e/bohr³.
    rms_error : float
        e/bohr³.
    """

    coverage_1: float
    coverage_2: float
    coverage_3: float
    nll: float
    crps: float
    mean_sigma: float
    rms_sigma: float
    mean_aleatoric: float
    mean_epistemic: float
    rms_error: float


@dataclass(frozen=True, eq=False)
class SnapshotSummary:
    """What is kept of the points of one snapshot.

    Attributes
    ----------
    snapshot : int
    n_points, n_certain : int
        Points, and those whose σ is zero.
    means : Means
    inside : ndarray (len(LEVELS),)
        Share of the points inside the central interval of each nominal level.
    sigma, error : ndarray (at most SAMPLE,)
        σ and |e| of random points, in random order: any first part is a random sample as well.
    """

    snapshot: int
    n_points: int
    n_certain: int
    means: Means
    inside: np.ndarray
    sigma: np.ndarray
    error: np.ndarray


def summarise(
    snapshot: int, errors: np.ndarray, aleatoric: np.ndarray, epistemic: np.ndarray, *, seed: int = 0
) -> SnapshotSummary:
    """Summary of a snapshot.

    Parameters
    ----------
    snapshot : int
        Its number; together with `seed` it settles which points are kept.
    errors : ndarray
        Reference minus prediction, of any shape, e/bohr³.
    aleatoric, epistemic : ndarray
        Standard deviations ≥ 0 of the same shape, e/bohr³.

    Raises
    ------
    InputError
        No points, different shapes, numbers that are not finite or a negative standard deviation.
    """
    e, aleatoric, epistemic = _checked(errors, aleatoric, epistemic)
    sigma = np.hypot(aleatoric, epistemic)
    size = np.abs(e)
    known = sigma > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(known, size / sigma, np.where(size > 0, np.inf, 0.0))
    means = Means(
        coverage_1=float(np.mean(z <= 1.0)),
        coverage_2=float(np.mean(z <= 2.0)),
        coverage_3=float(np.mean(z <= 3.0)),
        nll=float(gaussian_nll(e[known], sigma[known]).mean()) if known.any() else float("nan"),
        crps=float(gaussian_crps(e, sigma).mean()),
        mean_sigma=float(sigma.mean()),
        rms_sigma=float(np.sqrt(np.mean(sigma**2))),
        mean_aleatoric=float(aleatoric.mean()),
        mean_epistemic=float(epistemic.mean()),
        rms_error=float(np.sqrt(np.mean(e**2))),
    )
    rng = generator(seed, "calibration sample", snapshot)
    kept = rng.permutation(len(e))[:SAMPLE]
    return SnapshotSummary(snapshot, len(e), int((~known).sum()), means, _inside(z), sigma[kept], size[kept])


@dataclass(frozen=True, eq=False)
class CalibrationSummary:
    """Summaries of different snapshots, ascending.

    Raises
    ------
    InputError
        No snapshots, or one that comes twice.
    """

    snapshots: tuple[SnapshotSummary, ...]

    def __init__(self, snapshots: Iterable[SnapshotSummary]) -> None:
        ordered = tuple(sorted(snapshots, key=lambda s: s.snapshot))
        numbers = [s.snapshot for s in ordered]
        if not numbers:
            raise InputError("a calibration needs at least one snapshot")
        if len(set(numbers)) < len(numbers):
            raise InputError("a snapshot comes twice in the calibration")
        object.__setattr__(self, "snapshots", ordered)

    def merged(self, other: "CalibrationSummary") -> "CalibrationSummary":
        """Both together."""
        return CalibrationSummary(self.snapshots + other.snapshots)

    @property
    def means(self) -> Means:
        """Means over the snapshots; of rms figures, the root of the mean square."""
        table = {f.name: np.array([getattr(s.means, f.name) for s in self.snapshots]) for f in fields(Means)}
        return Means(**{name: _mean(name, values) for name, values in table.items()})

    @property
    def reliability(self) -> np.ndarray:
        """Observed coverage at each of `LEVELS`, (len(LEVELS),)."""
        return np.asarray(np.mean([s.inside for s in self.snapshots], axis=0))

    @property
    def calibration_error(self) -> float:
        """Mean |observed − nominal coverage| over `LEVELS`; 0.5 is the worst there is."""
        return float(np.abs(self.reliability - LEVELS).mean())

    def sample(self, limit: int = SAMPLE) -> tuple[np.ndarray, np.ndarray]:
        """σ and |e| of equally many random points of each snapshot."""
        n = min(limit, *(len(s.sigma) for s in self.snapshots))
        return _joined(self.snapshots, n)

    @property
    def deciles(self) -> Deciles:
        """Error in deciles of σ, on the sample."""
        return deciles(*self.sample())

    def ranks(self, *, seed: int = 0) -> tuple[float, float]:
        """Rank correlation of σ and |e|, and that of a perfect σ of the same spread; NaN for a constant σ."""
        sigma, error = self.sample()
        return rank_correlation(sigma, error), ideal_rank_correlation(sigma, _rng(seed))

    def figures(self, *, seed: int = 0) -> dict[str, Any]:
        """Everything, JSON-ready but for NaN; ``intervals`` are by bootstrap over snapshots."""
        found, ideal = self.ranks(seed=seed)
        tenths = self.deciles
        return {
            "n_snapshots": len(self.snapshots),
            "n_points": sum(s.n_points for s in self.snapshots),
            "points_without_sigma": sum(s.n_certain for s in self.snapshots),
            **{f.name: getattr(self.means, f.name) for f in fields(Means)},
            "calibration_error": self.calibration_error,
            "rank_correlation": found,
            "ideal_rank_correlation": ideal,
            "rank_correlation_ratio": found / ideal if ideal > 0 else float("nan"),
            "rises": tenths.rises,
            "deciles": {"mean_sigma": list(tenths.sigma), "mean_abs_error": list(tenths.error)},
            "reliability": {"expected": list(LEVELS), "observed": self.reliability.tolist()},
        }

    def intervals(self, *, seed: int = 0) -> dict[str, Interval | None]:
        """95 % percentile intervals of the figures by bootstrap over snapshots; None for one snapshot."""
        found: dict[str, Interval | None] = {}
        for f in fields(Means):
            values = np.array([getattr(s.means, f.name) for s in self.snapshots])
            square = f.name.startswith("rms_")
            interval = mean_interval(values**2 if square else values, _rng(seed))
            if interval is not None and square:
                interval = (interval[0] ** 0.5, interval[1] ** 0.5)
            found[f.name] = interval if np.isfinite(values).all() else None
        found["calibration_error"] = self._interval_of_error(_rng(seed))
        return found | self._interval_of_ranks(_rng(seed))

    def _interval_of_error(self, rng: np.random.Generator) -> Interval | None:
        if len(self.snapshots) < 2:
            return None
        inside = np.array([s.inside for s in self.snapshots])
        observed = inside[draws(len(inside), rng)].mean(axis=1)
        return percentile_interval(np.abs(observed - LEVELS).mean(axis=1))

    def _interval_of_ranks(self, rng: np.random.Generator) -> dict[str, Interval | None]:
        """On fewer points and resamples: each resample is ranked anew, the perfect errors drawn once."""
        names = ("rank_correlation", "ideal_rank_correlation", "rank_correlation_ratio")
        none: dict[str, Interval | None] = dict.fromkeys(names)
        if len(self.snapshots) < 2:
            return none
        n = min(_BOOTSTRAP_SAMPLE, *(len(s.sigma) for s in self.snapshots))
        sigma, error = _joined(self.snapshots, n)
        order, *others = (Ranking(values) for values in (sigma, error, perfect_errors(sigma, rng)))
        found = []
        for which in draws(len(self.snapshots), rng, _BOOTSTRAP_RANKS):
            weight = np.repeat(np.bincount(which, minlength=len(self.snapshots)), n).astype(np.float64)
            found.append([correlation_of(order, other, weight) for other in others])
        table = np.array([(own, ideal, own / ideal) for own, ideal in found])
        if not np.isfinite(table).all():
            return none
        return {name: percentile_interval(table[:, k]) for k, name in enumerate(names)}


def _rng(seed: int) -> np.random.Generator:
    return generator(seed, "calibration figures")


def _mean(name: str, values: np.ndarray) -> float:
    if name.startswith("rms_"):
        return float(np.sqrt(np.mean(values**2)))
    return float(np.mean(values))


def _joined(snapshots: Sequence[SnapshotSummary], n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([s.sigma[:n] for s in snapshots]), np.concatenate([s.error[:n] for s in snapshots])


def _inside(z: np.ndarray) -> np.ndarray:
    """Share of |z| inside the central interval of each level."""
    edges = ndtri(0.5 * (1.0 + np.asarray(LEVELS)))
    counts = np.bincount(np.searchsorted(edges, z, side="left"), minlength=len(edges) + 1)
    return np.cumsum(counts[: len(edges)]) / len(z)


def _checked(
    errors: np.ndarray, aleatoric: np.ndarray, epistemic: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if not errors.shape == aleatoric.shape == epistemic.shape:
        raise InputError(
            f"errors of shape {errors.shape} and standard deviations of shapes {aleatoric.shape} and "
            f"{epistemic.shape}; one of each a point is needed"
        )
    flat = [np.asarray(array, dtype=np.float64).ravel() for array in (errors, aleatoric, epistemic)]
    if len(flat[0]) == 0:
        raise InputError("a calibration needs at least one point")
    if not all(np.isfinite(array).all() for array in flat):
        raise InputError("errors or standard deviations are not all finite")
    if min(flat[1].min(), flat[2].min()) < 0:
        raise InputError("a standard deviation is negative; was a variance or an error given?")
    return flat[0], flat[1], flat[2]
