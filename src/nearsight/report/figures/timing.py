"""Where the time of each run went."""

from collections.abc import Sequence

from nearsight.report.figures.layout import LEGEND, Figure, axis, label, layout
from nearsight.report.markup import NBSP, VARIANT
from nearsight.report.markup import seconds as duration
from nearsight.report.methods import INK, STAGES
from nearsight.report.summary import Group, Spread, Summary, fraction

#: seeds are shown where the slowest took longer than the fastest by this factor
_SPREAD = 1.25


#: more bars than this are parted by the fraction kept
_MOST_BARS = 16


def timing_figures(main: Summary) -> dict[str, Figure]:
    """Stacked bars, one a group; by fraction where there are many, and by model. Empty without times."""
    parted = len(main.groups) > _MOST_BARS
    figures = {}
    for summary in main.setups:
        full = [g for g in (summary.full or main.full,) if g]
        parts = {fraction(k): [*full, *summary.at(k)] for k in main.headline_first} if parted else {}
        for kept, groups in (parts or {"": list(summary.groups)}).items():
            figure = _figure(groups, parted) if len(groups) > len(full) or not parts else None
            if figure is not None:
                figures[VARIANT.join(filter(None, (kept, summary.name))) or "time"] = figure
    return figures


def _figure(groups: list[Group], parted: bool) -> Figure | None:
    """Horizontal stacked bars (means over seeds); None where no time was recorded."""
    totals = [g.total_seconds.mean for g in groups]
    if not any(totals):
        return None
    names = [label(g.look.name if parted else g.name) + NBSP * 2 for g in groups]
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
    spreads = [g.total_seconds for g in groups]
    if spread_out(groups):
        data.append(_whiskers(spreads, names))
    ends = [s.high if spread_out(groups) else s.mean for s in spreads]
    notes = [
        {"x": end, "y": n, "text": duration(s.mean), "xanchor": "left", "showarrow": False, "xshift": 6}
        for end, s, n in zip(ends, spreads, names, strict=True)
    ]
    x = axis("wall time (s)", range=[0, 1.14 * max(ends)])
    y = axis("", autorange="reversed", showgrid=False, ticks="")
    return {
        "data": data,
        "layout": layout(
            x, y, barmode="stack", bargap=0.35, annotations=notes, legend=LEGEND | {"traceorder": "normal"}
        ),
    }


def spread_out(groups: Sequence[Group]) -> bool:
    """Whether the seeds of any group differ enough to be worth showing."""
    return any(s.high > _SPREAD * s.low for s in (g.total_seconds for g in groups))


def _whiskers(spreads: list[Spread], names: list[str]) -> Figure:
    """From the fastest to the slowest seed."""
    whiskers = {
        "type": "data",
        "symmetric": False,
        "array": [s.high - s.mean for s in spreads],
        "arrayminus": [s.mean - s.low for s in spreads],
        "color": INK,
        "thickness": 1.2,
        "width": 3,
    }
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [s.mean for s in spreads],
        "y": names,
        "marker": {"size": 1, "color": INK},
        "error_x": whiskers,
        "showlegend": False,
        "text": [f"seeds {duration(s.low)} – {duration(s.high)}" for s in spreads],
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }


def _stage(group: Group, stage: str) -> float:
    values = [float(getattr(run.seconds, stage)) for run in group.runs]
    return sum(values) / len(values)
