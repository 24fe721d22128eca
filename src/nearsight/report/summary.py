"""Runs that differ only by their seed, put together; which of them the headline compares."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from nearsight.report import methods
from nearsight.report.markup import NBSP
from nearsight.report.reading import Baseline, Run, SnapshotResult, Study

#: the fraction that the headline speaks of, or the nearest that was tried
HEADLINE_FRACTION = 0.01
#: errors and times closer than this ratio are called nearly equal
SAME = 1.05


@dataclass(frozen=True)
class Spread:
    """Mean and extremes over seeds."""

    mean: float
    low: float
    high: float
    n: int

    def overlaps(self, other: "Spread") -> bool:
        """Whether both ranges share a value (of one seed each, only when equal)."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class Group:
    """The runs of one method at one fraction, one a seed."""

    method: str
    kept: float
    runs: tuple[Run, ...]

    def spread(self, quantity: Callable[[Run], float | None]) -> Spread | None:
        """Mean and extremes of a quantity over the seeds, None where no run has it."""
        values = [v for run in self.runs if (v := quantity(run)) is not None]
        if not values:
            return None
        return Spread(sum(values) / len(values), min(values), max(values), len(values))

    @cached_property
    def nrmse(self) -> Spread:
        """NRMSE in percent."""
        return self._required(lambda run: run.nrmse_percent)

    @cached_property
    def nmae(self) -> Spread:
        """NMAE in percent."""
        return self._required(lambda run: run.nmae_percent)

    @cached_property
    def energy(self) -> Spread | None:
        """Mean absolute energy error in Ha/atom."""
        return self.spread(lambda run: run.energy_error_ha_per_atom)

    @cached_property
    def corrected_energy(self) -> Spread | None:
        """Mean absolute energy error with the second-order correction in Ha/atom."""
        return self.spread(lambda run: run.corrected_energy_error_ha_per_atom)

    @cached_property
    def total_seconds(self) -> Spread:
        """Wall time of all stages."""
        return self._required(lambda run: run.seconds.total)

    @cached_property
    def points_per_atom(self) -> Spread:
        """Training points for each atom of the training snapshots."""
        return self._required(lambda run: run.points_per_atom)

    def _required(self, quantity: Callable[[Run], float]) -> Spread:
        spread = self.spread(quantity)
        assert spread is not None
        return spread

    @property
    def is_full(self) -> bool:
        """Whether these are the runs on all points."""
        return self.method == methods.ALL

    @property
    def look(self) -> methods.Method:
        """Name, colour and symbol of the method."""
        return methods.method(self.method)

    @property
    def name(self) -> str:
        """Such as ``CCS, 1 %``."""
        return self.look.name if self.is_full else f"{self.look.name}, {fraction(self.kept)}"

    @property
    def points(self) -> str:
        """Such as ``1 % chosen by CCS``, for a sentence."""
        return (
            "all points"
            if self.is_full
            else f"{fraction(self.kept)} {self.look.chosen}".replace(" ", NBSP, 1)
        )


@dataclass(frozen=True)
class Summary:
    """All groups of a study: the full data first, then by method, then from large to small fractions."""

    groups: tuple[Group, ...]

    @classmethod
    def of(cls, study: Study) -> "Summary":
        """Put the runs of a study together."""
        found: dict[tuple[str, float], list[Run]] = {}
        for run in study.runs:
            found.setdefault((run.method, run.kept), []).append(run)
        groups = (
            Group(m, kept, tuple(sorted(runs, key=lambda r: r.seed))) for (m, kept), runs in found.items()
        )
        return cls(tuple(sorted(groups, key=lambda g: (methods.rank(g.method), g.method, -g.kept))))

    @cached_property
    def full(self) -> Group | None:
        """The runs on all points."""
        return next((g for g in self.groups if g.is_full), None)

    @cached_property
    def pruned(self) -> tuple[Group, ...]:
        """The runs on less than all points."""
        return tuple(g for g in self.groups if not g.is_full)

    @cached_property
    def method_keys(self) -> tuple[str, ...]:
        """Methods other than ``all``, in the order of every legend."""
        return tuple(dict.fromkeys(g.method for g in self.pruned))

    @cached_property
    def fractions(self) -> tuple[float, ...]:
        """Fractions kept, from large to small, without the full data."""
        return tuple(sorted({g.kept for g in self.pruned}, reverse=True))

    def at(self, kept: float) -> tuple[Group, ...]:
        """Groups at one fraction."""
        return tuple(g for g in self.pruned if g.kept == kept)

    @cached_property
    def headline_fraction(self) -> float | None:
        """The fraction nearest to 1 % on a logarithmic scale."""
        if not self.fractions:
            return None
        return min(self.fractions, key=lambda kept: abs(math.log(kept / HEADLINE_FRACTION)))

    @cached_property
    def best(self) -> Group | None:
        """The group of lowest mean NRMSE at the headline's fraction."""
        if self.headline_fraction is None:
            return None
        return min(self.at(self.headline_fraction), key=lambda g: g.nrmse.mean)


def held_out_labels(study: Study) -> list[str]:
    """Labels of the test snapshots in the order they first appear."""
    return _labels([run.per_snapshot for run in study.runs])


def generality_labels(study: Study) -> list[str]:
    """Labels of the structures that are unlike the training data."""
    return _labels([run.generality for run in study.runs])


def has_correction(study: Study) -> bool:
    """Whether any energy was also taken with the second-order correction."""
    return any(r.corrected_energy_error_ha_per_atom is not None for r in _all_results(study))


def energy_sizes(study: Study) -> list[float]:
    """Sizes of all energy errors, with and without the second-order correction, Ha/atom."""
    both = ((r.energy_error_ha_per_atom, r.corrected_energy_error_ha_per_atom) for r in _all_results(study))
    return [abs(error) for pair in both for error in pair if error is not None]


def _all_results(study: Study) -> list[SnapshotResult]:
    parts: list[Run | Baseline] = [*study.runs, *([study.baseline] if study.baseline else [])]
    return [r for part in parts for r in (*part.per_snapshot, *part.generality)]


def _labels(results: list[list[SnapshotResult]]) -> list[str]:
    return list(dict.fromkeys(result.label for part in results for result in part))


def fraction(kept: float) -> str:
    """A fraction in percent, such as ``1 %`` or ``0.25 %``."""
    return f"{100 * kept:.4g} %"
