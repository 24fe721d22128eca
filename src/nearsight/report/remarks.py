"""Sentences that read a figure or table for a newcomer, chosen by comparing its numbers."""

from itertools import groupby

from nearsight.report.markup import NBSP, mha, number, percent, text
from nearsight.report.reading import SnapshotResult, Study
from nearsight.report.summary import SAME, Group, Summary, generality_labels


def energy_reading(study: Study, summary: Summary) -> str:
    """The largest energy error on a test snapshot, for the headline's models and superposed atoms."""
    parts = []
    for group in (summary.full, summary.best):
        results = [r for run in group.runs for r in run.per_snapshot] if group else []
        if group and (top := _largest(results)) is not None:
            parts.append(f"{mha(top)} with {text(group.points)}")
    if not parts:
        return ""
    nothing = _largest(study.baseline.per_snapshot) if study.baseline else None
    beside = f"; superposed atoms reach {mha(nothing)}" if nothing is not None else ""
    largest = ", ".join(parts)
    return f'<p class="reading">Largest |ΔE| on any test snapshot, in mHa/atom: {largest}{beside}.</p>'


def correction_reading(summary: Summary) -> str:
    """What the second-order correction does to the mean energy error of the headline's models."""
    effects = [e for group in (summary.full, summary.best) if group and (e := _correction(group))]
    if not effects:
        return ""
    clauses = [
        f"{verb} the mean |ΔE| " + " and ".join(change for _, change in alike)
        for verb, alike in groupby(effects, key=lambda effect: effect[0])
    ]
    return (
        '<p class="reading">One diagonalisation also tells how far the density is from self-consistency; '
        f"adding that second-order estimate {', but '.join(clauses)}.</p>"
    )


def _correction(group: Group) -> tuple[str, str] | None:
    """A verb and the change, over those runs that know both energies."""
    pairs = [
        (run.energy_error_ha_per_atom, run.corrected_energy_error_ha_per_atom)
        for run in group.runs
        if run.energy_error_ha_per_atom is not None and run.corrected_energy_error_ha_per_atom is not None
    ]
    if not pairs:
        return None
    before, after = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
    if before <= SAME * after and after <= SAME * before:
        verb = "hardly changes"
    else:
        verb = "lowers" if after < before else "raises"
    return verb, f"from {mha(before)} to {mha(after)}{NBSP}mHa/atom with {text(group.points)}"


def generality_reading(study: Study, summary: Summary) -> str:
    """How much larger the error is than on the test snapshots, for the model trained on all points."""
    group = summary.full or summary.best
    if group is None:
        return ""
    sentences = [s for label in generality_labels(study) if (s := _carried_over(group, study, label))]
    return f'<p class="reading">{" ".join(sentences)}</p>' if sentences else ""


def _carried_over(group: Group, study: Study, label: str) -> str:
    found = [r for run in group.runs for r in run.generality if r.label == label]
    if not found:
        return ""
    error = sum(r.nrmse_percent for r in found) / len(found)
    ratio = error / group.nrmse.mean if group.nrmse.mean else float("inf")
    base = [r for r in study.baseline.generality if r.label == label] if study.baseline else []
    words = f"{number(ratio)} times its error on the test snapshots"
    if base:
        better = "below" if error < base[0].nrmse_percent else "not below"
        words += f" and {better} the {percent(base[0].nrmse_percent)} of superposed atoms"
    points = "all points" if group.is_full else text(group.name)
    return f"On {text(label)} the model trained on {points} has an NRMSE of {percent(error)}: {words}."


def _largest(results: list[SnapshotResult]) -> float | None:
    sizes = [abs(r.energy_error_ha_per_atom) for r in results if r.energy_error_ha_per_atom is not None]
    return max(sizes) if sizes else None
