"""Tables that compare methods: paired differences, excess over the full data, coverage."""

from collections.abc import Callable, Iterable, Sequence

from nearsight.report import methods
from nearsight.report.figures.comparison import references
from nearsight.report.markup import NBSP, number, plus_minus, table, text
from nearsight.report.methods import Method
from nearsight.report.reading import Coverage, Paired, Study
from nearsight.report.summary import Group, Summary, fraction
from nearsight.report.tables import look_chip


def paired_table(study: Study, summary: Summary) -> str:
    """Mean difference to each reference, its standard error and wins, by fraction and label."""
    mine = [p for p in study.paired if summary.is_of(p)]
    against = references(mine)
    head = ["Kept", "Method"]
    for reference in against:
        name = text(_look(summary, reference).name)
        head += [f"above {name} (% of f)", f"lower than {name}"]
    rows = []
    for kept in summary.headline_first:
        for label, look in summary.looks.items():
            found = {p.against: p for p in mine if p.kept == kept and p.label == label}
            if found:
                cells = [cell for reference in against for cell in _pair(found.get(reference))]
                rows.append([fraction(kept), look_chip(look), *cells])
    return table(head, rows, n_text=2, dense=True) if rows else ""


def _pair(p: Paired | None) -> list[str]:
    if p is None:
        return ["–", "–"]
    sign = "+" if p.mean_difference_percent > 0 else ""
    return [
        sign + plus_minus(p.mean_difference_percent, p.standard_error_percent),
        f"{p.wins} of {p.n_pairs}",
    ]


def excess_table(study: Study, summary: Summary) -> str:
    """x/f in per cent by label and fraction, with e/f behind it."""
    found = {(e.label, e.kept): e for e in study.excess if summary.is_of(e)}
    fractions = [k for k in summary.fractions if any(kept == k for _, kept in found)]

    def cell(label: str, kept: float) -> str:
        e = found.get((label, kept))
        return "–" if e is None else f"{100 * e.x_over_f:.0f}{NBSP}% <small>({number(e.e_over_f)})</small>"

    return _by_fraction(summary, fractions, {label for label, _ in found}, cell, "x/f (e/f)")


def distance_table(summary: Summary) -> str:
    """AUC_pr by label and fraction: mean over the seeds ± the error of sampling held-out points."""
    found = {(g.label, g.kept): c for g in summary.pruned if (c := _coverage(g))}
    fractions = [k for k in summary.fractions if any(kept == k for _, kept in found)]
    lowest = {k: min(c.mean for (_, kept), c in found.items() if kept == k) for k in fractions}

    def cell(label: str, kept: float) -> str:
        c = found.get((label, kept))
        if c is None:
            return "–"
        words = plus_minus(c.mean, c.standard_error)
        return f"<b>{words}</b>" if c.mean == lowest[kept] else words

    return _by_fraction(summary, fractions, {label for label, _ in found}, cell, "")


def _coverage(group: Group) -> Coverage | None:
    """Mean over seeds. They share the held-out points, so that their errors do not average out."""
    known = [run.coverage for run in group.runs if run.coverage]
    if not known:
        return None
    errors = [c.standard_error for c in known if c.standard_error is not None]
    error = sum(errors) / len(errors) if errors else None
    mean = sum(c.mean for c in known) / len(known)
    return Coverage(mean=mean, standard_error=error, n_held_out=known[0].n_held_out)


def _by_fraction(
    summary: Summary,
    fractions: Sequence[float],
    labels: Iterable[str],
    cell: Callable[[str, float], str],
    unit: str,
) -> str:
    known = set(labels)
    rows = [
        [look_chip(look), *(cell(label, kept) for kept in fractions)]
        for label, look in summary.looks.items()
        if label in known
    ]
    head = [
        "Method",
        *(" ".join(filter(None, (f"{fraction(k)} kept", f"<br>{unit}" if unit else ""))) for k in fractions),
    ]
    return table(head, rows) if rows and fractions else ""


def _look(summary: Summary, label: str) -> Method:
    return summary.looks.get(label) or methods.method(label)
