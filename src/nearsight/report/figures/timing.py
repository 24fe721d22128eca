"""Where the time of each run went."""

from nearsight.report.figures.layout import LEGEND, Figure, axis, label, layout
from nearsight.report.markup import NBSP
from nearsight.report.markup import seconds as duration
from nearsight.report.methods import STAGES
from nearsight.report.summary import Group, Summary


def timing_figure(summary: Summary) -> Figure | None:
    """Horizontal stacked bars, one a group (mean over seeds); None where no time was recorded."""
    groups = summary.groups
    totals = [g.total_seconds.mean for g in groups]
    if not any(totals):
        return None
    names = [label(g.name) + NBSP * 2 for g in groups]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": names,
            "x": [_stage(g, stage) for g in groups],
            "name": words,
            "marker": {"color": colour, "line": {"color": "#ffffff", "width": 0.5}},
            "hovertemplate": f"%{{y}}: {words.lower()} %{{x:.3g}} s<extra></extra>",
        }
        for stage, words, colour in STAGES
        if any(_stage(g, stage) for g in groups)
    ]
    notes = [
        {"x": t, "y": n, "text": duration(t), "xanchor": "left", "showarrow": False, "xshift": 6}
        for t, n in zip(totals, names, strict=True)
    ]
    x = axis("wall time (s)", range=[0, 1.14 * max(totals)])
    y = axis("", autorange="reversed", showgrid=False, ticks="")
    return {
        "data": data,
        "layout": layout(
            x, y, barmode="stack", bargap=0.35, annotations=notes, legend=LEGEND | {"traceorder": "normal"}
        ),
    }


def _stage(group: Group, stage: str) -> float:
    values = [float(getattr(run.seconds, stage)) for run in group.runs]
    return sum(values) / len(values)
