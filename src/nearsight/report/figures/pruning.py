"""Error against the fraction of the points kept."""

from collections.abc import Callable

from nearsight.report import methods
from nearsight.report.figures.layout import Figure, axis, label, layout, log_axis
from nearsight.report.markup import number
from nearsight.report.reading import Means, Study
from nearsight.report.summary import Group, Spread, Summary, fraction

#: a close-up ends at this multiple of the error with all points
CLOSE = 1.5

#: what the buttons above the figure show
QUANTITIES: dict[str, Callable[[Means], float]] = {
    "NRMSE": lambda errors: errors.nrmse_percent,
    "NMAE": lambda errors: errors.nmae_percent,
}


def pruning_figures(study: Study, summary: Summary) -> dict[str, Figure]:
    """One figure a quantity: lines over the fractions, or one column a method where one was tried."""
    if not summary.pruned:
        return {}
    draw = _over_fractions if len(summary.fractions) > 1 else _over_methods
    figures = {name: draw(summary, name, quantity) for name, quantity in QUANTITIES.items()}
    for name, quantity in QUANTITIES.items():
        if (closer := _close_up(figures[name], summary, name, quantity)) is not None:
            figures[f"{name}, close-up"] = closer
    return figures


def _close_up(
    drawn: Figure, summary: Summary, name: str, quantity: Callable[[Means], float]
) -> Figure | None:
    """The same figure near the full data, where bad methods have squeezed the good ones together."""
    if summary.full is None:
        return None
    limit = CLOSE * _spread(summary.full, quantity).mean
    values = [quantity(run) for group in summary.groups for run in group.runs]
    near = [v for v in values if v <= limit]
    if max(values) < 2 * limit / CLOSE or min(near) >= limit:
        return None
    room = 0.08 * (max(near) - min(near)) or 0.05 * limit
    y = axis(f"test {name} (%)", range=[max(0.0, min(near) - room), max(near) + room])
    return drawn | {"layout": drawn["layout"] | {"yaxis": y}}


def _over_fractions(summary: Summary, name: str, quantity: Callable[[Means], float]) -> Figure:
    data: list[Figure] = []
    for key in summary.method_keys:
        groups = sorted((g for g in summary.pruned if g.method == key), key=lambda g: g.kept)
        data += _method_traces(groups, quantity, summary.full)
    kept = [100 * k for k in summary.fractions]
    x = log_axis("points kept (% of all training points, logarithmic)", kept, pad=1.4)
    x |= {"tickvals": kept, "ticktext": [f"{k:.4g} %" for k in kept]}
    return _finish(data, x, summary, name, quantity)


def _method_traces(
    groups: list[Group], quantity: Callable[[Means], float], full: Group | None
) -> list[Figure]:
    look, spreads = groups[0].look, [_spread(g, quantity) for g in groups]
    x = [100 * g.kept for g in groups]
    traces: list[Figure] = []
    if any(s.n > 1 for s in spreads):
        traces.append(
            {
                "x": x + x[::-1],
                "y": [s.high for s in spreads] + [s.low for s in reversed(spreads)],
                "fill": "toself",
                "fillcolor": look.colour,
                "opacity": 0.16,
                "line": {"width": 0},
                "mode": "lines",
                "hoverinfo": "skip",
                "showlegend": False,
                "legendgroup": look.name,
            }
        )
    traces.append(
        {
            "x": x,
            "y": [s.mean for s in spreads],
            "mode": "lines+markers",
            "name": label(look.name),
            "legendgroup": look.name,
            "line": {"color": look.colour, "width": 2.5},
            "marker": {"symbol": look.symbol, "size": 10, "line": {"color": "#fff", "width": 1}},
            "text": [_hover(g, s, full, quantity) for g, s in zip(groups, spreads, strict=True)],
            "hovertemplate": "%{text}<extra></extra>",
        }
    )
    return traces


def _over_methods(summary: Summary, name: str, quantity: Callable[[Means], float]) -> Figure:
    data: list[Figure] = []
    for group in summary.pruned:
        spread, look = _spread(group, quantity), group.look
        column = label(look.name)
        data.append(
            {
                "x": [column] * len(group.runs),
                "y": [quantity(run) for run in group.runs],
                "mode": "markers",
                "name": column,
                "marker": {"symbol": look.symbol, "size": 11, "color": look.colour, "opacity": 0.75},
                "text": [f"{column}, seed {run.seed}" for run in group.runs],
                "hovertemplate": "%{text}: %{y:.4g} %<extra></extra>",
            }
        )
        if spread.n == 1:
            continue
        data.append(
            {
                "x": [column],
                "y": [spread.mean],
                "mode": "markers",
                "showlegend": False,
                "marker": {"symbol": "line-ew", "size": 44, "line": {"color": look.colour, "width": 3}},
                "text": [_hover(group, spread, summary.full, quantity)],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    kept = fraction(summary.fractions[0])
    x = axis(f"how the {kept} of points was chosen", type="category")
    return _finish(data, x, summary, name, quantity)


def _finish(
    data: list[Figure], x: Figure, summary: Summary, name: str, quantity: Callable[[Means], float]
) -> Figure:
    values = [quantity(run) for group in summary.groups for run in group.runs]
    shapes: list[Figure] = []
    if summary.full:
        full = _spread(summary.full, quantity)
        shapes = _full_lines(full)
        data = [_full_legend(full), *data]
    title = f"test {name} (%)"
    if max(values) > 3 * min(values) > 0:
        y = log_axis(f"{title[:-1]}, logarithmic)", values, pad=1.12)
    else:
        room = 0.08 * (max(values) - min(values)) or 0.05 * max(values) or 1.0
        y = axis(title, range=[max(0.0, min(values) - room), max(values) + room])
    return {"data": data, "layout": layout(x, y, shapes=shapes, hovermode="closest")}


def _full_lines(full: Spread) -> list[Figure]:
    across = {"xref": "paper", "x0": 0, "x1": 1, "layer": "below"}
    band = {"type": "rect", "y0": full.low, "y1": full.high, "fillcolor": methods.INK, "opacity": 0.1}
    line = {"type": "line", "y0": full.mean, "y1": full.mean, "line": {"color": methods.INK, "dash": "dash"}}
    return [across | band | {"line": {"width": 0}}, across | line]


def _full_legend(full: Spread) -> Figure:
    return {
        "x": [None],
        "y": [None],
        "mode": "lines",
        "name": f"All points ({number(full.mean)} %)",
        "line": {"color": methods.INK, "dash": "dash", "width": 2},
    }


def _spread(group: Group, quantity: Callable[[Means], float]) -> Spread:
    spread = group.spread(quantity)
    assert spread is not None
    return spread


def _hover(group: Group, spread: Spread, full: Group | None, quantity: Callable[[Means], float]) -> str:
    lines = [f"<b>{label(group.name)}</b>", f"mean {spread.mean:.4g} %"]
    if spread.n > 1:
        lines.append(f"{spread.n} seeds: {spread.low:.4g} – {spread.high:.4g} %")
    if full and (reference := _spread(full, quantity).mean):
        lines.append(f"{spread.mean / reference:.3f} × all points")
    return "<br>".join(lines)
