"""What all figures share: type, grid lines, legend above, logarithmic ticks."""

import math
from collections.abc import Iterable
from html import escape
from typing import Any

from nearsight.report.methods import INK, MUTED

#: a Plotly figure or part of one
Figure = dict[str, Any]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
#: above the plot, so that it never meets an axis title
LEGEND: Figure = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
#: in a trace that is drawn once the reader asks for all methods (see plots.js)
EXTRA: Figure = {"meta": {"extra": True}}
_LINE = "#dfe4ea"
_STEPS = (1, 1.5, 2, 3, 5, 7)


def label(value: object) -> str:
    """Text for Plotly, which reads a little HTML: escaped."""
    return escape(str(value), quote=False)


def axis(title: str, **settings: Any) -> Figure:
    """An axis with its name and unit."""
    return {
        "title": {"text": title, "standoff": 12, "font": {"size": 13, "color": MUTED}},
        "automargin": True,
        "gridcolor": _LINE,
        "linecolor": "#9aa5b1",
        "zeroline": False,
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": "#9aa5b1",
        **settings,
    }


def layout(x: Figure, y: Figure, **settings: Any) -> Figure:
    """A layout without a title: captions are HTML."""
    return {
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "#ffffff",
        "margin": {"l": 60, "r": 44, "t": 16, "b": 52},
        "hoverlabel": {"bgcolor": "#ffffff", "bordercolor": "#c6ced8", "font": {"color": INK, "size": 13}},
        "legend": LEGEND,
        # upright in the right margin, where it meets no legend
        "modebar": {
            "orientation": "v",
            "bgcolor": "rgba(255,255,255,0.8)",
            "color": "#9aa5b1",
            "activecolor": MUTED,
        },
        "xaxis": x,
        "yaxis": y,
        **settings,
    }


def log_axis(title: str, values: Iterable[float], pad: float = 1.15, **settings: Any) -> Figure:
    """A logarithmic axis over positive values with plain numbers for ticks."""
    positive = [v for v in values if v > 0] or [1.0]
    low, high = min(positive) / pad, max(positive) * pad
    return axis(
        title,
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickvals=(ticks := log_ticks(low, high)),
        ticktext=[f"{t:.6g}" for t in ticks],
        **settings,
    )


def log_range(values: Iterable[float], decades: float = 3.0) -> list[float]:
    """The positive values, none lower than some decades below the largest: a lucky zero spoils no axis."""
    values = list(values)
    floor = max(values) / 10.0**decades
    return [max(v, floor) for v in values]


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between `low` and `high`: decades where there are many, else finer steps."""
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    span = math.log10(high / low)
    steps = (1,) if span > 5 else (1, 3) if span > 3 else (1, 2, 5) if span > 1.2 else _STEPS
    ticks = [float(f"{step}e{d}") if step != 1.5 else 1.5 * 10.0**d for d in decades for step in steps]
    inside = [t for t in ticks if low <= t <= high]
    if len(inside) >= 2:
        return inside
    power = 10.0 ** math.floor(math.log10(high - low))
    width = next(w for w in (power, power / 2, power / 5, power / 10) if (high - low) >= 3 * w)
    multiples = range(math.ceil(low / width), math.floor(high / width) + 1)
    return [float(f"{k * width:.12g}") for k in multiples]
