"""Sections that a benchmark of methods has and a plain study has not; each is empty without its data."""

from collections.abc import Callable

from nearsight.report.comparisons import distance_table, excess_table, paired_table
from nearsight.report.figures.comparison import paired_figures, sensitivity_figures
from nearsight.report.figures.layout import Figure
from nearsight.report.markup import NBSP, VARIANT, count, details, figure, number, plus_minus, section, text
from nearsight.report.reading import Study
from nearsight.report.summary import Summary, fraction

#: figures by name, then by the variant that a button shows
Figures = dict[str, dict[str, Figure]]


def comparison_section(study: Study, summary: Summary, figures: Figures) -> str:
    """Paired differences between methods, and what pruning adds to the full data's error."""
    variants = paired_figures(study, summary)
    excess = _for_each_setup(summary, lambda s: excess_table(study, s))
    if not variants and not excess:
        return ""
    lede = (
        "Snapshots differ far more from each other than methods do, so methods are compared snapshot by "
        "snapshot, at equal counts of points and under one model."
    )
    body = ""
    if variants:
        figures["paired"] = variants
        labels = ["Difference", "Points kept", "Model"]
        rows = max(len(f["data"]) for f in variants.values())
        body = figure("paired", choices(labels, variants), _paired_caption(), 110 + 30 * rows)
        tables = _for_each_setup(summary, lambda s: paired_table(study, s))
        body += details("All paired differences", tables) if tables else ""
    if excess:
        body += f"<h3>What pruning adds</h3>{_excess_words(study, summary)}{excess}"
    return section("methods", "Method against method", lede, body)


def choices(labels: list[str], variants: dict[str, Figure]) -> dict[str, list[str]]:
    """Rows of buttons for variants whose names have one part for each of `labels`."""
    parts = [name.split(VARIANT) for name in variants]
    columns = zip(*parts, strict=True)
    return {name: list(dict.fromkeys(values)) for name, values in zip(labels, columns, strict=False)}


def _paired_caption() -> str:
    return (
        "Differences of NRMSE on the same test snapshot, averaged over seeds and then over snapshots, in "
        "per cent of the full-data NRMSE f. Left of the dashed line a method beats the one it is compared "
        "with; bars span two standard errors (over snapshots) to either side."
    )


def _excess_words(study: Study, summary: Summary) -> str:
    """The definition, and what the headline's method comes to."""
    words = (
        "With e the error of a small set and f that of the full data, e² = f² + x²: x is the part that "
        "pruning adds. Listed is x/f, with e/f in brackets, from root mean squares over test snapshots and "
        "seeds."
    )
    best = summary.best
    if best is not None:
        found = sorted(
            (e for e in study.excess if summary.is_of(e) and e.label == best.label), key=lambda e: -e.kept
        )
        parts = [f"{100 * e.x_over_f:.0f}{NBSP}% of f at {fraction(e.kept)} kept" for e in found]
        if parts:
            words += f" {text(best.look.name)}, the headline’s method: x is {', '.join(parts)}."
    return f'<p class="note">{words}</p>'


def coverage_section(study: Study, summary: Summary) -> str:
    """How well the small sets cover the data, and what the data hold."""
    tables = distance_table(summary)
    facts = data_facts(study)
    if not tables and not facts:
        return ""
    lede = (
        "What there is to choose from, and how near the chosen points come to all others."
        if tables and facts
        else "How near the chosen points come to all others."
        if tables
        else "What there is to choose from."
    )
    note = f'<p class="note">{_distance_note(summary)}</p>' if tables else ""
    return section("coverage", "What the data hold", lede, facts, tables, note)


def _distance_note(summary: Summary) -> str:
    held = {run.coverage.n_held_out for g in summary.pruned for run in g.runs if run.coverage}
    counted = ", ".join(count(n) for n in sorted(n for n in held if n is not None))
    points = f"{counted} held-out points" if counted else "held-out points"
    return (
        f"AUC<sub>pr</sub>: mean distance from {points} to the nearest chosen point, in standardised "
        "features (no unit), ± the standard error of drawing held-out points; lowest of a column in bold. "
        "Methods share the held-out points, so that differences between them are surer than the errors "
        "suggest. Low coverage distance is not low error: read it beside the errors above."
    )


def data_facts(study: Study) -> str:
    """Intrinsic dimension, correlation length and independent values in words."""
    facts = study.data_facts
    if facts is None:
        return ""
    items = []
    if (d := facts.intrinsic_dimension) is not None:
        among = f" among {count(d.n)} points" if d.n else ""
        items.append(
            f"<b>Dimension.</b> The features vary along about {plus_minus(d.value, d.standard_error, 1)} "
            f"directions, however many numbers a feature has (TwoNN, distances{among})."
        )
    if (c := facts.error_correlation) is not None:
        items.append(_correlation_words(c.length_bohr, c.n_effective, c.n_points))
    return f'<ul class="findings">{"".join(f"<li>{item}</li>" for item in items)}</ul>' if items else ""


def _correlation_words(length: float, n_effective: float, n_points: float | None) -> str:
    words = (
        f"<b>Repetition.</b> The error of the full-data model is alike over {number(length)}{NBSP}bohr "
        f"(where its autocorrelation falls to 1/e). Its square then holds about {count(round(n_effective))} "
        "independent values in a snapshot"
    )
    if not n_points:
        return f"{words}."
    share = 100 * n_effective / n_points
    return (
        f"{words}, of {count(round(n_points))} grid points: on average "
        f"{number(n_points / n_effective, 2)} points tell one thing, and {number(share, 2)}{NBSP}% of them "
        "could say it all."
    )


def sensitivity_section(study: Study, summary: Summary, figures: Figures) -> str:
    """Validation error against the parameters of methods and of scoring."""
    variants = sensitivity_figures(study, summary)
    if not variants:
        return ""
    figures["sensitivity"] = variants
    judged = all(s.validation for s in study.sensitivity)
    lede = "How much the choice of a parameter matters" + (", judged on validation data." if judged else ".")
    caption = "Mean over seeds; one line a method and fraction."
    body = figure("sensitivity", {"Parameter": list(variants)}, caption, 400)
    return section("sensitivity", "Sensitivity to parameters", lede, body)


def _for_each_setup(main: Summary, make: Callable[[Summary], str]) -> str:
    """A table for the main model, and the others' folded behind it."""
    found = [(s, made) for s in main.setups if (made := make(s))]
    shown = [made for s, made in found if s is main]
    folded = [details(s.name or "other runs", made) for s, made in found if s is not main]
    return "".join([*shown, *folded])
