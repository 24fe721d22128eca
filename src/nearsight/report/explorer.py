"""The densities themselves: data and places for the slices, the line and the isosurface."""

from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from ase.data.colors import jmol_colors

from nearsight.grid import UniformGrid
from nearsight.report import methods, packing
from nearsight.report.markup import text
from nearsight.report.methods import Method
from nearsight.report.reading import (
    SUPERPOSED,
    TRUTH,
    FieldData,
    FieldEntry,
    Run,
    SnapshotResult,
    Study,
    read_field,
)
from nearsight.report.summary import Summary, fraction

#: bytes of base64 that all slices of a page may take together
_SLICE_BUDGET = 6_000_000


def explorer_data(folder: Path, study: Study, summary: Summary) -> list[dict[str, Any]]:
    """All fields of a study, packed for the page, one file in memory at a time."""
    shown = [_within_budget(entry, study, summary) for entry in study.fields]
    count = sum(len(entry.predictions) + 2 for entry in shown if not entry.generality)
    edge = packing.volume_edge(count)
    return [_field(read_field(folder, entry), study, summary, edge) for entry in shown]


def side_by_side(study: Study, summary: Summary) -> bool:
    """Whether some snapshot has the full data and a pruned model of the main kind to stand beside it."""
    full = {run.id for run in summary.full.runs} if summary.full else set()
    pruned = {run.id for group in summary.pruned for run in group.runs}
    kept = [
        _within_budget(entry, study, summary).predictions for entry in study.fields if not entry.generality
    ]
    return any(full & set(p) and pruned & set(p) for p in kept)


def _within_budget(entry: FieldEntry, study: Study, summary: Summary) -> FieldEntry:
    """The entry with its most telling predictions, as many as the page can hold, in their order."""
    each = 3 * packing.VIEW_POINTS**2 * 8 / 3
    most = max(2, int(_SLICE_BUDGET / each / max(1, len(study.fields))) - 2)
    if len(entry.predictions) <= most:
        return entry
    ranks = _importance(summary)
    first = sorted(entry.predictions, key=lambda name: ranks.get(name, len(ranks)))[:most]
    return entry.model_copy(
        update={"predictions": {k: v for k, v in entry.predictions.items() if k in first}}
    )


def _importance(summary: Summary) -> dict[str, int]:
    """Run ids by how much a reader wants to see them: full data, best method, first methods, others."""
    best = summary.best.label if summary.best else ""
    groups = sorted(
        summary.groups, key=lambda g: (not g.is_full, g.label != best, g.label not in summary.first_labels)
    )
    runs = [run.id for group in groups for run in group.runs]
    return {name: number for number, name in enumerate(runs)}


def _field(data: FieldData, study: Study, summary: Summary, edge: int) -> dict[str, Any]:
    whole = UniformGrid(data.cell, data.densities[TRUTH].shape)
    views = {
        name: packing.coarse(whole, values.astype(float), packing.VIEW_POINTS)
        for name, values in data.densities.items()
    }
    grid = UniformGrid(data.cell, views[TRUTH].shape)
    index, where = packing.anchor(data, grid)
    fractional = data.positions @ np.linalg.inv(data.cell)
    if data.entry.generality:  # what is new in it comes to the middle
        views, fractional, index = packing.centred(views, fractional, index)
        where += ", with the cell moved to have it in the middle"
    densities: dict[str, dict[str, Any]] = {}
    for name, values in views.items():
        densities[name] = {"slices": packing.slices(values, index)}
        if not data.entry.generality:  # only their slices are shown
            densities[name]["volume"] = packing.pack(packing.coarse(grid, values, edge))
    return {
        "label": data.entry.label,
        "title": data.entry.title or data.entry.label,
        "generality": data.entry.generality,
        "cell": data.cell.tolist(),
        "fractional": (fractional % 1.0).tolist(),
        "symbols": [chemical_symbols[z] for z in data.numbers],
        "colours": ["#" + "".join(f"{int(255 * part):02x}" for part in jmol_colors[z]) for z in data.numbers],
        "shape": list(grid.shape),
        "anchor": list(index),
        "where": where,
        "densities": densities,
        "models": _models(data, study, summary),
    }


def _models(data: FieldData, study: Study, summary: Summary) -> list[dict[str, Any]]:
    """What the menu offers: the runs in the order of the study, then superposed atoms."""
    runs = {run.id: run for run in study.runs}
    label = data.entry.label
    looks = {key: look for setup in summary.setups for key, look in setup.looks.items()}
    models = [_model(runs[name], label, looks, summary) for name in data.entry.predictions]
    if SUPERPOSED in data.densities:
        known = [*study.baseline.per_snapshot, *study.baseline.generality] if study.baseline else []
        look = methods.SUPERPOSED
        models.append(
            {
                "id": SUPERPOSED,
                "name": look.name,
                "method": look.name,
                "setup": "",
                "colour": look.colour,
                "learned": False,
                "kept": None,
                "errors": _errors(known, label),
            }
        )
    return models


def _model(run: Run, label: str, looks: dict[str, Method], summary: Summary) -> dict[str, Any]:
    """A run in the menu; models and schedules are named where they are not the main ones."""
    look = looks.get(run.label, methods.method(run.method))
    kept = "" if run.method == methods.ALL else f", {fraction(run.kept)}"
    setup = "" if summary.is_of(run) else methods.setup_name(run.model, run.schedule)
    return {
        "id": run.id,
        "name": f"{look.name}{kept}{f', {setup}' if setup else ''} (seed {run.seed})",
        "method": look.name,
        "setup": setup,
        "best": summary.best is not None and not setup and run.label == summary.best.label,
        "colour": look.colour,
        "learned": True,
        "kept": run.kept,
        "errors": _errors([*run.per_snapshot, *run.generality], label),
    }


def _errors(results: list[SnapshotResult], label: str) -> dict[str, float | None] | None:
    found = next((r for r in results if r.label == label), None)
    if found is None:
        return None
    energy = found.energy_error_ha_per_atom
    return {
        "nrmse": found.nrmse_percent,
        "nmae": found.nmae_percent,
        "energy": None if energy is None else 1000 * energy,
    }


def explorer_markup(name: str, *, generality: bool, views: tuple[str, ...]) -> str:
    """Menus and empty places; explorer.js fills them with the fields that are (not) `generality`."""
    planes = "".join(
        f'<option value="{i}">{_VECTORS[a]}, {_VECTORS[b]}</option>'
        for i, (a, b) in enumerate(packing.PLANES)
    )
    menus = (
        f'<label>Snapshot<select data-role="field"></select></label>'
        f'<label>Model<select data-role="model"></select></label>'
        f'<label>Plane along<select data-role="plane">{planes}</select></label>'
    )
    body = "".join(_VIEWS[view] for view in views)
    flag = "true" if generality else "false"
    return (
        f'<div class="explorer" data-explorer="{text(name)}" data-generality="{flag}">'
        f'<div class="controls">{menus}<output class="errors" aria-live="polite"></output></div>{body}</div>'
    )


_VECTORS = ("a₁", "a₂", "a₃")
_SLICES = """
<div class="slices" data-view="slices">
  <figure class="panel"><h3>Truth <span>Kohn–Sham DFT</span></h3>
    <div class="plot" data-role="truth"></div></figure>
  <figure class="panel"><h3>Prediction <span data-role="who"></span></h3>
    <div class="plot" data-role="prediction"></div></figure>
  <figure class="panel"><h3>Error <span>prediction − truth</span></h3>
    <div class="plot" data-role="error"></div></figure>
</div>
<p class="note" data-role="slice-note"></p>
"""
_LINE = """
<figure class="panel" data-view="line">
  <div class="bar-head"><h3>Along a line</h3>
    <label>Models<select data-role="along"><option value="methods">methods at one fraction</option>
    <option value="fractions">one method at all fractions</option></select></label>
    <label>Direction<select data-role="direction">
    <option value="0">a₁</option><option value="1">a₂</option><option value="2">a₃</option></select>
    </label></div>
  <div class="plot" data-role="line" style="height:520px"></div>
  <figcaption data-role="line-note"></figcaption>
</figure>
"""
_SURFACE = """
<figure class="panel" data-view="surface">
  <div class="bar-head"><h3>In space</h3><label>Show<select data-role="quantity">
    <option value="truth">density, truth</option><option value="prediction">density, prediction</option>
    <option value="error">error of the prediction</option></select></label>
    <label class="grow">Share of the cell enclosed <output data-role="share"></output>
    <input type="range" data-role="level" min="1" max="70" step="1" value="25"></label></div>
  <div class="plot" data-role="surface" style="height:560px"></div>
  <figcaption data-role="surface-note"></figcaption>
</figure>
"""
_COMPARE = """
<figure class="panel" data-view="compare">
  <div class="bar-head"><h3>Full and pruned, side by side</h3>
    <label>Method<select data-role="beside"></select></label>
    <label>Show<select data-role="beside-quantity"><option value="error">error</option>
    <option value="density">density</option></select></label>
    <label class="grow">Share of the cell enclosed <output data-role="beside-share"></output>
    <input type="range" data-role="beside-level" min="1" max="60" step="1" value="8"></label></div>
  <div class="columns" data-role="columns"></div>
  <figcaption data-role="beside-note"></figcaption>
</figure>
"""
_VIEWS = {"compare": _COMPARE, "slices": _SLICES, "line": _LINE, "surface": _SURFACE}
