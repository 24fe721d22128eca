"""The page: complete, self-contained, true to the numbers, safe against what a study may hold."""

import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from nearsight.errors import InputError
from nearsight.report import write_report

SECTIONS = ["learned", "pruning", "energies", "timing", "density", "generality", "learning", "record"]


class Page(HTMLParser):
    """What the tests look at: attributes, section ids, card values, text and JSON scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.links: list[str] = []
        self.cards: dict[tuple[str, str], float] = {}
        self.tags: list[str] = []
        self.words: list[str] = []
        self.scripts: dict[str, str] = {}
        self._script: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {k: v or "" for k, v in attrs}
        self.tags.append(tag)
        self.links += [found[k] for k in ("src", "href", "srcset", "action", "data", "poster") if k in found]
        if tag == "section":
            self.sections.append(found["id"])
        if "data-card" in found:
            self.cards[found["data-card"], found["data-method"]] = float(found["data-value"])
        if tag == "script":
            self._script = found.get("id", f"code {len(self.scripts)}")

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is None:
            self.words.append(data)
        else:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def build(folder: Path) -> Page:
    return Page(write_report(folder, folder.parent / "page.html").read_text(encoding="utf-8"))


@pytest.fixture
def page(with_fields) -> Page:
    return build(with_fields[1])


def test_every_section_is_there_and_linked(page):
    assert page.sections == SECTIONS
    assert [link for link in page.links if link.startswith("#")] == [f"#{name}" for name in SECTIONS]


def test_nothing_is_fetched(page, with_fields):
    html = (with_fields[1].parent / "page.html").read_text(encoding="utf-8")
    assert all(link.startswith("#") for link in page.links)
    assert "link" not in page.tags
    assert "iframe" not in page.tags
    assert "default-src 'none'" in html
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    own = [code for name, code in page.scripts.items() if "whenSeen" in code or name in ("figures", "fields")]
    assert len(own) == 3
    assert not any("http" in code for code in own)


def test_plotly_is_there_once(with_fields, page):
    assert sum("plotly.js v" in code for code in page.scripts.values()) == 1
    assert page.tags.count("script") == 4


def test_cards_hold_the_means_of_the_study(page, with_fields):
    content, _ = with_fields
    small = [r for r in content["runs"] if r["kept"] == 0.01]
    by_method = {m: [r for r in small if r["method"] == m] for m in {r["method"] for r in small}}
    nrmse = {m: np.mean([r["nrmse_percent"] for r in runs]) for m, runs in by_method.items()}
    best = min(nrmse, key=nrmse.__getitem__)
    full = [r for r in content["runs"] if r["method"] == "all"]
    for method, runs in (("all", full), (best, by_method[best])):
        for card, key in (
            ("nmae", "nmae_percent"),
            ("nrmse", "nrmse_percent"),
            ("energy", "energy_error_ha_per_atom"),
            ("points", "points_per_atom"),
        ):
            expected = np.mean([r[key] for r in runs])
            assert expected > 0
            assert page.cards[card, method] == pytest.approx(expected, rel=1e-12)
        total = np.mean([sum(r["seconds"].values()) for r in runs])
        assert page.cards["time", method] == pytest.approx(total, rel=1e-12)
    mean = content["baseline"]["mean"]
    assert page.cards["nrmse", "superposed"] == mean["nrmse_percent"]
    assert page.cards["energy", "superposed"] == mean["energy_error_ha_per_atom"]


def test_figures_hold_the_numbers_of_the_study(page, with_fields):
    content, _ = with_fields
    figures = json.loads(page.scripts["figures"])
    drawn = {
        t["name"]: t
        for t in figures["pruning"]["NMAE · absolute"]["data"]
        if t.get("mode") == "lines+markers"
    }
    for method, name in (("random", "Random"), ("ccs", "CCS")):
        for x, y in zip(drawn[name]["x"], drawn[name]["y"], strict=True):
            runs = [r for r in content["runs"] if r["method"] == method and abs(100 * r["kept"] - x) < 1e-9]
            assert len(runs) == 2
            assert y == pytest.approx(np.mean([r["nmae_percent"] for r in runs]))
    dots = next(t for t in figures["energies"]["1 %"]["data"] if t["name"] == "All points")
    first = content["runs"][0]["per_snapshot"][0]
    assert dots["y"][0] == pytest.approx(1000 * abs(first["energy_error_ha_per_atom"]))


def test_every_axis_has_a_name(page):
    figures = json.loads(page.scripts["figures"])
    assert set(figures) == {"pruning", "energy-pruning", "energies", "timing", "learning"}
    for variants in figures.values():
        for figure in variants.values():
            titles = [figure["layout"][axis]["title"]["text"] for axis in ("xaxis", "yaxis")]
            assert titles[0]
            assert titles[1] or figure["data"][0]["type"] == "bar"


def test_methods_keep_their_colours(page):
    figures = json.loads(page.scripts["figures"])
    colours: dict[str, set[str]] = {}
    for name in ("pruning", "energies", "learning"):
        for figure in figures[name].values():
            for trace in figure["data"]:
                if "marker" not in trace:
                    continue
                colour = trace["marker"].get("color") or trace["line"]["color"]
                colours.setdefault(trace["name"].split(",")[0], set()).add(colour)
    assert {"Random", "GraNd", "CCS", "Importance sampling", "Superposed atoms"} <= set(colours)
    assert all(len(found) == 1 for found in colours.values())
    assert len(set.union(*colours.values())) == len(colours)


def drop_fields(content):
    content["fields"] = []


def drop_pruned(content):
    content["runs"] = [r for r in content["runs"] if r["method"] == "all"]
    for field in content["fields"]:
        kept = {r["id"] for r in content["runs"]}
        field["predictions"] = {k: v for k, v in field["predictions"].items() if k in kept}


def drop_full(content):
    content["runs"] = [r for r in content["runs"] if r["method"] != "all"]
    content["fields"] = []


def drop_energies(content):
    content["baseline"]["mean"]["energy_error_ha_per_atom"] = None
    results = [*content["baseline"]["per_snapshot"], *content["baseline"]["generality"]]
    for run in content["runs"]:
        run["energy_error_ha_per_atom"] = None
        results += [*run["per_snapshot"], *run["generality"]]
    for result in results:
        result["energy_error_ha_per_atom"] = None


def drop_generality(content):
    content["fields"] = [f for f in content["fields"] if not f["generality"]]
    content["baseline"].pop("generality")
    for run in content["runs"]:
        run["generality"] = []


def drop_history(content):
    for run in content["runs"]:
        run.pop("history")


def drop_time(content):
    for run in content["runs"]:
        run["seconds"] = {}


def drop_extras(content):
    keep = ("format", "version", "title", "runs")
    for key in set(content) - set(keep):
        content.pop(key)


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        (drop_fields, {"density"}),
        (drop_pruned, {"pruning"}),
        (drop_full, {"density"}),
        (drop_energies, {"energies"}),
        (drop_generality, {"generality"}),
        (drop_history, {"learning"}),
        (drop_time, {"timing"}),
        (drop_extras, {"density"}),
    ],
)
def test_sections_without_data_are_left_out(with_fields, write, change, gone):
    content, folder = with_fields
    changed = copy.deepcopy(content)
    change(changed)
    page = build(write(changed, folder))
    assert page.sections == [name for name in SECTIONS if name not in gone]
    assert ("energy", "all") not in page.cards or change is not drop_energies
    assert "None" not in page.text
    assert "nan" not in page.text.split()


def test_study_text_is_escaped(with_fields, write):
    content, folder = with_fields
    evil = "</script><script>alert('x')</script><img src=http://example.org/x>"
    content = copy.deepcopy(content)
    content["title"] = content["command"] = content["dataset"]["formula"] = evil
    content["runs"][2]["method"] = evil
    content["runs"][0]["notes"] = [evil]
    content["runs"][0]["per_snapshot"][0]["label"] = evil
    content["fields"][0]["title"] = evil
    content["settings"] = {evil: evil}
    page = build(write(content, folder))
    assert page.tags.count("script") == 4
    assert "img" not in page.tags
    assert evil in page.text
    assert json.loads(page.scripts["fields"])[0]["title"] == evil


def test_fields_of_the_page_match_the_files(page, with_fields):
    _, folder = with_fields
    fields = json.loads(page.scripts["fields"])
    assert [f["label"] for f in fields] == ["al-300K-test-0", "al-skewed", "al-vacancy"]
    assert [m["id"] for m in fields[0]["models"]][-1] == "saed"
    with np.load(folder / "fields" / "al-skewed.npz") as archive:
        fractional = np.array(fields[1]["fractional"])
        difference = (fractional @ archive["cell"] - archive["positions"]) @ np.linalg.inv(archive["cell"])
    assert np.abs(difference - np.round(difference)).max() < 1e-9


def test_same_study_gives_the_same_page(with_fields):
    _, folder = with_fields
    one = write_report(folder, folder.parent / "one.html").read_bytes()
    assert one == write_report(folder, folder.parent / "made" / "two.html").read_bytes()


def test_page_that_cannot_be_written(with_fields, tmp_path):
    _, folder = with_fields
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match="cannot write the report") as caught:
        write_report(folder, tmp_path / "taken")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob(".taken*"))


def test_one_fraction_draws_columns(content, write, tmp_path):
    content["runs"] = [r for r in content["runs"] if r["kept"] in (1.0, 0.01)]
    page = build(write(content, tmp_path / "study"))
    figure = json.loads(page.scripts["figures"])["pruning"]["NRMSE · absolute"]
    assert figure["layout"]["xaxis"]["type"] == "category"
    assert re.search(r"bars are means over seeds", page.text)
