"""The figure of `compare_cells`: histograms of a few features, small against large, as one plain SVG file."""

from collections.abc import Iterable
from html import escape
from itertools import pairwise

import numpy as np

from nearsight.report.figures.layout import FONT
from nearsight.report.methods import INK, MUTED
from nearsight.workflows.compare_cells import CellComparison

#: colours of small and large cells
_SMALL, _LARGE = "#0072b2", "#d55e00"
#: pixels: a panel's plot, what its axes take on each side, the head of the page
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM, _HEAD = 270, 150, 58, 14, 30, 50, 62
_COLUMNS, _MOST, _BINS = 3, 6, 48


def cell_figure(found: CellComparison) -> str:
    """SVG text: the features in which small and large differ most, as many of each group."""
    chosen = _chosen(found)
    across, down = _LEFT + _WIDTH + _RIGHT, _TOP + _HEIGHT + _BOTTOM
    columns = min(_COLUMNS, len(chosen))
    width, height = columns * across + 10, _HEAD + -(-len(chosen) // columns) * down
    panels = "".join(
        f'<g transform="translate({_LEFT + (i % columns) * across},{_HEAD + _TOP + i // columns * down})">'
        f"{_panel(found, feature)}</g>"
        for i, feature in enumerate(chosen)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="{escape(FONT)}" font-size="12" fill="{INK}" role="img">'
        f"<title>Features of small and large cells</title>"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>{_head(found)}{panels}</svg>\n'
    )


def _chosen(found: CellComparison) -> list[int]:
    """Features of largest distance, as many of each group, in their own order."""
    starts = np.cumsum([0] + [group.n_features for group in found.groups])
    each = _MOST // len(found.groups)
    parts = [range(a, b) for a, b in pairwise(starts)]
    return [i for part in parts for i in sorted(sorted(part, key=lambda j: -found.ks[j])[:each])]


def _head(found: CellComparison) -> str:
    words = (
        (_SMALL, f"small cells, {found.small_snapshots} snapshots"),
        (_LARGE, f"large cells, {found.large_snapshots} snapshots"),
    )
    legend = "".join(
        f'<rect x="{_LEFT + 220 * i}" y="36" width="14" height="10" fill="{colour}"/>'
        f'<text x="{_LEFT + 20 + 220 * i}" y="45">{escape(text)}</text>'
        for i, (colour, text) in enumerate(words)
    )
    return f'<text x="{_LEFT}" y="22" font-size="13">{escape(found.verdict)}</text>{legend}'


def _panel(found: CellComparison, feature: int) -> str:
    """Two histograms over one range, with axes."""
    small, large = found.small_features[:, feature], found.large_features[:, feature]
    both = np.concatenate([small, large])
    low, high = (float(x) for x in np.quantile(both, [0.001, 0.999]))
    high = high if high > low else low + 1.0
    edges = np.linspace(low, high, _BINS + 1)
    heights = [np.histogram(x, edges)[0] / (len(x) * (edges[1] - edges[0])) for x in (small, large)]
    top = max(1e-12, 1.08 * max(h.max() for h in heights))
    name = found.names[feature]
    unit = f" (1/{_unit(name)})" if _unit(name) else ""
    curves = _steps(heights[0] / top, _SMALL, 0.28) + _steps(heights[1] / top, _LARGE, 0.0)
    facts = f"KS {found.ks[feature]:.3f}; within the small cells {found.own_ks[feature]:.3f}"
    return (
        f'<text x="0" y="-10" font-size="11" fill="{MUTED}">{escape(facts)}</text>'
        f"{_axes(low, high, top)}{curves}"
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT + 36}" text-anchor="middle">{escape(name)}</text>'
        f'<text transform="translate(-44,{_HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        f"probability density{escape(unit)}</text>"
    )


def _unit(name: str) -> str:
    """The unit at the end of a name; empty where there is none."""
    return name.partition(" (")[2].rstrip(")")


def _steps(heights: np.ndarray, colour: str, fill: float) -> str:
    """A histogram's outline from the base line and back, heights as parts of the panel."""
    x = np.repeat(np.linspace(0, _WIDTH, len(heights) + 1), 2)
    y = _HEIGHT * (1 - np.concatenate([[0], np.repeat(heights, 2), [0]]))
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    look = f'fill="{colour}" fill-opacity="{fill}" stroke="{colour}" stroke-width="1.5"'
    return f'<polyline points="{points}" {look}/>'


def _axes(low: float, high: float, top: float) -> str:
    """Frame, ticks and their numbers."""
    x = "".join(_x_tick((t - low) / (high - low) * _WIDTH, t) for t in _ticks(low, high))
    y = "".join(_y_tick(_HEIGHT * (1 - t / top), t) for t in _ticks(0.0, top, 3))
    return (
        f'<path d="M0,0V{_HEIGHT}H{_WIDTH}" fill="none" stroke="#9aa5b1"/>'
        f'<g font-size="11" fill="{MUTED}" stroke="none">{x}{y}</g>'
    )


def _x_tick(x: float, value: float) -> str:
    return (
        f'<path d="M{x:.1f},{_HEIGHT}v4" stroke="#9aa5b1"/>'
        f'<text x="{x:.1f}" y="{_HEIGHT + 17}" text-anchor="middle">{_number(value)}</text>'
    )


def _y_tick(y: float, value: float) -> str:
    return (
        f'<path d="M-4,{y:.1f}h4" stroke="#9aa5b1"/><text x="-7" y="{y + 4:.1f}" text-anchor="end">'
        f"{_number(value)}</text>"
    )


def _number(value: float) -> str:
    return f"{value:.6g}".replace("-", "−")


def _ticks(low: float, high: float, at_least: int = 4) -> Iterable[float]:
    """Round numbers from `low` to `high`, at least so many."""
    power = 10.0 ** np.floor(np.log10(high - low))
    widths = [f * power for f in (1.0, 0.5, 0.2, 0.1)]
    width = next((w for w in widths if np.floor(high / w) - np.ceil(low / w) + 1 >= at_least), widths[-1])
    steps = range(int(np.ceil(low / width - 1e-9)), int(np.floor(high / width + 1e-9)) + 1)
    return [float(f"{k * width:.10g}") for k in steps]
