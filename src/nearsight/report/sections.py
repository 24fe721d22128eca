"""The sections of the page, in reading order; each is empty where its data are absent."""

from nearsight.report import tables
from nearsight.report.explorer import explorer_markup
from nearsight.report.figures.energies import energy_figures, energy_floor
from nearsight.report.figures.layout import Figure
from nearsight.report.figures.learning import learning_figures
from nearsight.report.figures.pruning import CLOSE, pruning_figures
from nearsight.report.figures.timing import spread_out, timing_figure
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

#: figures by name, then by the variant that a button shows
Figures = dict[str, dict[str, Figure]]


def pruning_section(study: Study, summary: Summary, figures: Figures) -> str:
    """Error against the fraction kept."""
    variants = pruning_figures(study, summary)
    if not variants:
        return ""
    figures["pruning"] = variants
    lede = (
        "Each model sees only a part of the grid points, chosen in different ways, and is tested on "
        "snapshots that played no part in training. The closer a mark lies to the dashed line, the less "
        "was lost."
    )
    caption = _pruning_caption(study, summary, close_up=len(variants) > 2)
    chosen = "".join(f"<li>{_chip(key)}: {text(method(key).meaning)}.</li>" for key in summary.method_keys)
    body = figure("pruning", {"Error measure": list(variants)}, caption, 430)
    return section("pruning", "How few points are enough", lede, body, f'<ul class="legend">{chosen}</ul>')


def _pruning_caption(study: Study, summary: Summary, *, close_up: bool) -> str:
    caption = "Each mark is one seed; bars are means over seeds."
    if len(summary.fractions) > 1:
        caption = "Lines join means over seeds; bands span lowest to highest."
    if summary.full:
        caption += " The dashed line is the model trained on all points, the grey band its seeds."
    if close_up:
        caption += f" Close-ups leave out errors beyond {plain(CLOSE)} times that."
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
    body = figure("energies", _energy_choices(variants), _energy_caption(study), 460)
    readings = energy_reading(study, summary) + correction_reading(summary)
    return section("energies", "Energies from predicted densities", lede, readings, body)


def _energy_choices(variants: dict[str, Figure]) -> dict[str, list[str]]:
    parts = [name.split(VARIANT) for name in variants]
    labels = ("Points kept", "Energy")[: len(parts[0])]
    return {
        label: list(dict.fromkeys(values))
        for label, values in zip(labels, zip(*parts, strict=True), strict=True)
    }


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
    drawn = timing_figure(summary)
    if drawn is None:
        return ""
    figures["timing"] = {"time": drawn}
    lede = (
        "Wall time from labelled data to a trained model. Scoring and selection are the price of choosing "
        "points."
    )
    caption = (
        "Means over seeds; thin lines span the fastest to the slowest. "
        if spread_out(summary)
        else "Means over seeds. "
    )
    machine = study.machine.get("processor")
    if machine:
        caption += f"Measured on {text(machine)}; timings of other machines differ."
    height = 130 + 34 * len(summary.groups)
    return section("timing", "What it cost", lede, figure("timing", {"Time": ["time"]}, caption, height))


def density_section(study: Study) -> str:
    """Slices, line and isosurface of the test snapshots."""
    if all(entry.generality for entry in study.fields):
        return ""
    lede = (
        "Look at the electron density itself. Choose a test snapshot, a model and a plane; truth and "
        "prediction share one colour scale, and the error is drawn about zero."
    )
    body = explorer_markup("density", generality=False, views=("slices", "line", "surface"))
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
    body = figure("learning", {"Points kept": list(variants)}, caption, 430)
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


def _chip(key: str) -> str:
    look = method(key)
    return f'<span class="chip"><i style="background:{look.colour}"></i><b>{text(look.name)}</b></span>'
