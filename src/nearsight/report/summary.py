"""Runs that differ only by their seed, put together; which of them the headline compares."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from nearsight.report import methods
from nearsight.report.markup import NBSP, VARIANT
from nearsight.report.methods import Method
from nearsight.report.reading import Baseline, Excess, Paired, Run, SnapshotResult, Study

#: the fraction that the headline speaks of, or the nearest that was tried
HEADLINE_FRACTION = 0.01
#: errors and times closer than this ratio are called nearly equal
SAME = 1.05
#: more lines than this are not drawn before a reader asks for them
MOST_LINES = 8
#: the model of runs that do not say which, beside runs that do
_UNNAMED = "unnamed model"
#: labels that are drawn whatever their error: what others are measured against, and the paper's warning
_ALWAYS = ("random", "ccs", "grand")


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
    """The runs of one variant of a method at one fraction with one model, one a seed."""

    method: str
    kept: float
    runs: tuple[Run, ...]
    label: str
    #: name, colour and symbol of the variant
    look: Method

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
    def validation(self) -> Spread | None:
        """NRMSE on validation data in percent, None unless every run knows it."""
        spread = self.spread(lambda run: run.validation_nrmse_percent)
        return spread if spread and spread.n == len(self.runs) else None

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
    """The groups of one model and schedule: full data first, then by method, from large to small fractions.

    Attributes
    ----------
    groups : tuple of Group
    model, schedule : str
        As in the study; empty in one of version 1.
    others : tuple of Summary
        The study's other models and schedules; only the main one of a study has any.
    """

    groups: tuple[Group, ...]
    model: str = ""
    schedule: str = ""
    others: tuple["Summary", ...] = ()

    @classmethod
    def of(cls, study: Study) -> "Summary":
        """Put the runs of a study together; of its models and schedules, the one most was tried with."""
        looks = methods.looks((run.method, run.label) for run in study.runs)
        found: dict[tuple[str, str], list[Run]] = {}
        for run in study.runs:
            found.setdefault((run.model, run.schedule), []).append(run)
        if len(found) > 1 and ("", "") in found:  # each needs a name
            found[_UNNAMED, ""] = found.pop(("", ""))
        every = [cls(_groups(runs, looks), *setup) for setup, runs in found.items()]
        main = max(every, key=lambda s: (len(s.pruned), s is every[0]))
        return cls(main.groups, main.model, main.schedule, tuple(s for s in every if s is not main))

    @property
    def setups(self) -> tuple["Summary", ...]:
        """The main one and the others."""
        return (self, *self.others)

    @property
    def name(self) -> str:
        """Model and schedule in words; empty where they have no names."""
        return methods.setup_name(self.model, self.schedule).replace(VARIANT, ", ")

    def is_of(self, part: Run | Paired | Excess) -> bool:
        """Whether something was found with this model and schedule."""
        return (part.model, part.schedule) == (self.model.removeprefix(_UNNAMED), self.schedule)

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
    def looks(self) -> dict[str, Method]:
        """Looks of the variants other than ``all`` by label, in the order of every legend."""
        return {g.label: g.look for g in self.pruned}

    @cached_property
    def first_labels(self) -> tuple[str, ...]:
        """The variants that figures draw before a reader asks for more.

        All where they are few; else random, CCS and GraNd, then those of lowest validation error at the
        headline's fraction (the order of the legend where that is not known), in the order of the legend.
        """
        labels = list(self.looks)
        if len(labels) <= MOST_LINES:
            return tuple(labels)
        chosen = [label for label in _ALWAYS if label in labels]
        at = {g.label: g.validation for g in self.at(self.headline_fraction or 0.0)}
        known = {label: spread.mean for label, spread in at.items() if spread}
        chosen += sorted((la for la in labels if la not in chosen), key=lambda la: known.get(la, math.inf))
        first = set(chosen[:MOST_LINES])
        return tuple(label for label in labels if label in first)

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
    def headline_first(self) -> tuple[float, ...]:
        """Fractions, the headline's before the others."""
        return tuple(sorted(self.fractions, key=lambda kept: kept != self.headline_fraction))

    @cached_property
    def judged_by_validation(self) -> bool:
        """Whether `best` could be chosen without a look at the test snapshots."""
        return all(g.validation for g in self.at(self.headline_fraction or 0.0))

    @cached_property
    def best(self) -> Group | None:
        """The group of lowest validation error at the headline's fraction, or else of lowest test error."""
        if self.headline_fraction is None:
            return None
        if not self.judged_by_validation:
            return self.best_on_test
        known = [(g.validation.mean, g) for g in self.at(self.headline_fraction) if g.validation]
        return min(known, key=lambda pair: pair[0])[1]

    @cached_property
    def best_on_test(self) -> Group | None:
        """The group of lowest mean test NRMSE at the headline's fraction."""
        if self.headline_fraction is None:
            return None
        return min(self.at(self.headline_fraction), key=lambda g: g.nrmse.mean)


def _groups(runs: list[Run], looks: dict[str, Method]) -> tuple[Group, ...]:
    found: dict[tuple[str, str, float], list[Run]] = {}
    for run in runs:
        found.setdefault((run.method, run.label, run.kept), []).append(run)
    groups = [
        Group(method, kept, tuple(sorted(members, key=lambda r: r.seed)), label, looks[label])
        for (method, label, kept), members in found.items()
    ]
    order = {label: number for number, label in enumerate(looks)}
    groups.sort(key=lambda g: (methods.rank(g.method), g.method, order[g.label], -g.kept))
    return tuple(groups)


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
