"""Errors of densities and energies against the fraction of the points kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nearsight.report import methods
from nearsight.report.figures.layout import EXTRA, Figure, axis, label, layout, log_axis, log_range
from nearsight.report.markup import VARIANT, number
from nearsight.report.reading import Means, Run
from nearsight.report.summary import Group, Spread, Summary, fraction

#: a close-up ends at this multiple of the error with all points
CLOSE = 1.5
#: names of the buttons that choose a scale
ABSOLUTE, SCALED, CLOSE_UP = "absolute", "× all points", "close-up"


@dataclass(frozen=True)
class Quantity:
    """An error that a figure shows.

    Attributes
    ----------
    name : str
        On its button.
    title, unit : str
        On the axis.
    of : callable
        The error of a run in that unit, or None where it is not known.
    """

    name: str
    title: str
    unit: str
    of: Callable[[Means], float | None]

    def spread(self, group: Group) -> Spread | None:
        """Over the seeds of a group."""
        return group.spread(self.of)


def _milli(value: float | None) -> float | None:
    return None if value is None else 1000 * value


#: what the buttons above the figures show
DENSITY = (
    Quantity("NRMSE", "test NRMSE", "%", lambda e: e.nrmse_percent),
    Quantity("NMAE", "test NMAE", "%", lambda e: e.nmae_percent),
    Quantity("H1", "|∇e|", "e/bohr<sup>5/2</sup>", lambda e: e.h1_seminorm),
    Quantity("Hartree", "Hartree error", "mHa/atom", lambda e: _milli(e.hartree_error_ha_per_atom)),
)
ENERGY = (
    Quantity("Harris–Foulkes", "mean |ΔE|", "mHa/atom", lambda e: _milli(e.energy_error_ha_per_atom)),
    Quantity(
        "with second-order correction",
        "mean corrected |ΔE|",
        "mHa/atom",
        lambda e: _milli(e.corrected_energy_error_ha_per_atom),
    ),
)


@dataclass(frozen=True)
class _Drawing:
    """What one figure shows: a quantity of one model's runs, beside the full data's."""

    summary: Summary
    quantity: Quantity
    full: Group | None
    #: every value is divided by this, where it is given
    reference: float | None = None
    #: name and value of a horizontal limit, in the quantity's unit
    limit: tuple[str, float] | None = None

    @property
    def scaled(self) -> bool:
        return self.reference is not None

    @property
    def scale(self) -> float:
        return self.reference or 1.0

    @property
    def unit(self) -> str:
        return "× all points" if self.scaled else self.quantity.unit

    def spread(self, group: Group) -> Spread | None:
        found = self.quantity.spread(group)
        if found is None:
            return None
        return Spread(found.mean / self.scale, found.low / self.scale, found.high / self.scale, found.n)

    def values(self, group: Group) -> list[tuple[Run, float]]:
        found = ((run, self.quantity.of(run)) for run in group.runs)
        return [(run, value / self.scale) for run, value in found if value is not None]

    def groups(self) -> list[Group]:
        return [g for g in self.summary.pruned if self.spread(g)]

    def everything(self) -> list[float]:
        """All values, the full data's and the limit among them."""
        shown = [*self.groups(), *([self.full] if self.full else [])]
        limit = [self.limit[1] / self.scale] if self.limit else []
        return [v for group in shown for _, v in self.values(group)] + limit


def pruning_figures(summary: Summary) -> dict[str, Figure]:
    """Density errors: one figure a quantity, a scale and a model."""
    return _figures(summary, DENSITY, None)


def energy_pruning_figures(summary: Summary, limit_ha: float) -> dict[str, Figure]:
    """Energy errors in the same way, beside chemical accuracy (Ha/atom)."""
    name = f"chemical accuracy ({1000 * limit_ha:.3g} mHa/atom)"
    return _figures(summary, ENERGY, (name, 1000 * limit_ha))


def _figures(
    main: Summary, quantities: Sequence[Quantity], limit: tuple[str, float] | None
) -> dict[str, Figure]:
    """Lines over the fractions, or one column a method where one fraction was tried."""
    figures = {}
    for summary in main.setups:
        for quantity in quantities:
            full = next((s.full for s in (summary, main) if s.full and quantity.spread(s.full)), None)
            drawing = _Drawing(summary, quantity, full, limit=limit)
            if not drawing.groups():
                continue
            for scale, figure in _scales(drawing).items():
                figures[VARIANT.join(filter(None, (quantity.name, scale, summary.name)))] = figure
    return figures


def _scales(drawing: _Drawing) -> dict[str, Figure]:
    figures = {ABSOLUTE: _draw(drawing)}
    spread = drawing.spread(drawing.full) if drawing.full else None
    if spread is None or not spread.mean > 0:
        return figures
    scaled = replace(drawing, reference=spread.mean)
    figures[SCALED] = _draw(scaled)
    if drawing.limit is None and (closer := _close_up(figures[SCALED], scaled)) is not None:
        figures[CLOSE_UP] = closer
    return figures


def _close_up(drawn: Figure, scaled: _Drawing) -> Figure | None:
    """The same figure near the full data, where bad methods have squeezed the good ones together."""
    values = scaled.everything()
    near = [v for v in values if v <= CLOSE]
    if max(values) < 2 or not near:
        return None
    room = 0.08 * (max(near) - min(near)) or 0.05
    y = axis(_title(scaled), range=[max(0.0, min(near) - room), max(near) + room])
    return drawn | {"layout": drawn["layout"] | {"yaxis": y}}


def _draw(drawing: _Drawing) -> Figure:
    fractions = sorted({g.kept for g in drawing.groups()}, reverse=True)
    if len(fractions) == 1:
        return _over_methods(drawing, fractions[0])
    data: list[Figure] = []
    for key in drawing.summary.looks:
        groups = sorted((g for g in drawing.groups() if g.label == key), key=lambda g: g.kept)
        if groups:
            extra = {} if key in drawing.summary.first_labels else EXTRA
            data += [trace | extra for trace in _method_traces(groups, drawing)]
    kept = [100 * k for k in fractions]
    x = log_axis("points kept (% of all training points, logarithmic)", kept, pad=1.4)
    x |= {"tickvals": kept, "ticktext": [f"{k:.4g} %" for k in kept]}
    return _finish(data, x, drawing)


def _method_traces(groups: list[Group], drawing: _Drawing) -> list[Figure]:
    look = groups[0].look
    spreads = [spread for g in groups if (spread := drawing.spread(g))]
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
            "line": {"color": look.colour, "width": 2.5, "dash": look.dash},
            "marker": _marker(look, 10),
            "text": [_hover(g, s, drawing) for g, s in zip(groups, spreads, strict=True)],
            "hovertemplate": "%{text}<extra></extra>",
        }
    )
    return traces


def _marker(look: methods.Method, size: int) -> Figure:
    """White about a filled symbol, so that marks on each other stay apart."""
    filled = "-open" not in look.symbol
    return {
        "symbol": look.symbol,
        "size": size,
        "line": {"color": "#fff", "width": 1} if filled else {"width": 2},
    }


def _over_methods(drawing: _Drawing, kept: float) -> Figure:
    data: list[Figure] = []
    for group in drawing.groups():
        spread, look, found = drawing.spread(group), group.look, drawing.values(group)
        if spread is None:
            continue
        column = label(look.name)
        traces: list[Figure] = [
            {
                "x": [column] * len(found),
                "y": [value for _, value in found],
                "mode": "markers",
                "name": column,
                "marker": {"symbol": look.symbol, "size": 11, "color": look.colour, "opacity": 0.75},
                "text": [f"{column}, seed {run.seed}" for run, _ in found],
                "hovertemplate": f"%{{text}}: %{{y:.4g}} {drawing.unit}<extra></extra>",
            }
        ]
        if spread.n > 1:
            traces.append(
                {
                    "x": [column],
                    "y": [spread.mean],
                    "mode": "markers",
                    "showlegend": False,
                    "marker": {"symbol": "line-ew", "size": 44, "line": {"color": look.colour, "width": 3}},
                    "text": [_hover(group, spread, drawing)],
                    "hovertemplate": "%{text}<extra></extra>",
                }
            )
        extra = {} if group.label in drawing.summary.first_labels else EXTRA
        data += [trace | extra for trace in traces]
    x = axis(f"how the {fraction(kept)} of points was chosen", type="category")
    return _finish(data, x, drawing)


def _finish(data: list[Figure], x: Figure, drawing: _Drawing) -> Figure:
    values, shapes = drawing.everything(), []
    full = drawing.spread(drawing.full) if drawing.full else None
    if full:
        shapes = _full_lines(full)
        data = [_line_legend(_full_name(full, drawing), {"color": methods.INK, "dash": "dash"}), *data]
    if drawing.limit:
        name, limit = drawing.limit[0], drawing.limit[1] / drawing.scale
        style = {"color": "#a3123a", "width": 1.5, "dash": "dot"}
        shapes.append(_across(limit, style))
        data = [*data, _line_legend(name, style)]
    title = _title(drawing)
    if max(values) > 3 * min(values) > 0:
        y = log_axis(f"{title[:-1]}, logarithmic)", log_range(values), pad=1.12)
    else:
        room = 0.08 * (max(values) - min(values)) or 0.05 * max(values) or 1.0
        y = axis(title, range=[max(0.0, min(values) - room), max(values) + room])
    return {"data": data, "layout": layout(x, y, shapes=shapes, hovermode="closest")}


def _title(drawing: _Drawing) -> str:
    return f"{drawing.quantity.title} ({drawing.unit})"


def _full_name(full: Spread, drawing: _Drawing) -> str:
    whose = "All points"
    if drawing.full is not None and drawing.full is not drawing.summary.full:
        run = drawing.full.runs[0]  # this model was not trained on everything
        whose += f", {methods.setup_name(run.model, run.schedule)}"
    return f"{whose} ({number(full.mean * drawing.scale)} {drawing.quantity.unit})"


def _full_lines(full: Spread) -> list[Figure]:
    across = {"xref": "paper", "x0": 0, "x1": 1, "layer": "below"}
    band = {"type": "rect", "y0": full.low, "y1": full.high, "fillcolor": methods.INK, "opacity": 0.1}
    return [
        across | band | {"line": {"width": 0}},
        _across(full.mean, {"color": methods.INK, "dash": "dash"}),
    ]


def _across(value: float, style: Figure) -> Figure:
    across = {"xref": "paper", "x0": 0, "x1": 1, "layer": "below"}
    return across | {"type": "line", "y0": value, "y1": value, "line": style}


def _line_legend(name: str, style: Figure) -> Figure:
    return {"x": [None], "y": [None], "mode": "lines", "name": name, "line": {"width": 2, **style}}


def _hover(group: Group, spread: Spread, drawing: _Drawing) -> str:
    lines = [f"<b>{label(group.name)}</b>", f"mean {spread.mean:.4g} {drawing.unit}"]
    if spread.n > 1:
        lines.append(f"{spread.n} seeds: {spread.low:.4g} – {spread.high:.4g} {drawing.unit}")
    reference = drawing.spread(drawing.full) if drawing.full else None
    if reference and reference.mean and not drawing.scaled:
        lines.append(f"{spread.mean / reference.mean:.3f} × all points")
    return "<br>".join(lines)
