"""What a study of version 2 adds: variants, models, pairs, excess, coverage, sensitivity, facts."""

import copy
import json
import re
from html import unescape
from itertools import combinations

import numpy as np
import pytest

from nearsight.errors import FileFormatError
from nearsight.report import benchmark as sections
from nearsight.report import headline, methods, write_report
from nearsight.report.comparisons import distance_table, excess_table, paired_table
from nearsight.report.explorer import _within_budget, explorer_data, side_by_side
from nearsight.report.figures.comparison import paired_figures, sensitivity_figures
from nearsight.report.figures.pruning import energy_pruning_figures, pruning_figures
from nearsight.report.figures.timing import timing_figures
from nearsight.report.markup import plus_minus
from nearsight.report.reading import Study, read_study
from nearsight.report.summary import MOST_LINES, Summary
from nearsight.report.tables import coverage_table, snapshot_table

NETWORK, EPOCHS, PROCESS = "network, equal steps", "network, equal epochs", "Gaussian process"


def of(content):
    study = Study.model_validate(content)
    return study, Summary.of(study)


def words(html):
    return " ".join(re.sub("<[^>]*>", " ", html).replace("\u00a0", " ").split())


def named(figure, name):
    return next(t for t in figure["data"] if t.get("name") == name and "lines+markers" in t["mode"])


def mean(content, label, kept, model="mlp", schedule="steps", key="nrmse_percent"):
    wanted = (label, kept, model, schedule)
    runs = [r for r in content["runs"] if (r["label"], r["kept"], r["model"], r["schedule"]) == wanted]
    assert runs
    return np.mean([r[key] for r in runs])


# -- the page -----------------------------------------------------------------------------------


def test_the_page_has_every_section(benchmark, write, tmp_path):
    html = write_report(write(benchmark, tmp_path / "study"), tmp_path / "page.html").read_text("utf-8")
    found = re.findall(r'<section id="(\w+)"', html)
    expected = "learned pruning methods energies coverage timing generality sensitivity learning record"
    assert found == expected.split()
    packed = re.search(r'id="figures">(.*?)</script>', html)
    assert packed is not None
    figures = json.loads(packed[1])
    assert {"pruning", "energy-pruning", "paired", "sensitivity", "timing"} <= set(figures)
    for name, variants in figures.items():  # the first button of each row together name a variant
        panel = re.search(rf'data-figure="{name}">(.*?)<div class="plot"', html, re.DOTALL)
        assert panel is not None
        rows = panel[1].split('<div class="choice"')[1:]
        pressed = [re.findall(r'data-variant="([^"]*)" aria-pressed="true"', row) for row in rows]
        assert " · ".join(row[0] for row in pressed) in variants
        offered = {v for row in rows for v in re.findall(r'data-variant="([^"]*)"', row)}
        assert offered == {part for variant in variants for part in variant.split(" · ")}


@pytest.mark.parametrize(
    ("key", "gone"),
    [("paired", None), ("excess", None), ("data_facts", None), ("sensitivity", "sensitivity")],
)
def test_what_is_absent_is_left_out(benchmark, write, tmp_path, key, gone):
    del benchmark[key]
    html = write_report(write(benchmark, tmp_path / "study"), tmp_path / "page.html").read_text("utf-8")
    assert (f'id="{gone}"' not in html) if gone else ('id="methods"' in html)
    benchmark |= {"paired": [], "excess": [], "data_facts": None}
    for run in benchmark["runs"]:
        run["coverage"] = None
    html = write_report(write(benchmark, tmp_path / "study"), tmp_path / "page.html").read_text("utf-8")
    assert 'id="methods"' not in html
    assert 'id="coverage"' not in html


def test_text_of_a_study_is_escaped_everywhere(benchmark, write, tmp_path):
    evil = "<img src=x> · & more"
    for run in benchmark["runs"]:
        if run["label"] == "strata":
            run["label"] = evil
        run["model"] = {"mlp": "mlp", "gaussian_process": evil}[run["model"]]
    for part in (*benchmark["paired"], *benchmark["excess"]):
        part["label"] = evil if part["label"] == "strata" else part["label"]
        part["model"] = evil if part["model"] == "gaussian_process" else part["model"]
    benchmark["sensitivity"][0] |= {"parameter": evil, "label": evil, "values": [evil] * 4}
    html = write_report(write(benchmark, tmp_path / "study"), tmp_path / "page.html").read_text("utf-8")
    assert "<img" not in html[: html.index("plotly.js v")]
    assert "&lt;img src=x&gt;" in html


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("paired", 0, "wins"), 99, "paired.0"),
        (("paired", 1, "mean_difference_percent"), float("nan"), "paired.1.mean_difference_percent"),
        (("excess", 2, "x_over_f"), -1.0, "excess.2.x_over_f"),
        (("sensitivity", 0, "nrmse_percent"), [1.0], "equally long"),
        (("runs", 5, "coverage"), {"mean": -1.0}, "runs.5.coverage.mean"),
        (("data_facts", "error_correlation", "n_effective"), 0, "data_facts.error_correlation.n_effective"),
        (("version",), 3, "version"),
    ],
)
def test_wrong_content_is_named(benchmark, write, tmp_path, path, value, where):
    part = benchmark
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(FileFormatError) as caught:
        read_study(write(benchmark, tmp_path / "study"))
    assert where in str(caught.value)
    assert "\n" not in str(caught.value)


def test_version_one_needs_none_of_it(content):
    study, summary = of(content)
    assert [run.label for run in study.runs] == [run.method for run in study.runs]
    assert summary.others == ()
    assert summary.name == ""
    assert set(pruning_figures(summary)) >= {"NRMSE · absolute", "NMAE · × all points", "Hartree · absolute"}
    assert list(timing_figures(summary)) == ["time"]


# -- looks --------------------------------------------------------------------------------------

#: simulated colour blindness in linear RGB (G. M. Machado et al., IEEE TVCG 15, 1291 (2009))
SIGHTS = {
    "usual": np.eye(3),
    "deuteranopia": np.array(
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
    ),
    "protanopia": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
}  # fmt: skip


def cielab(colour: str, sight: np.ndarray) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.clip(sight @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4), 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ linear / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHTS)
def test_fourteen_methods_can_be_told_apart(sight):
    keys = "all random grand el2n ccs importance density k_centre facility herding dual strata snapshots"
    found = [methods.method(key) for key in [*keys.split(), "d_optimal"]]
    assert len(found) == 14
    assert len({look.symbol for look in found}) == 14
    colours = [cielab(look.colour, SIGHTS[sight]) for look in found]
    assert min(np.linalg.norm(a - b) for a, b in combinations(colours, 2)) > 15
    assert all(look.meaning != "a method added by a plug-in" for look in found)


def test_variants_belong_to_their_method_and_differ():
    pairs = [("ccs", "ccs β=0.3"), ("ccs", "ccs"), ("ccs", "ccs (residual)"), ("importance", "mine")]
    looks = methods.looks(pairs)
    assert looks["ccs"] == methods.method("ccs")
    assert [looks[label].name for _, label in pairs] == ["CCS β=0.3", "CCS", "CCS (residual)", "mine"]
    kinds = {(look.colour, look.dash, look.symbol) for look in looks.values()}
    assert len(kinds) == 4
    assert all(looks[label].symbol.startswith("diamond") for _, label in pairs[:3])
    assert len({looks[label].dash for _, label in pairs[:3]}) == 3
    assert looks["mine"].chosen == "chosen by mine"
    unknown = methods.looks([("new", "new"), ("new", "new x=1")])
    assert unknown == methods.looks([("new", "new"), ("new", "new x=1")])
    assert unknown["new"].colour != unknown["new x=1"].colour


@pytest.mark.parametrize(
    ("model", "schedule", "name"),
    [
        ("mlp", "steps", NETWORK),
        ("gaussian_process", "direct", PROCESS),
        ("mlp small", "epochs", "network small, equal epochs"),
        ("mine", "direct", "mine"),
        ("", "", ""),
    ],
)
def test_models_have_names(model, schedule, name):
    assert methods.setup_name(model, schedule) == name


# -- summary and headline -----------------------------------------------------------------------


def test_the_main_model_is_the_one_most_was_tried_with(benchmark):
    _, summary = of(benchmark)
    assert [s.name for s in summary.setups] == [NETWORK, EPOCHS, PROCESS]
    benchmark["runs"].reverse()
    assert of(benchmark)[1].name == NETWORK
    assert len(summary.looks) == 16
    assert summary.full is not None
    assert summary.others[-1].full is None


def test_few_lines_are_drawn_first(benchmark):
    _, summary = of(benchmark)
    assert len(summary.first_labels) == MOST_LINES
    assert {"random", "ccs", "grand", "importance (leverage)"} <= set(summary.first_labels)
    figure = pruning_figures(summary)[f"NRMSE · absolute · {NETWORK}"]
    lines = [t for t in figure["data"] if t["mode"] == "lines+markers"]
    assert len(lines) == 16
    extra = {t["name"] for t in lines if t.get("meta") == {"extra": True}}
    assert len(extra) == 8
    assert "Whole snapshots" in extra
    bands = [t for t in figure["data"] if t.get("fill")]
    assert len(bands) == 16
    assert sum("meta" in t for t in bands) == 8


def test_the_best_is_chosen_by_validation(benchmark):
    for run in benchmark["runs"]:
        if run["label"] == "strata":
            run["nrmse_percent"] *= 0.5  # a test error that must decide nothing
    _, summary = of(benchmark)
    assert summary.judged_by_validation
    assert summary.best is not None
    assert summary.best.label == "importance (leverage)"
    assert summary.best_on_test is not None
    assert summary.best_on_test.label == "strata"
    said = words(headline.headline_section(*of(benchmark)))
    assert (
        "importance sampling (leverage) had the lowest error on validation data, by which it was chosen"
        in said
    )
    assert "On the test snapshots, which decide nothing, strata turned out lowest" in said
    assert "judged afterwards" not in said
    benchmark["runs"][-1]["validation_nrmse_percent"] = None  # of another model: no matter
    assert of(benchmark)[1].judged_by_validation
    next(r for r in benchmark["runs"] if r["label"] == "ccs" and r["kept"] == 0.01)[
        "validation_nrmse_percent"
    ] = None
    _, summary = of(benchmark)
    assert not summary.judged_by_validation
    assert summary.best is summary.best_on_test
    assert "Best is judged afterwards" in words(headline.headline_section(*of(benchmark)))


def test_all_points_may_be_what_others_are_compared_with(benchmark):
    more = [p | {"against": "all"} for p in benchmark["paired"] if p["against"] == "random"]
    benchmark["paired"] += more
    benchmark["excess"].append(benchmark["excess"][0] | {"label": "all", "x_over_f": 0.0, "e_over_f": 1.0})
    study, summary = of(benchmark)
    assert f"against All points · 1 % · {NETWORK}" in paired_figures(study, summary)
    assert "lower than All points" in words(paired_table(study, summary))
    assert "All points" not in words(excess_table(study, summary))


def test_a_random_best_is_said_to_be(benchmark):
    for run in benchmark["runs"]:
        if run["label"] == "random":
            run["validation_nrmse_percent"] *= 0.1
    said = words(headline.headline_section(*of(benchmark)))
    assert "random points had the lowest error on validation data, so no scoring beat chance there" in said


def test_other_models_stand_beside(benchmark):
    said = words(headline.headline_section(*of(benchmark)))
    best = mean(benchmark, "importance (leverage)", 0.01, "gaussian_process", "direct")
    assert f"Gaussian process: {best:.2f} % with 1 % chosen by importance sampling (leverage)" in said


# -- figures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "key", "factor"),
    [
        ("NRMSE", "nrmse_percent", 1),
        ("NMAE", "nmae_percent", 1),
        ("H1", "h1_seminorm", 1),
        ("Hartree", "hartree_error_ha_per_atom", 1000),
    ],
)
def test_errors_are_drawn_as_they_are_and_scaled(benchmark, name, key, factor):
    _, summary = of(benchmark)
    figures = pruning_figures(summary)
    line = named(figures[f"{name} · absolute · {NETWORK}"], "Strata")
    expected = [mean(benchmark, "strata", kept, key=key) for kept in (0.001, 0.01, 0.1)]
    assert line["x"] == pytest.approx([0.1, 1.0, 10.0])
    assert line["y"] == pytest.approx([factor * e for e in expected])
    full = mean(benchmark, "all", 1.0, key=key)
    scaled = figures[f"{name} · × all points · {NETWORK}"]
    assert named(scaled, "Strata")["y"] == pytest.approx([e / full for e in expected])
    dashed = next(s for s in scaled["layout"]["shapes"] if s["type"] == "line")
    assert dashed["y0"] == pytest.approx(1.0)


def test_bands_span_the_seeds(benchmark):
    figure = pruning_figures(of(benchmark)[1])[f"NRMSE · absolute · {NETWORK}"]
    band = next(t for t in figure["data"] if t.get("fill") and t["legendgroup"] == "Random")
    runs = [r for r in benchmark["runs"] if r["label"] == "random" and r["schedule"] == "steps"]
    for x, y in zip(band["x"][:3], band["y"][:3], strict=True):
        assert y == max(r["nrmse_percent"] for r in runs if 100 * r["kept"] == pytest.approx(x))


def test_a_model_without_full_data_is_measured_against_the_main_one(benchmark):
    figure = pruning_figures(of(benchmark)[1])[f"NRMSE · × all points · {PROCESS}"]
    expected = mean(benchmark, "random", 0.01, "gaussian_process", "direct") / mean(benchmark, "all", 1.0)
    assert named(figure, "Random")["y"][1] == pytest.approx(expected)
    assert any(t["name"].startswith(f"All points, {NETWORK}") for t in figure["data"] if "name" in t)


def test_energies_against_the_fraction(benchmark):
    study, summary = of(benchmark)
    figures = energy_pruning_figures(summary, study.chemical_accuracy_ha)
    figure = figures[f"Harris–Foulkes · absolute · {NETWORK}"]
    expected = 1000 * mean(benchmark, "ccs", 0.01, key="energy_error_ha_per_atom")
    assert named(figure, "CCS")["y"][1] == pytest.approx(expected)
    limit = next(s for s in figure["layout"]["shapes"] if s.get("line", {}).get("dash") == "dot")
    assert limit["y0"] == pytest.approx(1.6)
    low, high = figure["layout"]["yaxis"]["range"]
    assert low < np.log10(1.6) < high
    for run in benchmark["runs"]:
        if run["label"] not in ("all", "ccs"):
            run["energy_error_ha_per_atom"] = None
    figures = energy_pruning_figures(of(benchmark)[1], 0.0016)
    lines = [t for t in figures[f"Harris–Foulkes · absolute · {NETWORK}"]["data"] if "markers" in t["mode"]]
    assert [t["name"] for t in lines] == ["CCS"]


def test_times_are_parted_by_fraction_where_bars_are_many(benchmark):
    figures = timing_figures(of(benchmark)[1])
    assert list(figures)[:3] == [f"{kept} · {NETWORK}" for kept in ("1 %", "10 %", "0.1 %")]
    assert len(figures[f"1 % · {NETWORK}"]["data"][0]["y"]) == 17
    assert f"10 % · {PROCESS}" not in figures


def test_paired_differences_are_drawn_and_listed(benchmark):
    study, summary = of(benchmark)
    figures = paired_figures(study, summary)
    assert next(iter(figures)) == f"against Random · 1 % · {NETWORK}"
    figure = figures[f"against CCS · 0.1 % · {NETWORK}"]
    pair = next(
        p
        for p in study.paired
        if (p.label, p.against, p.kept, p.schedule) == ("strata", "ccs", 0.001, "steps")
    )
    dot = next(t for t in figure["data"] if t["name"] == "Strata")
    assert dot["x"] == [pair.mean_difference_percent]
    assert dot["error_x"]["array"] == [2 * pair.standard_error_percent]
    assert pair.mean_difference_percent < 0
    low, high = figure["layout"]["xaxis"]["range"]
    assert low < pair.mean_difference_percent - 2 * pair.standard_error_percent
    arrows = [note["text"] for note in figure["layout"]["annotations"]]
    outside = [t for t in figure["data"] if t["x"][0] > high]
    assert len(arrows) == len(outside) > 0
    table = words(paired_table(study, summary))
    assert (
        plus_minus(pair.mean_difference_percent, pair.standard_error_percent).replace("\u00a0", " ") in table
    )
    assert "3 of 3" in table


def test_no_method_is_cut_off_where_all_are_alike(benchmark):
    benchmark["paired"] = [p for p in benchmark["paired"] if p["label"] in ("ccs", "strata", "importance")]
    study, summary = of(benchmark)
    for figure in paired_figures(study, summary).values():
        assert figure["layout"]["annotations"] == []
        low, high = figure["layout"]["xaxis"]["range"]
        assert low <= 0 <= high


@pytest.mark.parametrize(
    ("parameter", "kind"),
    [("ccs.beta", None), ("ccs.n_strata", "log"), ("scoring.steps", "log"), ("scoring.proxy", "category")],
)
def test_sensitivity_has_an_axis_that_fits(benchmark, parameter, kind):
    study, summary = of(benchmark)
    figure = sensitivity_figures(study, summary)[parameter]
    assert figure["layout"]["xaxis"].get("type") == kind
    assert len(figure["data"]) == 2
    assert len({(t["line"]["dash"], t["marker"]["symbol"]) for t in figure["data"]}) == 2
    curve = next(s for s in study.sensitivity if s.parameter == parameter)
    assert figure["data"][0]["y"] == curve.nrmse_percent
    if kind == "category":
        assert figure["data"][0]["x"] == ["0.01", "0.1", "none"]


def test_values_without_an_error_are_left_out(benchmark):
    benchmark["sensitivity"] = benchmark["sensitivity"][:1]
    benchmark["sensitivity"][0]["nrmse_percent"][1] = None
    figure = sensitivity_figures(*of(benchmark))["ccs.beta"]
    assert figure["data"][0]["x"] == [0.0, 0.1, 0.3]


# -- tables and words ---------------------------------------------------------------------------


def test_excess_and_coverage_are_listed(benchmark):
    study, summary = of(benchmark)
    excess = next(e for e in study.excess if (e.label, e.kept, e.schedule) == ("ccs", 0.001, "steps"))
    assert excess.x_over_f > 0
    listed = words(excess_table(study, summary))
    assert f"{100 * excess.x_over_f:.0f} % ({excess.e_over_f:.2f})" in listed
    run = next(r for r in benchmark["runs"] if r["label"] == "ccs" and r["kept"] == 0.001)
    told = plus_minus(run["coverage"]["mean"], run["coverage"]["standard_error"]).replace("\u00a0", " ")
    table = distance_table(summary)
    assert told in words(table)
    assert table.count("<b>") >= 3
    section = words(sections.coverage_section(study, summary))
    assert "2 000 held-out points" in section


def test_facts_are_said_in_words(benchmark):
    said = words(sections.data_facts(of(benchmark)[0]))
    assert "about 6.21 ± 0.07 directions" in said
    assert "alike over 2.31 bohr" in said
    assert "412 independent values in a snapshot, of 110 592 grid points" in said
    assert "268 points tell one thing" in said
    benchmark["data_facts"]["error_correlation"]["n_points"] = None
    assert words(sections.data_facts(of(benchmark)[0])).endswith("independent values in a snapshot.")


@pytest.mark.parametrize(
    ("value", "error", "told"),
    [
        (1.23456, 0.0123, "1.235 ± 0.012"),
        (-12.3, 1.26, "−12.3 ± 1.3"),
        (123.4, 56.0, "123 ± 56"),
        (1.5, None, "1.50"),
        (1.5, 0.0, "1.50"),
    ],
)
def test_errors_are_told_with_two_digits(value, error, told):
    assert plus_minus(value, error).replace("\u00a0", " ") == told


def test_the_record_names_models_and_long_tables_average_seeds(benchmark):
    study, summary = of(benchmark)
    covered = words(coverage_table(summary))
    assert "validation NRMSE (%)" in covered
    assert PROCESS in covered
    assert snapshot_table(study).count("<tr>") == 1 + 4 * len(study.runs) + 4
    many = copy.deepcopy(benchmark)
    for run in many["runs"]:
        run["per_snapshot"] = run["per_snapshot"] * 10
    study, summary = of(many)
    groups = sum(len(s.groups) for s in summary.setups)
    assert snapshot_table(study).count("<tr>") == 1 + 31 * groups + 4


# -- fields -------------------------------------------------------------------------------------


@pytest.fixture
def with_densities(benchmark, add_density, write, tmp_path):
    first = [r for r in benchmark["runs"] if r["seed"] == 0 and r["label"] in ("all", "ccs", "random")]
    ids = [r["id"] for r in first if r["schedule"] == "steps"]
    ids += [r["id"] for r in first if r["model"] == "gaussian_process" and r["label"] == "random"]
    folder = tmp_path / "study"
    add_density(benchmark, folder, "al-300K-test-0", 8, runs=ids)
    return benchmark, write(benchmark, folder)


def test_models_of_the_menu_know_method_and_setup(with_densities):
    content, folder = with_densities
    study, summary = of(content)
    (field,) = explorer_data(folder, study, summary)
    models = {m["name"]: m for m in field["models"]}
    assert models["CCS, 10 % (seed 0)"]["method"] == "CCS"
    assert models["CCS, 10 % (seed 0)"]["setup"] == ""
    assert not any(m.get("best") for m in models.values())  # the best is not among these
    assert models[f"Random, 1 %, {PROCESS} (seed 0)"]["setup"] == PROCESS
    assert side_by_side(study, summary)
    content["fields"][0]["predictions"] = {
        k: v for k, v in content["fields"][0]["predictions"].items() if k.startswith("all")
    }
    assert not side_by_side(*of(content))


def test_a_page_holds_only_so_many_densities(benchmark):
    runs = [r["id"] for r in benchmark["runs"]]
    entry = {"label": "x", "file": "fields/x.npz", "predictions": dict.fromkeys(runs, "truth")}
    benchmark["fields"] = [entry] * 12
    study, summary = of(benchmark)
    kept = list(_within_budget(study.fields[0], study, summary).predictions)
    assert 2 <= len(kept) < 10
    assert kept == [name for name in runs if name in kept]
    found = [next(r for r in benchmark["runs"] if r["id"] == name) for name in kept]
    assert {r["label"] for r in found} == {"all", "importance (leverage)"}


@pytest.mark.parametrize("models", [{("mlp", "steps")}, None])
def test_the_buttons_that_are_pressed_first_name_a_figure(benchmark, write, tmp_path, models):
    if models:  # a study of one model, as the demo's
        for part in ("runs", "paired", "excess"):
            benchmark[part] = [e for e in benchmark[part] if (e["model"], e["schedule"]) in models]
    page = write_report(write(benchmark, tmp_path), tmp_path / "page.html").read_text(encoding="utf-8")
    figures = json.loads(re.search(r'<script[^>]*id="figures"[^>]*>(.*?)</script>', page, re.S)[1])
    panels = re.findall(r'data-figure="([^"]+)">(.*?)<div class="plot"', page, re.S)
    assert {name for name, _ in panels} == set(figures) >= {"paired", "pruning"}
    for name, buttons in panels:
        pressed = re.findall(r'data-variant="([^"]*)" aria-pressed="true"', buttons)
        assert unescape(" · ".join(pressed)) in figures[name], name
