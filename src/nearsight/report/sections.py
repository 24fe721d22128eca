"""The sections of the page, in reading order; each is empty where its data are absent."""

from nearsight.report import tables
from nearsight.report.benchmark import Figures, choices
from nearsight.report.explorer import explorer_markup, side_by_side
from nearsight.report.figures.energies import energy_figures, energy_floor
from nearsight.report.figures.learning import learning_figures
from nearsight.report.figures.pruning import CLOSE, CLOSE_UP, energy_pruning_figures, pruning_figures
from nearsight.report.figures.timing import spread_out, timing_figures
from nearsight.report.glossary import glossary
from nearsight.report.markup import (
    NBSP,
    VARIANT,
    details,
    figure,
    number,
    percent,
    plain,
    properties,
    section,
    text,
)
from nearsight.report.methods import SUPERPOSED, method
from nearsight.report.reading import Study
from nearsight.report.remarks import correction_reading, energy_reading, generality_reading
from nearsight.report.summary import Summary, energy_sizes, generality_labels, has_correction, held_out_labels
from nearsight.report.tables import look_chip


def pruning_section(study: Study, summary: Summary, figures: Figures) -> str:
    """Error against the fraction kept."""
    variants = pruning_figures(summary)
    if not variants:
        return ""
    figures["pruning"] = variants
    lede = (
        "Each model sees only a part of the grid points, chosen in different ways, and is tested on "
        "snapshots that played no part in training. The closer a mark lies to the dashed line, the less "
        "was lost."
    )
    caption = _pruning_caption(study, summary, close_up=any(CLOSE_UP in name for name in variants))
    chosen = "".join(
        f"<li>{_chips(summary, key)}: {text(method(key).meaning)}.</li>" for key in summary.method_keys
    )
    rows = choices(["Error measure", "Scale", "Model"], variants)
    body = figure("pruning", rows, caption, 430)
    return section("pruning", "How few points are enough", lede, body, f'<ul class="legend">{chosen}</ul>')


def _chips(summary: Summary, key: str) -> str:
    """The names of a method's variants."""
    labels = dict.fromkeys(g.label for g in summary.pruned if g.method == key)
    return ", ".join(look_chip(summary.looks[label]) for label in labels)


def _pruning_caption(study: Study, summary: Summary, *, close_up: bool) -> str:
    caption = "Each mark is one seed; bars are means over seeds."
    if len(summary.fractions) > 1:
        caption = "Lines join means over seeds; bands span lowest to highest."
    if summary.full:
        caption += " The dashed line is the model trained on all points, the grey band its seeds."
    if close_up:
        caption += f" The close-up leaves out errors beyond {plain(CLOSE)} times that."
    if study.baseline:
        mean = study.baseline.mean
        caption += (
            f" {SUPERPOSED.name}, not drawn, stand at NRMSE {percent(mean.nrmse_percent)} "
            f"and NMAE {percent(mean.nmae_percent)}."
        )
    return caption


def energy_section(study: Study, summary: Summary, figures: Figures) -> str:
    """Energy errors against chemical accuracy."""
    variants = energy_figures(study, summary)
    if not variants:
        return ""
    figures["energies"] = variants
    limit = plain(1000 * study.chemical_accuracy_ha)
    lede = (
        "A density is worth having if it gives the right energy. Each predicted density is put into the "
        "DFT engine once, without iterating (the Harris–Foulkes energy), and compared with the energy of "
        f"the true density. Marks below the dotted line are within chemical accuracy, {limit}{NBSP}mHa/atom."
    )
    kinds = ["Energy"] if has_correction(study) else []
    body = _energy_over_fractions(study, summary, figures)
    rows = choices(["Points kept", *kinds, "Model"], variants)
    body += figure("energies", rows, _energy_caption(study), 460)
    readings = energy_reading(study, summary) + correction_reading(summary)
    return section("energies", "Energies from predicted densities", lede, readings, body)


def _energy_over_fractions(study: Study, summary: Summary, figures: Figures) -> str:
    """The mean energy error against the fraction kept, where several fractions have one."""
    if len({g.kept for g in summary.pruned if g.energy}) < 2:
        return ""
    variants = energy_pruning_figures(summary, study.chemical_accuracy_ha)
    figures["energy-pruning"] = variants
    caption = (
        "Mean of |ΔE| over the test snapshots; lines join means over seeds, bands span lowest to highest."
    )
    rows = choices(["Energy", "Scale", "Model"], variants)
    return figure("energy-pruning", rows, caption, 430)


def _energy_caption(study: Study) -> str:
    caption = (
        "Each mark is one seed on one snapshot. The axis shows the size of the error; hover for its sign."
    )
    if has_correction(study):
        caption += " Hollow marks have the second-order correction added."
    floor = energy_floor(study)
    if any(size < floor for size in energy_sizes(study)):
        caption += f" Errors below {plain(1000 * floor)}{NBSP}mHa/atom are drawn at that value."
    apart = [label for label in generality_labels(study) if label not in held_out_labels(study)]
    if apart:
        are = "are" if len(apart) > 1 else "is"
        caption += f" {text(', '.join(apart))} {are} unlike the training data."
    return caption


def timing_section(study: Study, summary: Summary, figures: Figures) -> str:
    """Where the time went."""
    variants = timing_figures(summary)
    if not variants:
        return ""
    figures["timing"] = variants
    lede = (
        "Wall time from labelled data to a trained model. Scoring and selection are the price of choosing "
        "points."
    )
    spread = any(spread_out(s.groups) for s in summary.setups)
    caption = (
        "Means over seeds; thin lines span the fastest to the slowest." if spread else "Means over seeds."
    )
    bars = max(len(f["data"][0]["y"]) for f in variants.values())
    parted = any(name.split(VARIANT)[0].endswith("%") for name in variants)
    rows = choices([*(["Points kept"] if parted else []), "Model"], variants)
    body = figure("timing", rows, f"{caption} {_measured_on(study)}", 130 + 34 * bars)
    return section("timing", "What it cost", lede, body)


def _measured_on(study: Study) -> str:
    """Machine and threads, as far as they are recorded."""
    machine = study.machine.get("processor")
    if not machine:
        return ""
    words = f"Measured on {text(machine)}"
    if cores := study.machine.get("cores"):
        words += f", {text(cores)} core{'' if cores == 1 else 's'}"
    threads = study.machine.get("threads", study.settings.get("threads"))
    if threads:
        words += f", {text(threads)} thread{'' if threads == 1 else 's'} a run"
    return f"{words}; timings of other machines differ."


def density_section(study: Study, summary: Summary) -> str:
    """Slices, line and isosurface of the test snapshots."""
    if all(entry.generality for entry in study.fields):
        return ""
    lede = (
        "Look at the electron density itself. Choose a test snapshot, a model and a plane; truth and "
        "prediction share one colour scale, and the error is drawn about zero."
    )
    views: tuple[str, ...] = ("slices", "line", "surface")
    if side_by_side(study, summary):
        views = ("slices", "compare", "line", "surface")
    body = explorer_markup("density", generality=False, views=views)
    return section("density", "The density, truth and prediction", lede, body)


def generality_section(study: Study, summary: Summary) -> str:
    """Structures unlike the training data."""
    has_fields = any(entry.generality for entry in study.fields)
    if not generality_labels(study) and not has_fields:
        return ""
    lede = (
        "The same models, without further training, on structures unlike those they learned from. "
        "If learning is local, as Kohn’s nearsightedness says, they should carry over."
    )
    numbers = tables.generality_table(study, summary) if generality_labels(study) else ""
    body = explorer_markup("generality", generality=True, views=("slices",)) if has_fields else ""
    reading = generality_reading(study, summary)
    return section("generality", "Beyond the training data", lede, reading, numbers, body)


def learning_section(study: Study, summary: Summary, figures: Figures) -> str:
    """Learning curves."""
    variants = learning_figures(summary)
    if not variants:
        return ""
    figures["learning"] = variants
    lede = (
        "The error on validation data while training. A curve that rises again fits its own points at the "
        "cost of all others."
    )
    caption = (
        "Validation data are neither trained on nor tested on. A thicker curve is the first seed; a curve "
        "ends where its training stopped."
    )
    body = figure("learning", choices(["Points kept", "Model"], variants), caption, 430)
    return section("learning", "Learning curves", lede, body)


def record_section(study: Study, summary: Summary) -> str:
    """Everything needed to check and repeat the study."""
    data = study.dataset
    origin = {"command": study.command, "created": study.created, "seed": study.seed}
    made = {"data set": data.model_dump(), "engine": study.engine}
    parts = [
        details("Settings covered", tables.coverage_table(summary), is_open=True),
        details("Every result", tables.snapshot_table(study)),
        details("Provenance", properties({"study": origin, **made})),
        details("Training settings", properties(study.settings)) if study.settings else "",
        details("Software and machine", properties({"software": study.software, "machine": study.machine})),
        details("Words used on this page", glossary(study)),
    ]
    return section(
        "record", "The record", "Everything needed to check these numbers and to make them again.", *parts
    )


def subtitle(study: Study) -> str:
    """The data in one line, as far as they are known."""
    data = study.dataset
    counts = data.n_snapshots
    parts = [text(data.formula)] if data.formula else []
    if counts:
        parts.append(", ".join(f"{n} {text(split)}" for split, n in counts.items() if n) + " snapshots")
        apart = len(generality_labels(study))
        parts[-1] += f" ({apart} unlike the training data)" if apart else ""
    if data.n_points_train:
        parts.append(f"{data.n_points_train:,} training points".replace(",", "\u202f"))
    if data.spacing_bohr:
        parts.append(f"grid spacing {number(data.spacing_bohr)}{NBSP}bohr")
    return " · ".join(parts)
