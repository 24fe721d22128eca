"""The energy with the second-order correction: shown where it is known, and nowhere else."""

import json
import re
from html.parser import HTMLParser

import pytest

from nearsight.errors import FileFormatError
from nearsight.report import write_report
from nearsight.report.figures.energies import ENERGIES, energy_figures, energy_floor
from nearsight.report.reading import Study, read_study
from nearsight.report.remarks import correction_reading
from nearsight.report.summary import Summary
from nearsight.report.tables import coverage_table, generality_table, snapshot_table

PLAIN, ADDED = ENERGIES


def figures(content):
    study = Study.model_validate(content)
    return energy_figures(study, Summary.of(study))


def sentence(content):
    return correction_reading(Summary.of(Study.model_validate(content)))


def cells(html):
    """Rows of a table as text."""
    rows = []

    class Rows(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag == "tr":
                rows.append([])
            elif tag in ("td", "th"):
                rows[-1].append("")

        def handle_data(self, data):
            if rows and rows[-1]:
                rows[-1][-1] += data

    Rows().feed(html)
    return rows


def test_without_it_nothing_speaks_of_it(content, write, tmp_path):
    html = write_report(write(content, tmp_path / "study"), tmp_path / "page.html").read_text(
        encoding="utf-8"
    )
    own = html[: html.index('<script type="application/json" id="fields">')]
    own = own[own.index("</style>") :]
    assert not re.search("correct", own, re.IGNORECASE)
    assert "Hollow" not in own
    assert list(figures(content)) == ["1 %", "0.1 %"]
    assert sentence(content) == ""


def test_each_fraction_has_both_energies_on_one_axis(corrected):
    drawn = figures(corrected(0.1))
    assert list(drawn) == [f"{kept} · {kind}" for kept in ("1 %", "0.1 %") for kind in (PLAIN, ADDED)]
    for kept in ("1 %", "0.1 %"):
        solid, hollow = (drawn[f"{kept} · {kind}"] for kind in (PLAIN, ADDED))
        assert solid["layout"]["yaxis"]["range"] == hollow["layout"]["yaxis"]["range"]
        assert "corrected" in hollow["layout"]["yaxis"]["title"]["text"]
        marks = [[t for t in f["data"] if t["mode"] == "markers"] for f in (solid, hollow)]
        assert len(marks[0]) == len(marks[1]) == 6
        for one, two in zip(*marks, strict=True):
            assert two["marker"]["symbol"] == one["marker"]["symbol"] + "-open"
            assert two["marker"]["color"] == one["marker"]["color"]
            assert two["y"] == pytest.approx([0.1 * y for y in one["y"]])
            assert two["x"] == one["x"]


def test_an_error_near_zero_is_drawn_at_the_floor(corrected):
    content = corrected(0.1)
    content["runs"][0]["per_snapshot"][0]["corrected_energy_error_ha_per_atom"] = 0.0
    dots = figures(content)[f"1 % · {ADDED}"]["data"][0]
    assert dots["y"][0] == pytest.approx(1000 * energy_floor(Study.model_validate(content)))
    assert "+0 mHa/atom" in dots["text"][0]


@pytest.mark.parametrize(
    ("factor", "verb"), [(0.2, "lowers"), (0.97, "hardly changes"), (1.03, "hardly changes"), (3, "raises")]
)
def test_the_sentence_says_what_happens(corrected, factor, verb):
    words = sentence(corrected(factor))
    assert f"estimate {verb} the mean |ΔE| from" in words
    assert words.count(" from ") == 3  # "far … from self-consistency", and two models
    others = {"lowers", "hardly changes", "raises"} - {verb}
    assert not any(other in words for other in others)


def test_the_sentence_tells_models_apart(corrected):
    content = corrected(0.2)
    for run in content["runs"]:
        if run["method"] != "all":
            run["corrected_energy_error_ha_per_atom"] *= 20
    words = sentence(content)
    assert words.index("lowers") < words.index("all points") < words.index(", but raises")


def test_the_sentence_compares_the_same_runs(corrected):
    content = corrected(0.5)
    first, second = (run for run in content["runs"] if run["method"] == "all")
    first["energy_error_ha_per_atom"], first["corrected_energy_error_ha_per_atom"] = 1e-3, 5e-4
    second["energy_error_ha_per_atom"], second["corrected_energy_error_ha_per_atom"] = 1e-5, None
    assert "from 1.00 to 0.500\u00a0mHa/atom with all points" in sentence(content)


def test_tables_gain_a_column(corrected):
    study = Study.model_validate(corrected(0.5))
    summary = Summary.of(study)
    head, *rows = cells(generality_table(study, summary))
    assert head == ["al-vacancy", "NRMSE", "NMAE", "|ΔE| (mHa/atom)", "corrected |ΔE| (mHa/atom)"]
    assert float(rows[-1][-1]) == pytest.approx(0.5 * float(rows[-1][-2]), rel=0.01)
    head, *rows = cells(snapshot_table(study))
    at = head.index("corrected ΔE (mHa/atom)")
    assert len(rows) == 4 * len(study.runs) + 4
    assert all((row[at] + row[at - 1]).count("−") == 1 for row in rows)
    assert cells(coverage_table(summary))[0][-1] == "corrected |ΔE| (mHa/atom)"


def test_a_gap_is_a_dash(corrected):
    content = corrected(0.5)
    for run in content["runs"]:
        if run["method"] == "random":
            run["corrected_energy_error_ha_per_atom"] = None
            for result in (*run["per_snapshot"], *run["generality"]):
                result["corrected_energy_error_ha_per_atom"] = None
    study = Study.model_validate(content)
    rows = cells(generality_table(study, Summary.of(study)))
    assert [row[-1] == "–" for row in rows] == [row[0].startswith("Random") for row in rows]
    names = [trace["name"] for trace in figures(content)[f"1 % · {ADDED}"]["data"]]
    assert "All points" in names
    assert not any(name.startswith("Random") for name in names)


def test_the_page_has_a_button_and_a_word_for_it(corrected, write, tmp_path):
    html = write_report(write(corrected(0.5), tmp_path / "study"), tmp_path / "page.html").read_text("utf-8")
    assert f'data-variant="{ADDED}" aria-pressed="false"' in html
    assert "<dt>Corrected ΔE</dt>" in html
    assert "Hollow marks" in html
    found = re.search(r'id="figures">(.*?)</script>', html)
    assert found is not None
    assert f"1 % · {ADDED}" in json.loads(found[1])["energies"]


def test_a_mean_below_zero_is_refused(corrected, write, tmp_path):
    content = corrected(0.5)
    content["runs"][0]["corrected_energy_error_ha_per_atom"] = -1e-4
    with pytest.raises(FileFormatError, match="corrected_energy_error_ha_per_atom"):
        read_study(write(content, tmp_path / "study"))
