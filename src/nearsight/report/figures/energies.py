"""Energy errors of the predicted densities, snapshot by snapshot, against chemical accuracy."""

from nearsight.report import methods
from nearsight.report.figures.layout import Figure, axis, label, layout, log_axis
from nearsight.report.reading import SnapshotResult, Study
from nearsight.report.summary import Group, Summary, fraction

#: errors below this (Ha/atom) are drawn at it, since a logarithm has no zero
_FLOOR = 1e-8


def energy_figures(study: Study, summary: Summary) -> dict[str, Figure]:
    """One figure a fraction kept; all points and superposed atoms stand beside in each."""
    base = study.baseline
    beside = _superposed([*base.per_snapshot, *base.generality]) if base else []
    full = _group_traces(summary.full) if summary.full else []
    figures = {}
    for kept in _headline_first(summary):
        groups = [trace for group in summary.at(kept) for trace in _group_traces(group)]
        if full or groups:
            figures[f"{fraction(kept)}"] = _figure([*full, *groups, *beside], study)
    if not figures and full:
        figures["all points"] = _figure([*full, *beside], study)
    return figures


def _headline_first(summary: Summary) -> list[float]:
    return sorted(summary.fractions, key=lambda kept: kept != summary.headline_fraction)


def _group_traces(group: Group) -> list[Figure]:
    results = [
        (r, run.seed) for run in group.runs for r in (*run.per_snapshot, *run.generality) if _has_energy(r)
    ]
    if not results:
        return []
    look = group.look
    return [
        {
            "x": [label(r.label) for r, _ in results],
            "y": [_size(r) for r, _ in results],
            "mode": "markers",
            "name": label(group.name),
            "offsetgroup": label(group.name),
            "marker": {"symbol": look.symbol, "size": 9, "color": look.colour, "opacity": 0.85},
            "text": [_hover(group.name, r, f", seed {seed}") for r, seed in results],
            "hovertemplate": "%{text}<extra></extra>",
        }
    ]


def _superposed(results: list[SnapshotResult]) -> list[Figure]:
    shown = [r for r in results if _has_energy(r)]
    if not shown:
        return []
    look = methods.SUPERPOSED
    return [
        {
            "x": [label(r.label) for r in shown],
            "y": [_size(r) for r in shown],
            "mode": "markers",
            "name": look.name,
            "offsetgroup": look.name,
            "marker": {"symbol": look.symbol, "size": 9, "color": look.colour},
            "text": [_hover(look.name, r, "") for r in shown],
            "hovertemplate": "%{text}<extra></extra>",
        }
    ]


def _has_energy(result: SnapshotResult) -> bool:
    return result.energy_error_ha_per_atom is not None


def _size(result: SnapshotResult) -> float:
    """|ΔE| in mHa/atom."""
    return 1000 * max(_FLOOR, abs(result.energy_error_ha_per_atom or 0.0))


def _hover(name: str, result: SnapshotResult, seed: str) -> str:
    signed = 1000 * (result.energy_error_ha_per_atom or 0.0)
    return f"<b>{label(name)}</b>{seed}<br>{label(result.label)}<br>ΔE {signed:+.3g} mHa/atom"


def _figure(data: list[Figure], study: Study) -> Figure:
    limit = 1000 * study.chemical_accuracy_ha
    values = [v for trace in data for v in trace["y"]]
    y = log_axis("|ΔE| (mHa/atom, logarithmic)", [*values, limit], pad=1.5)
    x = axis("snapshot", type="category", categoryorder="array")
    x["categoryarray"] = list(dict.fromkeys(name for trace in data for name in trace["x"]))
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": limit, "y1": limit}
    style = {"line": {"color": "#a3123a", "width": 1.5, "dash": "dot"}, "layer": "below"}
    legend = {
        "x": [x["categoryarray"][0]],
        "y": [None],
        "mode": "lines",
        "name": f"chemical accuracy ({limit:.3g} mHa/atom)",
        "line": style["line"],
    }
    return {
        "data": [*data, legend],
        "layout": layout(
            x, y, shapes=[line | style], scattermode="group", scattergap=0.25, hovermode="closest"
        ),
    }
