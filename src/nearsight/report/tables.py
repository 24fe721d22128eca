"""Tables: which settings were covered, every result, and the structures unlike the training data."""

from collections.abc import Sequence

from nearsight.report.markup import count, mha, number, percent, table, text
from nearsight.report.methods import SUPERPOSED, Method
from nearsight.report.reading import Baseline, Means, Run, SnapshotResult, Study
from nearsight.report.summary import Group, Summary, fraction, generality_labels, has_correction

#: a browser would break a line within the bars
_SIZE = '<span class="whole">|ΔE|</span>'
#: tables of more rows are set close
_MANY = 24
#: of a table with a row for every run on every snapshot; beyond it seeds are averaged
_MOST_ROWS = 1500


def coverage_table(summary: Summary) -> str:
    """What was tried: seeds, points, steps, mean errors; notes of the runs stand below."""
    head = ["Method", "Kept", "Seeds", "Points", "Steps", "NRMSE (%)", "NMAE (%)", f"mean {_SIZE} (mHa/atom)"]
    every = [(setup, group) for setup in summary.setups for group in setup.groups]
    rows = [_coverage_row(group) for _, group in every]
    if any(group.validation for _, group in every):
        head.insert(5, "validation NRMSE (%)")
        for row, (_, group) in zip(rows, every, strict=True):
            row.insert(5, number(group.validation.mean if group.validation else None))
    if any(group.corrected_energy for _, group in every):
        head.append(f"corrected {_SIZE} (mHa/atom)")
        for row, (_, group) in zip(rows, every, strict=True):
            row.append(mha(group.corrected_energy.mean if group.corrected_energy else None))
    n_text = 1
    if summary.others:
        n_text = 2
        head.insert(1, "Model")
        for row, (setup, _) in zip(rows, every, strict=True):
            row.insert(1, text(setup.name))
    notes = [
        f"<li>{chip(g, g.name)}{text(f', {setup.name}') if summary.others else ''}: "
        f"{text('; '.join(found))}.</li>"
        for setup, g in every
        if (found := _notes(g))
    ]
    below = f'<ul class="notes">{"".join(notes)}</ul>' if notes else ""
    return table(head, rows, n_text=n_text, dense=len(rows) > _MANY) + below


def _notes(group: Group) -> list[str]:
    return list(dict.fromkeys(note.rstrip(".") for run in group.runs for note in run.notes))


def _coverage_row(group: Group) -> list[str]:
    errors = [
        number(group.nrmse.mean),
        number(group.nmae.mean),
        mha(group.energy.mean if group.energy else None),
    ]
    seeds = text(", ".join(str(run.seed) for run in group.runs))
    return [chip(group), fraction(group.kept), seeds, _points(group), _steps(group), *errors]


def _steps(group: Group) -> str:
    steps = sorted({run.steps for run in group.runs if run.steps is not None})
    return " – ".join(count(n) for n in dict.fromkeys((steps[0], steps[-1]))) if steps else "–"


def _points(group: Group) -> str:
    used = " / ".join(count(n) for n in dict.fromkeys(run.n_points for run in group.runs))
    asked = group.runs[0].n_points_asked
    short = asked is not None and any(run.n_points < asked for run in group.runs)
    return f"{used} of {count(asked)} asked" if short else used


def snapshot_table(study: Study) -> str:
    """Every run on every snapshot, superposed atoms last; means over seeds where runs are many."""
    corrected = has_correction(study)
    parts = [(text(run.id), run) for run in study.runs]
    both: list[tuple[str, Run | Baseline]] = [*parts, *_superposed(study)]
    if sum(len(part.per_snapshot) + len(part.generality) for _, part in both) > _MOST_ROWS:
        both = [*_means_over_seeds(study), *_superposed(study)]
    rows = [
        _errors_row(name, r, corrected=corrected)
        for name, part in both
        for r in (*part.per_snapshot, *part.generality)
    ]
    energies = ["ΔE (mHa/atom)", "corrected ΔE (mHa/atom)"] if corrected else ["ΔE (mHa/atom)"]
    rest = ["Hartree error (mHa/atom)", "|∇e| (e/bohr<sup>5/2</sup>)"]
    head = ["Run", "Snapshot", "Formula", "NRMSE (%)", "NMAE (%)", *energies, *rest]
    return table(head, rows, n_text=3, dense=True)


def _means_over_seeds(study: Study) -> list[tuple[str, Baseline]]:
    """Each group's errors on each snapshot as means over its seeds, energies as mean sizes."""
    main = Summary.of(study)
    found = []
    for setup in main.setups:
        for group in setup.groups:
            name = f"{group.name}, {setup.name}" if main.others else group.name
            runs = group.runs
            tests = [_mean_result(r) for r in zip(*(run.per_snapshot for run in runs), strict=False)]
            apart = [_mean_result(r) for r in zip(*(run.generality for run in runs), strict=False)]
            mean = Means(nrmse_percent=group.nrmse.mean, nmae_percent=group.nmae.mean)
            found.append((text(name), Baseline(per_snapshot=tests, generality=apart, mean=mean)))
    return found


def _mean_result(results: Sequence[SnapshotResult]) -> SnapshotResult:
    numbers = (
        "nrmse_percent",
        "nmae_percent",
        "h1_seminorm",
        "hartree_error_ha_per_atom",
        "energy_error_ha_per_atom",
        "corrected_energy_error_ha_per_atom",
    )
    means = {name: _mean([getattr(r, name) for r in results]) for name in numbers}
    return results[0].model_copy(update=means)


def _superposed(study: Study) -> list[tuple[str, Baseline]]:
    return [(SUPERPOSED.name, study.baseline)] if study.baseline else []


def _errors_row(name: str, r: SnapshotResult, *, corrected: bool) -> list[str]:
    errors = [number(r.nrmse_percent), number(r.nmae_percent), mha(r.energy_error_ha_per_atom)]
    errors += [mha(r.corrected_energy_error_ha_per_atom)] if corrected else []
    rest = [mha(r.hartree_error_ha_per_atom), number(r.h1_seminorm)]
    return [name, text(r.label), text(r.formula), *errors, *rest]


def generality_table(study: Study, summary: Summary) -> str:
    """Structures unlike the training data: mean over seeds for all points and the headline's fraction."""
    kept = summary.headline_fraction
    groups = [summary.full] if summary.full else []
    groups += summary.at(kept) if kept is not None else []
    models = [(chip(g, g.name), [r for run in g.runs for r in run.generality]) for g in groups]
    models += [(name, base.generality) for name, base in _superposed(study)]
    corrected = any(
        r.corrected_energy_error_ha_per_atom is not None for _, results in models for r in results
    )
    labels = generality_labels(study)
    rows = [
        [text(label), name, *_mean_errors(found, corrected=corrected)]
        for label in labels
        for name, results in models
        if (found := [r for r in results if r.label == label])
    ]
    head = [
        "Structure",
        "Model",
        "NRMSE",
        "NMAE",
        f"{_SIZE} (mHa/atom)",
        *([f"corrected {_SIZE} (mHa/atom)"] if corrected else []),
    ]
    if len(labels) == 1:  # one name at the head instead of a column of it
        return table([text(labels[0]), *head[2:]], [row[1:] for row in rows])
    return table(head, rows, n_text=2)


def _mean_errors(results: list[SnapshotResult], *, corrected: bool) -> list[str]:
    nrmse = _mean([r.nrmse_percent for r in results])
    nmae = _mean([r.nmae_percent for r in results])
    energies = [_mean([r.energy_error_ha_per_atom for r in results])]
    if corrected:
        energies.append(_mean([r.corrected_energy_error_ha_per_atom for r in results]))
    return [percent(nrmse), percent(nmae), *(mha(energy) for energy in energies)]


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean size of the values that are known, None where none is."""
    known = [abs(v) for v in values if v is not None]
    return sum(known) / len(known) if known else None


def chip(group: Group, name: str | None = None) -> str:
    """The name of a group's method beside its colour."""
    return look_chip(group.look, name)


def look_chip(look: Method, name: str | None = None) -> str:
    """The name of a method beside its colour."""
    return f'<span class="chip"><i style="background:{look.colour}"></i>{text(name or look.name)}</span>'
