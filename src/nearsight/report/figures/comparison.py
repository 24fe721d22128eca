"""Methods against each other, snapshot by snapshot, and errors against a method's parameters."""

import math
from collections.abc import Sequence

from nearsight.report import methods
from nearsight.report.figures.layout import Figure, axis, label, layout, log_axis
from nearsight.report.markup import VARIANT
from nearsight.report.methods import INK, Method
from nearsight.report.reading import Paired, Sensitivity, Study
from nearsight.report.summary import Summary, fraction

#: a parameter whose positive values span more than this factor gets a logarithmic axis
_SPAN = 20.0
#: of the lines of the largest, the second largest … fraction
_DASHES = ("solid", "dash", "dot", "dashdot", *["longdash"] * 20)


def paired_figures(study: Study, main: Summary) -> dict[str, Figure]:
    """Mean paired differences with two standard errors: a figure a reference, a fraction and a model."""
    figures = {}
    for summary in main.setups:
        mine = [p for p in study.paired if summary.is_of(p)]
        for against in references(mine):
            for kept in summary.headline_first:
                rows = [p for p in mine if p.against == against and p.kept == kept]
                if rows:
                    reference = _look(main, against).name
                    against_what = f"against {reference.replace(VARIANT, ', ')}"
                    key = VARIANT.join(filter(None, (against_what, fraction(kept), summary.name)))
                    figures[key] = _differences(rows, main, reference)
    return figures


def references(pairs: Sequence[Paired]) -> list[str]:
    """What others are compared with, random points first."""
    return sorted(dict.fromkeys(p.against for p in pairs), key=lambda name: name != "random")


def _look(main: Summary, key: str) -> Method:
    for summary in main.setups:
        if key in summary.looks:
            return summary.looks[key]
    return methods.method(key)


def _differences(rows: Sequence[Paired], main: Summary, reference: str) -> Figure:
    rows = sorted(rows, key=lambda p: p.mean_difference_percent)
    data = [_difference(p, _look(main, p.label)) for p in rows]
    errors = [2 * (p.standard_error_percent or 0.0) for p in rows]
    low, high, out = _view(rows, errors)
    title = f"above {label(reference)} (% of f)"
    zero = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": 0, "x1": 0, "layer": "below"}
    notes = [
        {
            "x": high,
            "y": label(_look(main, p.label).name),
            "text": f"{p.mean_difference_percent:+.3g} →",
            "xanchor": "right",
            "showarrow": False,
        }
        for p in rows
        if out and p.mean_difference_percent > high
    ]
    names = [label(_look(main, p.label).name) for p in rows]
    x = axis(title, range=[low, high])
    y = axis("", type="category", categoryorder="array", categoryarray=names[::-1], showgrid=True, ticks="")
    y["range"] = [-0.7, len(names) - 0.3]
    style = {"line": {"color": INK, "width": 1.5, "dash": "dash"}}
    return {
        "data": data,
        "layout": layout(x, y, shapes=[zero | style], annotations=notes, showlegend=False),
    }


def _view(rows: Sequence[Paired], errors: Sequence[float]) -> tuple[float, float, bool]:
    """Limits of the axis; a method that fails by far is cut off rather than squeezing all others."""
    means = [p.mean_difference_percent for p in rows]
    low = min(0.0, *(m - e for m, e in zip(means, errors, strict=True)))
    reach = 6 * max(abs(sorted(means)[(len(means) - 1) // 2]), abs(low), 1.0)
    near = [m + e for m, e in zip(means, errors, strict=True) if m <= reach or len(means) < 4]
    high = max(0.0, *near)
    room = 0.06 * (high - low) or 1.0
    out = max(means) > high + room
    return low - room, high + (3 * room if out else room), out


def _difference(p: Paired, look: Method) -> Figure:
    error = p.standard_error_percent
    spread = "" if error is None else f" ± {error:.2g} (standard error)"
    words = f"{p.mean_difference_percent:+.3g} %{spread}<br>lower on {p.wins} of {p.n_pairs} snapshots"
    bars: Figure = {"type": "data", "array": [2 * (error or 0.0)], "visible": error is not None}
    bars |= {"color": look.colour, "thickness": 2, "width": 5}
    return {
        "x": [p.mean_difference_percent],
        "y": [label(look.name)],
        "mode": "markers",
        "name": label(look.name),
        "marker": {"symbol": look.symbol, "size": 11, "color": look.colour},
        "error_x": bars,
        "text": [f"<b>{label(look.name)}</b><br>{words}"],
        "hovertemplate": "%{text}<extra></extra>",
    }


def sensitivity_figures(study: Study, main: Summary) -> dict[str, Figure]:
    """Validation error against each parameter: one figure a parameter, one line a method and fraction."""
    parameters = dict.fromkeys(s.parameter for s in study.sensitivity)
    return {
        name: _sensitivity([s for s in study.sensitivity if s.parameter == name], main) for name in parameters
    }


def _sensitivity(curves: list[Sensitivity], main: Summary) -> Figure:
    numeric = all(_is_number(v) for s in curves for v in s.values)
    fractions = sorted({s.kept for s in curves}, reverse=True)
    data = [_curve(s, _look(main, s.label), fractions.index(s.kept), numeric) for s in curves]
    data = [trace for trace in data if trace["y"]]
    errors = [v for s in curves for v in s.nrmse_percent if v is not None] or [1.0]
    room = 0.12 * (max(errors) - min(errors)) or 0.05 * max(errors)
    y = axis("validation NRMSE (%)", range=[max(0.0, min(errors) - room), max(errors) + room])
    title = label(curves[0].parameter)
    values = [float(v) for s in curves for v in s.values if isinstance(v, int | float)]
    if not numeric:
        x = axis(title, type="category")
    elif min(values) > 0 and max(values) > _SPAN * min(values):
        x = log_axis(f"{title} (logarithmic)", values, pad=1.2)
    else:
        x = axis(title)
    return {"data": data, "layout": layout(x, y, hovermode="closest")}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _curve(s: Sensitivity, look: Method, number: int, numeric: bool) -> Figure:
    """A line; the largest fraction's is drawn in full, each smaller one's broken and with hollow marks."""
    hollow = number > 0 and "-open" not in look.symbol
    known = [(v, e) for v, e in zip(s.values, s.nrmse_percent, strict=True) if e is not None]
    name = f"{look.name}, {fraction(s.kept)}"
    words = f"<b>{label(name)}</b><br>{label(s.parameter)} = %{{x}}: %{{y:.4g}} %"
    return {
        "x": [v if numeric else _word(v) for v, _ in known],
        "y": [e for _, e in known],
        "mode": "lines+markers",
        "name": label(name),
        "line": {"color": look.colour, "width": 2.5, "dash": _DASHES[number] if number else look.dash},
        "marker": {"symbol": look.symbol + "-open" * hollow, "size": 10, "line": {"width": 2 * hollow}},
        "hovertemplate": f"{words}<extra></extra>",
    }


def _word(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if _is_number(value) else str(value)
