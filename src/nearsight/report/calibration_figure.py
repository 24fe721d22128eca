"""The figure of a calibration: reliability diagram and error in deciles of σ, as SVG without scripts."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from nearsight.errors import InputError
from nearsight.io.atomic import atomic_file

#: kinds of files that it can be
SUFFIXES = (".svg", ".html")
#: |e| of a normal error is σ times this in the mean
_NORMAL_MEAN = math.sqrt(2.0 / math.pi)
_WIDTH, _HEIGHT = 940, 530
_SIDE, _TOP, _LEFT = 350, 78, (76, 556)
_INK, _FAINT, _OWN, _PERFECT = "#1b2733", "#c9d3dc", "#0072b2", "#d55e00"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Point = tuple[float, float]
Scale = Callable[[float], float]


def require_drawable(path: Path) -> None:
    """Raise `InputError` unless the name says a kind of file that can be written."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path} is neither .svg nor .html; name the figure like calibration.svg")


def write_calibration_figure(result: Mapping[str, Any], path: Path, title: str) -> None:
    """Draw the calibration of what `nearsight.workflows.evaluate.evaluate` gave.

    Parameters
    ----------
    result : mapping
        With a ``calibration``; the lines of single snapshots are drawn behind.
    path : Path
        ``.svg``, or ``.html`` with the figures by trajectory below the picture.
    title : str

    Raises
    ------
    InputError
        Another suffix, or a result without calibration.
    """
    require_drawable(path)
    if result.get("calibration") is None:
        raise InputError("there is no calibration to draw: the model states no uncertainty")
    drawing = calibration_svg(result, title)
    if path.suffix.lower() == ".html":
        drawing = _page(drawing, result, title)
    with atomic_file(path) as temporary:
        temporary.write_text(drawing, encoding="utf-8")


def calibration_svg(result: Mapping[str, Any], title: str) -> str:
    """Both panels as one SVG, which needs no other file."""
    whole = result["calibration"]
    single = [s["calibration"] for s in result["per_snapshot"] if s.get("calibration")]
    parts = [
        _text(24, 28, title, size=16, weight=600),
        *_reliability(whole, single if len(single) > 1 else []),
        *_deciles(whole["deciles"]),
        *(_text(24, _HEIGHT - 36 + 20 * k, words) for k, words in enumerate(_in_words(whole))),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="system-ui, sans-serif" role="img" aria-label="{escape(title)}">'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _in_words(whole: Mapping[str, Any]) -> list[str]:
    shares = ", ".join(f"{100 * whole[f'coverage_{k}']:.1f}" for k in (1, 2, 3))
    lines = [f"Within 1, 2, 3 σ: {shares} % of the points (of {whole['n_snapshots']} snapshots)."]
    own, ideal = whole["rank_correlation"], whole["ideal_rank_correlation"]
    if own is not None and math.isfinite(own) and math.isfinite(ideal):
        lines.append(
            f"Rank correlation of σ and |error|: {own:.2f}, where a perfect σ would have {ideal:.2f}."
        )
    return lines


def _reliability(whole: Mapping[str, Any], single: Sequence[Mapping[str, Any]]) -> list[str]:
    left = _LEFT[0]
    ticks = [(share, f"{100 * share:.0f}") for share in (0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    across, up = _across(left, 0.0, 1.0), _up(0.0, 1.0)
    legend = [("all snapshots", _OWN, False), ("perfect", _PERFECT, True)]
    if single:
        legend.insert(1, ("single snapshots", _FAINT, False))
    parts = _frame(left, ticks, across, up, "nominal coverage (%)", "observed coverage (%)", legend)

    def line(found: Mapping[str, Any]) -> list[Point]:
        pairs = zip(found["reliability"]["expected"], found["reliability"]["observed"], strict=True)
        return [(across(x), up(y)) for x, y in pairs]

    parts += [_line(line(found), _FAINT, width=1) for found in single]
    parts.append(_line([(across(0), up(0)), (across(1), up(1))], _PERFECT, dashed=True))
    return [*parts, _line(line(whole), _OWN), *_dots(line(whole), _OWN)]


def _deciles(found: Mapping[str, Any]) -> list[str]:
    """On logarithmic axes with one range, so that a factor has the same height everywhere."""
    left = _LEFT[1]
    pairs = zip(found["mean_sigma"], found["mean_abs_error"], strict=True)
    known = [(s, e) for s, e in pairs if s > 0 and e > 0]
    if not known:
        return [_text(left, _TOP + 20, "σ is zero at all points")]
    low = 0.8 * min(min(s * _NORMAL_MEAN, e) for s, e in known)
    high = 1.25 * max(max(s, e) for s, e in known)
    exponent = math.floor(math.log10(high))
    unit = "e/bohr³" if exponent == 0 else f"10{str(exponent).translate(_SUPERSCRIPT)} e/bohr³"
    logs = math.log10(low), math.log10(high)
    across, up = _across(left, *logs), _up(*logs)
    ticks = [(math.log10(t), f"{t / 10**exponent:g}") for t in _ticks(low, high)]
    legend = [("tenths of the points", _OWN, False), ("perfect: 0.80 σ", _PERFECT, True)]
    parts = _frame(left, ticks, across, up, f"mean σ ({unit})", f"mean |error| ({unit})", legend)
    ends = [
        (across(s), up(math.log10(10**s * _NORMAL_MEAN)))
        for s in (logs[0] - math.log10(_NORMAL_MEAN), logs[1])
    ]
    parts.append(_line(ends, _PERFECT, dashed=True))
    own = [(across(math.log10(s)), up(math.log10(e))) for s, e in known]
    return [*parts, _line(own, _OWN), *_dots(own, _OWN)]


def _ticks(low: float, high: float) -> list[float]:
    """Some of every power of ten, fewer where the range is wide."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps: tuple[float, ...] = (1,)
    if high / low < 1000:
        steps = (1, 1.5, 2, 3, 5, 7) if high / low < 20 else (1, 2, 5)
    return [m * 10.0**k for k in decades for m in steps if low <= m * 10.0**k <= high]


def _across(left: float, low: float, high: float) -> Scale:
    return lambda value: left + _SIDE * (value - low) / (high - low)


def _up(low: float, high: float) -> Scale:
    return lambda value: _TOP + _SIDE * (high - value) / (high - low)


def _frame(
    left: int,
    ticks: Sequence[tuple[float, str]],
    across: Scale,
    up: Scale,
    x_name: str,
    y_name: str,
    legend: Sequence[tuple[str, str, bool]],
) -> list[str]:
    """Grid, ticks, names of the axes, and a legend above."""
    bottom = _TOP + _SIDE
    parts = []
    for value, label in ticks:
        x, y = across(value), up(value)
        parts.append(_line([(x, _TOP), (x, bottom)], "#eef2f5", width=1))
        parts.append(_line([(left, y), (left + _SIDE, y)], "#eef2f5", width=1))
        parts.append(_text(x, bottom + 18, label, size=12, anchor="middle"))
        parts.append(_text(left - 8, y + 4, label, size=12, anchor="end"))
    parts.append(
        f'<rect x="{left}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="{_INK}"/>'
    )
    parts.append(_text(left + _SIDE / 2, bottom + 38, x_name, anchor="middle"))
    middle = _TOP + _SIDE / 2
    turned = f'transform="rotate(-90 {left - 48} {middle})"'
    parts.append(_text(left - 48, middle, y_name, anchor="middle", more=turned))
    x = float(left)
    for words, colour, dashed in legend:
        parts.append(_line([(x, _TOP - 17), (x + 22, _TOP - 17)], colour, dashed=dashed))
        parts.append(_text(x + 28, _TOP - 13, words, size=12))
        x += 44 + 6.6 * len(words)
    return parts


def _line(points: Sequence[Point], colour: str, *, width: float = 2, dashed: bool = False) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}/>'


def _dots(points: Sequence[Point], colour: str) -> list[str]:
    return [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]


def _text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 13,
    anchor: str = "start",
    weight: int = 400,
    more: str = "",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="{_INK}" {more}>{escape(words)}</text>'
    )


def _page(drawing: str, result: Mapping[str, Any], title: str) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("trajectory", "snapshots", "NRMSE (%)", *_COLUMNS))
    rows = "".join(_row(group) for group in result["per_trajectory"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>'
        f"body{{font:15px system-ui,sans-serif;color:{_INK};max-width:60em;margin:2em auto;padding:0 1em}}"
        "svg{max-width:100%;height:auto}table{border-collapse:collapse}"
        "th,td{padding:.25em .8em;text-align:right;border-bottom:1px solid #dde}"
        "th:first-child,td:first-child{text-align:left}</style></head>"
        f"<body>{drawing}<table><tr>{head}</tr>{rows}</table></body></html>\n"
    )


_COLUMNS = ("within 1 σ (%)", "2 σ", "3 σ", "aleatoric σ (e/bohr³)", "epistemic σ (e/bohr³)")


def _row(group: Mapping[str, Any]) -> str:
    own = group["calibration"]
    cells = [escape(group["trajectory"]), str(group["n_snapshots"]), f"{group['nrmse_percent']:.3f}"]
    cells += [f"{100 * own[f'coverage_{k}']:.1f}" for k in (1, 2, 3)]
    cells += [f"{own['mean_aleatoric']:.2e}", f"{own['mean_epistemic']:.2e}"]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
