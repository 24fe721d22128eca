"""Energy errors of the predicted densities, snapshot by snapshot, against chemical accuracy."""

import re
from collections.abc import Sequence

from nearsight.report import methods
from nearsight.report.figures.layout import EXTRA, Figure, axis, label, layout, log_axis
from nearsight.report.markup import VARIANT
from nearsight.report.reading import Baseline, Run, SnapshotResult, Study
from nearsight.report.summary import Group, Summary, fraction, has_correction

#: errors below this part of chemical accuracy are drawn at it: a logarithm has no zero, and an error
#: that happens to cross it is no better than its neighbours
_FLOOR = 1e-3

#: so few names in two lines fit beside each other on a phone
_FEW = 4

#: which energy is drawn: what its button says, and whether the second-order correction is added
ENERGIES = {"Harris–Foulkes": False, "with second-order correction": True}


def energy_figures(study: Study, summary: Summary) -> dict[str, Figure]:
    """One figure a fraction kept and a model; all points and superposed atoms stand beside in each.

    Where the corrected energy is known, each has a second figure with it, on the same axis.
    """
    kinds = ENERGIES if has_correction(study) else {"": False}
    figures = {}
    for setup in summary.setups:
        beside = [group for group in (setup.full,) if group]
        models = {fraction(kept): [*beside, *setup.at(kept)] for kept in setup.headline_first}
        for name, groups in (models or {"all points": beside}).items():
            if models and not any(g.energy or g.corrected_energy for g in groups if g not in beside):
                continue
            drawn = {kind: _traces(study, setup, groups, added) for kind, added in kinds.items()}
            every = [trace for traces in drawn.values() for trace in traces]
            for kind, traces in drawn.items():
                if traces:
                    key = VARIANT.join(filter(None, (name, kind, setup.name)))
                    figures[key] = _figure(traces, every, study, kinds[kind])
    return figures


def energy_floor(study: Study) -> float:
    """The smallest error that is drawn in its place, Ha/atom."""
    return _FLOOR * study.chemical_accuracy_ha


def _traces(study: Study, summary: Summary, groups: list[Group], corrected: bool) -> list[Figure]:
    found = []
    for g in groups:
        results = [(r, run.seed) for run in g.runs for r in _results(run)]
        extra = {} if g.is_full or g.label in summary.first_labels else EXTRA
        found.append([t | extra for t in _trace(g.look, g.name, results, corrected)])
    if any(found):
        nothing = [(r, None) for r in _results(study.baseline)] if study.baseline else []
        found.append(_trace(methods.SUPERPOSED, methods.SUPERPOSED.name, nothing, corrected))
    return [trace for traces in found for trace in traces]


def _results(part: Run | Baseline) -> list[SnapshotResult]:
    return [*part.per_snapshot, *part.generality]


def _trace(
    look: methods.Method, name: str, results: Sequence[tuple[SnapshotResult, int | None]], corrected: bool
) -> list[Figure]:
    """One trace, or none where no energy is known; hollow marks have the correction added."""
    shown = [(r, seed, e) for r, seed in results if (e := _error(r, corrected)) is not None]
    if not shown:
        return []
    marker = {"symbol": look.symbol, "size": 9, "color": look.colour, "opacity": 0.85}
    if corrected:
        marker |= {"symbol": f"{look.symbol}-open", "line": {"width": 2}, "opacity": 1}
    return [
        {
            "x": [label(r.label) for r, _, _ in shown],
            "y": [1000 * abs(error) for _, _, error in shown],
            "mode": "markers",
            "name": label(name),
            "offsetgroup": label(name),
            "marker": marker,
            "text": [_hover(name, r, seed) for r, seed, _ in shown],
            "hovertemplate": "%{text}<extra></extra>",
        }
    ]


def _error(result: SnapshotResult, corrected: bool) -> float | None:
    """ΔE in Ha/atom."""
    return result.corrected_energy_error_ha_per_atom if corrected else result.energy_error_ha_per_atom


def _hover(name: str, result: SnapshotResult, seed: int | None) -> str:
    whose = f"<b>{label(name)}</b>" + ("" if seed is None else f", seed {seed}")
    words = {"ΔE": _error(result, corrected=False), "corrected": _error(result, corrected=True)}
    errors = [f"{word} {1000 * e:+.3g} mHa/atom" for word, e in words.items() if e is not None]
    return "<br>".join([whose, label(result.label), *errors])


def _figure(data: list[Figure], every: list[Figure], study: Study, corrected: bool) -> Figure:
    limit, floor = 1000 * study.chemical_accuracy_ha, 1000 * energy_floor(study)
    data = [trace | {"y": [max(floor, v) for v in trace["y"]]} for trace in data]
    values = [max(floor, v) for trace in every for v in trace["y"]]
    y = log_axis(f"{'corrected ' * corrected}|ΔE| (mHa/atom, logarithmic)", [*values, limit], pad=1.5)
    x = axis("snapshot", type="category", categoryorder="array")
    names = list(dict.fromkeys(name for trace in every for name in trace["x"]))
    x |= {"categoryarray": names, "tickvals": names, "ticktext": [_two_lines(name) for name in names]}
    if len(names) <= _FEW:
        x["tickangle"] = 0
    x["range"] = [-0.5, len(names) - 0.5]
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": limit, "y1": limit}
    style = {"line": {"color": "#a3123a", "width": 1.5, "dash": "dot"}, "layer": "below"}
    legend = {
        "x": [names[0]],
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


def _two_lines(name: str) -> str:
    """A long name broken at the separator nearest to its middle, so that few names need turning."""
    breaks = [m.end() for m in re.finditer("[-_/ ]", name) if 3 < m.end() < len(name) - 3]
    if len(name) < 12 or not breaks:
        return name
    middle = min(breaks, key=lambda i: abs(i - len(name) / 2))
    return f"{name[:middle]}<br>{name[middle:]}"
