"""Validation error against optimiser steps."""

from nearsight.report.figures.layout import Figure, axis, label, layout, log_axis
from nearsight.report.summary import Group, Summary, fraction

#: curves of more points are drawn without marks, which would hide each other
_MOST_MARKS = 30


def learning_figures(summary: Summary) -> dict[str, Figure]:
    """One figure a fraction kept, with the full data in each; only runs that kept a history."""
    full = _traces(summary.full) if summary.full else []
    fractions = sorted(summary.fractions, key=lambda kept: kept != summary.headline_fraction)
    figures = {}
    for kept in fractions:
        traces = [*full, *(t for group in summary.at(kept) for t in _traces(group))]
        if traces:
            figures[fraction(kept)] = _figure(traces)
    if not figures and full:
        figures["all points"] = _figure(full)
    return figures


def _traces(group: Group) -> list[Figure]:
    runs = [run for run in group.runs if run.history.step]
    return [
        {
            "x": run.history.step,
            "y": run.history.validation_nrmse_percent,
            "mode": "lines+markers",
            "name": label(group.name),
            "legendgroup": label(group.name),
            "showlegend": i == 0,
            "line": {"color": group.look.colour, "width": 2 if i == 0 else 1.2},
            "marker": {"symbol": group.look.symbol, "size": 5},
            "opacity": 1 if i == 0 else 0.65,
            "text": [f"{label(group.name)}, seed {run.seed}"] * len(run.history.step),
            "hovertemplate": "%{text}<br>step %{x}: %{y:.4g} %<extra></extra>",
        }
        for i, run in enumerate(runs)
    ]


def _figure(traces: list[Figure]) -> Figure:
    if any(len(trace["x"]) > _MOST_MARKS for trace in traces):
        traces = [trace | {"mode": "lines"} for trace in traces]
    values = [v for trace in traces for v in trace["y"]]
    y = log_axis("validation NRMSE (%, logarithmic)", values, pad=1.1)
    x = axis("optimiser steps", range=[0, 1.03 * max(max(trace["x"]) for trace in traces)])
    return {"data": traces, "layout": layout(x, y, hovermode="closest")}
