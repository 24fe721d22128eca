"""Validation error against optimiser steps."""

from nearsight.report.figures.layout import EXTRA, Figure, axis, label, layout, log_axis
from nearsight.report.markup import VARIANT
from nearsight.report.summary import Group, Summary, fraction

#: curves of more points are drawn without marks, which would hide each other
_MOST_MARKS = 30


def learning_figures(summary: Summary) -> dict[str, Figure]:
    """One figure a fraction kept and a model, with the full data in each; only runs that kept a history."""
    figures = {}
    for setup in summary.setups:
        full = _traces(setup.full) if setup.full else []
        for kept in setup.headline_first:
            traces = [t | _extra(g, setup) for g in setup.at(kept) for t in _traces(g)]
            if full or traces:
                figures[VARIANT.join(filter(None, (fraction(kept), setup.name)))] = _figure([*full, *traces])
        if full and not setup.fractions:
            figures[VARIANT.join(filter(None, ("all points", setup.name)))] = _figure(full)
    return figures


def _extra(group: Group, summary: Summary) -> Figure:
    return {} if group.label in summary.first_labels else EXTRA


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
            "line": {
                "color": group.look.colour,
                "width": 2 if i == 0 else 1.2,
                "dash": group.look.dash,
            },
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
