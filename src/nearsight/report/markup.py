"""Small pieces of HTML: every text from a study goes through `text` before it reaches the page."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

NBSP = "\u00a0"


def text(value: object) -> str:
    """Escape for HTML, attributes included."""
    return escape(str(value), quote=True)


def plus_minus(value: float, error: float | None, digits: int = 2) -> str:
    """A number with its standard error, both to the last of some digits of the error."""
    if not error:
        return number(value)
    decimals = max(0, digits - 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f}{NBSP}±{NBSP}{error:.{decimals}f}".replace("-", "−")


def script_json(value: Any) -> str:
    """JSON that may stand inside a ``<script>`` element: no ``<``, ``>`` or ``&`` is left in it."""
    raw = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return raw.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def number(value: float | None, digits: int = 3) -> str:
    """A number with some significant digits and no needless exponent; a dash for None."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 10**digits:
        return f"{value:,.0f}".replace(",", "\u202f")
    if size < 1e-4:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}×10<sup>{int(exponent)}</sup>".replace("-", "−")
    power = int(f"{size:.{digits - 1}e}".split("e")[1])
    decimals = max(0, digits - 1 - power)
    return f"{value:.{decimals}f}".replace("-", "−")


def count(n: int | None) -> str:
    """A whole number with thin spaces between thousands; a dash for None."""
    return "–" if n is None else f"{n:,}".replace(",", "\u202f")


def plain(value: float) -> str:
    """A round number, such as a limit, without trailing zeros."""
    return f"{value:.4g}"


def percent(value: float | None) -> str:
    """A number that is in percent already."""
    return "–" if value is None else f"{number(value)}{NBSP}%"


def mha(value: float | None) -> str:
    """An energy in Ha as a bare number of mHa."""
    return "–" if value is None else number(1000 * value)


def seconds(value: float) -> str:
    """A duration, such as ``0.12 s``, ``19 s``, ``2 min 5 s``."""
    if value < 99.5:
        return f"{number(value, 2)}{NBSP}s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes}{NBSP}min {rest}{NBSP}s"
    return f"{minutes // 60}{NBSP}h {minutes % 60}{NBSP}min"


def section(anchor: str, title: str, lede: str, *parts: str) -> str:
    """A section of the page; `title` is text, `lede` and `parts` are HTML."""
    return (
        f'<section id="{anchor}" aria-labelledby="{anchor}-title">'
        f'<h2 id="{anchor}-title">{text(title)}</h2><p class="lede">{lede}</p>{"".join(parts)}</section>'
    )


#: between the parts of a variant's name, one part for each row of buttons
VARIANT = " · "


def figure(name: str, choices: Mapping[str, Sequence[str]], caption: str, height: int) -> str:
    """A place for a Plotly figure; `choices` are rows of buttons, which name a variant (see plots.js)."""
    rows = "".join(_choice(label, values) for label, values in choices.items())
    return (
        f'<figure class="panel" data-figure="{text(name)}">{rows}'
        f'<div class="plot" style="height:{height}px" role="img" aria-label="{text(name)}"></div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _choice(label: str, values: Sequence[str]) -> str:
    """A row of buttons; hidden where there is nothing to choose, since its value still names the variant."""
    buttons = "".join(
        f'<button type="button" data-variant="{text(v)}" aria-pressed="{"true" if i == 0 else "false"}">'
        f"{text(v)}</button>"
        for i, v in enumerate(values)
    )
    hidden = "" if len(values) > 1 else " hidden"
    return f'<div class="choice" role="group"{hidden}><span>{text(label)}</span>{buttons}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], n_text: int = 1, dense: bool = False) -> str:
    """A table of HTML cells; the first `n_text` columns are text, the others numbers."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{'' if i < n_text else ' class=num'}>{cell}</{tag}>" for i, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    kind = ' class="dense"' if dense else ""
    return (
        f'<div class="scroll"><table{kind}><thead><tr>{cells("th", head)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def details(title: str, body: str, is_open: bool = False) -> str:
    """A part that folds; `title` is text, `body` HTML."""
    state = " open" if is_open else ""
    return f'<details{state}><summary>{text(title)}</summary><div class="fold">{body}</div></details>'


def properties(values: Mapping[str, Any]) -> str:
    """A nested mapping as a list of names and values."""
    rows = "".join(
        f"<dt>{text(key.replace('_', ' '))}</dt><dd>{_property(value)}</dd>" for key, value in values.items()
    )
    return f"<dl>{rows}</dl>"


def _property(value: Any) -> str:
    if isinstance(value, Mapping) and value:
        return properties({str(k): v for k, v in value.items()})
    if value is None or value == "" or value == {} or value == []:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return text(", ".join(str(v) for v in value))
    return text(f"{value:.10g}" if isinstance(value, float) else value)
