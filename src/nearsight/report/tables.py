"""Tables: which settings were covered, every result, and the structures unlike the training data."""

from nearsight.report.markup import mha, number, percent, table, text
from nearsight.report.methods import SUPERPOSED
from nearsight.report.reading import SnapshotResult, Study
from nearsight.report.summary import Group, Summary, fraction, generality_labels

_ERRORS = (
    "NRMSE (%)",
    "NMAE (%)",
    "ΔE (mHa/atom)",
    "Hartree error (mHa/atom)",
    "|∇e| (e/bohr<sup>5/2</sup>)",
)


def coverage_table(summary: Summary) -> str:
    """What was tried: seeds, points, steps, mean errors; notes of the runs stand below."""
    head = ["Method", "Kept", "Seeds", "Points", "Steps", "NRMSE (%)", "NMAE (%)", "mean |ΔE| (mHa/atom)"]
    notes = [
        f"<li>{chip(g, g.name)}: {text('; '.join(found))}.</li>"
        for g in summary.groups
        if (found := _notes(g))
    ]
    below = f'<ul class="notes">{"".join(notes)}</ul>' if notes else ""
    return table(head, [_coverage_row(group) for group in summary.groups]) + below


def _notes(group: Group) -> list[str]:
    return list(dict.fromkeys(note.rstrip(".") for run in group.runs for note in run.notes))


def _coverage_row(group: Group) -> list[str]:
    errors = [
        number(group.nrmse.mean),
        number(group.nmae.mean),
        mha(group.energy.mean if group.energy else None),
    ]
    seeds = text(", ".join(str(run.seed) for run in group.runs))
    return [chip(group), fraction(group.kept), seeds, _points(group), _count(group.runs[0].steps), *errors]


def _points(group: Group) -> str:
    used = " / ".join(_count(n) for n in dict.fromkeys(run.n_points for run in group.runs))
    asked = group.runs[0].n_points_asked
    short = asked is not None and any(run.n_points < asked for run in group.runs)
    return f"{used} of {_count(asked)} asked" if short else used


def snapshot_table(study: Study) -> str:
    """Every run on every snapshot, superposed atoms last."""
    rows = []
    for run in study.runs:
        kept = "" if run.method == "all" else f" · {fraction(run.kept)}"
        rows += [_errors_row(text(run.id) + kept, r) for r in (*run.per_snapshot, *run.generality)]
    if study.baseline:
        results = (*study.baseline.per_snapshot, *study.baseline.generality)
        rows += [_errors_row(SUPERPOSED.name, r) for r in results]
    return table(["Run", "Snapshot", "Formula", *_ERRORS], rows, n_text=3, dense=True)


def _errors_row(name: str, r: SnapshotResult) -> list[str]:
    errors = [number(r.nrmse_percent), number(r.nmae_percent), mha(r.energy_error_ha_per_atom)]
    rest = [mha(r.hartree_error_ha_per_atom), number(r.h1_seminorm)]
    return [name, text(r.label), text(r.formula), *errors, *rest]


def generality_table(study: Study, summary: Summary) -> str:
    """Structures unlike the training data: mean over seeds for all points and the headline's fraction."""
    rows = []
    for label in generality_labels(study):
        kept = summary.headline_fraction
        groups = [summary.full] if summary.full else []
        groups += summary.at(kept) if kept is not None else []
        rows += [row for group in groups if (row := _generality_row(group, label))]
        base = study.baseline.generality if study.baseline else []
        rows += [
            [text(label), SUPERPOSED.name, percent(r.nrmse_percent), percent(r.nmae_percent), _size(r)]
            for r in base
            if r.label == label
        ]
    head = ["Structure", "Model", "NRMSE", "NMAE", "|ΔE| (mHa/atom)"]
    return table(head, rows, n_text=2)


def _generality_row(group: Group, label: str) -> list[str] | None:
    found = [r for run in group.runs for r in run.generality if r.label == label]
    if not found:
        return None
    nrmse = sum(r.nrmse_percent for r in found) / len(found)
    nmae = sum(r.nmae_percent for r in found) / len(found)
    energies = [abs(r.energy_error_ha_per_atom) for r in found if r.energy_error_ha_per_atom is not None]
    energy = sum(energies) / len(energies) if energies else None
    return [text(label), chip(group, group.name), percent(nrmse), percent(nmae), mha(energy)]


def chip(group: Group, name: str | None = None) -> str:
    """The name of a method beside its colour."""
    look = group.look
    return f'<span class="chip"><i style="background:{look.colour}"></i>{text(name or look.name)}</span>'


def _size(result: SnapshotResult) -> str:
    energy = result.energy_error_ha_per_atom
    return mha(None if energy is None else abs(energy))


def _count(n: int | None) -> str:
    return "–" if n is None else f"{n:,}".replace(",", "\u202f")
