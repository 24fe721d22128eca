"""One self-contained page from a study: template, style and scripts come from the package."""

import os
from importlib.resources import files
from pathlib import Path
from string import Template

from plotly.offline import get_plotlyjs

from nearsight.errors import InputError
from nearsight.report import benchmark, sections
from nearsight.report.explorer import explorer_data
from nearsight.report.headline import headline_section
from nearsight.report.markup import script_json, text
from nearsight.report.reading import Study, read_study
from nearsight.report.summary import Summary

#: scripts of the page, in this order
SCRIPTS = ("plots.js", "surface.js", "views.js", "explorer.js")
#: anchors and names for the bar at the top
_NAMES = {
    "learned": "Findings",
    "pruning": "Fewer points",
    "methods": "Methods",
    "energies": "Energies",
    "coverage": "Coverage",
    "timing": "Cost",
    "density": "Density",
    "generality": "Generality",
    "sensitivity": "Sensitivity",
    "learning": "Learning",
    "record": "Record",
}


def write_report(study: Path, output: Path) -> Path:
    """Write the report of a study as one HTML page that works offline.

    Parameters
    ----------
    study : Path
        Folder with ``study.json`` and its fields (docs/study-format.md).
    output : Path
        The page to write; its folder is made where missing. Written under a temporary name and
        renamed, so that a page is never half there.

    Returns
    -------
    Path
        `output`.

    Raises
    ------
    InputError
        The study is missing or malformed, or the page cannot be written.
    """
    html = render(Path(study), read_study(Path(study)))
    output = Path(output)
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(html, encoding="utf-8")
        temporary.replace(output)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"cannot write the report {output}: {error.strerror}; choose another -o") from None
    return output


def render(folder: Path, study: Study) -> str:
    """The page as text; `folder` is where the field files are."""
    summary = Summary.of(study)
    figures: benchmark.Figures = {}
    parts = {
        "learned": headline_section(study, summary),
        "pruning": sections.pruning_section(study, summary, figures),
        "methods": benchmark.comparison_section(study, summary, figures),
        "energies": sections.energy_section(study, summary, figures),
        "coverage": benchmark.coverage_section(study, summary),
        "timing": sections.timing_section(study, summary, figures),
        "density": sections.density_section(study, summary),
        "generality": sections.generality_section(study, summary),
        "sensitivity": benchmark.sensitivity_section(study, summary, figures),
        "learning": sections.learning_section(study, summary, figures),
        "record": sections.record_section(study, summary),
    }
    links = "".join(f'<a href="#{anchor}">{_NAMES[anchor]}</a>' for anchor, part in parts.items() if part)
    return Template(_resource("page.html")).substitute(
        title=text(study.title),
        subtitle=sections.subtitle(study),
        made=text(" · ".join(part for part in (study.created, study.command) if part)),
        style=_resource("style.css"),
        links=links,
        body="\n".join(part for part in parts.values() if part),
        figures=script_json(figures),
        fields=script_json(explorer_data(folder, study, summary)),
        plotly=get_plotlyjs().replace("</script", "<\\/script"),
        scripts="\n".join(_resource(name) for name in SCRIPTS),
    )


def _resource(name: str) -> str:
    return files("nearsight.report").joinpath(name).read_text(encoding="utf-8")
