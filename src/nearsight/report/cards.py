"""Cards with the key numbers: all points, the best small set, and superposed atoms."""

from collections.abc import Callable
from typing import NamedTuple

from nearsight.report.markup import NBSP, count, mha, number, plain, seconds, text
from nearsight.report.methods import SUPERPOSED
from nearsight.report.reading import Study
from nearsight.report.summary import Group, Spread, Summary


class _Row(NamedTuple):
    """One number of a card."""

    name: str
    method: str
    colour: str
    spread: Spread


def cards(study: Study, summary: Summary) -> str:
    """All cards; the energy card only where energies were computed."""
    groups = [g for g in (summary.full, summary.best) if g]
    base = study.baseline.mean if study.baseline else None
    nmae = [_row(g, g.nmae) for g in groups] + _nothing(base.nmae_percent if base else None)
    nrmse = [_row(g, g.nrmse) for g in groups] + _nothing(base.nrmse_percent if base else None)
    energy = [_row(g, g.energy) for g in groups if g.energy]
    points = [_row(g, g.points_per_atom) for g in groups]
    time = [_row(g, g.total_seconds) for g in groups]
    limit = f"chemical accuracy: {plain(1000 * study.chemical_accuracy_ha)} mHa/atom"
    parts = [
        _card("Density error, NMAE", "%", "nmae", nmae, number, "error per electron, test snapshots"),
        _card("Density error, NRMSE", "%", "nrmse", nrmse, number, "error against the range of the density"),
    ]
    if energy:
        energy += _nothing(base.energy_error_ha_per_atom if base else None)
        parts.append(_card("Energy error, mean |ΔE|", "mHa/atom", "energy", energy, mha, limit))
    parts.append(_card("Training points", "per atom", "points", points, number, _counts(groups)))
    stages = "descriptors, scoring, selection and training"
    parts.append(_card("Time to a model", "", "time", time, seconds, stages))
    return "".join(parts)


def _row(group: Group, spread: Spread) -> _Row:
    return _Row(group.name, group.method, group.look.colour, spread)


def _nothing(value: float | None) -> list[_Row]:
    if value is None:
        return []
    return [_Row(SUPERPOSED.name, "superposed", SUPERPOSED.colour, Spread(value, value, value, 1))]


def _counts(groups: list[Group]) -> str:
    counts = [round(sum(run.n_points for run in g.runs) / len(g.runs)) for g in groups]
    return " and ".join(count(n) for n in counts) + " in all"


def _card(title: str, unit: str, key: str, rows: list[_Row], form: Callable[[float], str], note: str) -> str:
    top = max(row.spread.mean for row in rows) or 1.0
    body = "".join(_row_html(key, row, form, row.spread.mean / top) for row in rows)
    heading = f"{text(title)} <span>{text(unit)}</span>" if unit else text(title)
    return f'<div class="card"><h3>{heading}</h3>{body}<p class="note">{text(note)}</p></div>'


def _row_html(key: str, row: _Row, form: Callable[[float], str], share: float) -> str:
    low, high = form(row.spread.low), form(row.spread.high)
    over = f'<span class="over">seeds {low} – {high}</span>' if low != high else ""
    kind = "row nothing" if row.method == "superposed" else "row"
    bar = f'<span class="bar"><i style="width:{100 * share:.1f}%;background:{row.colour}"></i></span>'
    return (
        f'<div class="{kind}"><span class="who">{text(row.name).replace(" %", f"{NBSP}%")}</span>'
        f'<span class="big" data-card="{key}" data-method="{text(row.method)}" '
        f'data-value="{row.spread.mean!r}">{form(row.spread.mean)}</span>'
        f"{bar}{over}</div>"
    )
