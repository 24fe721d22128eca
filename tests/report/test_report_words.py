"""Sentences say no more than the numbers; numbers are written as people write them."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearsight.report import headline, markup, methods
from nearsight.report.figures.layout import log_ticks
from nearsight.report.figures.timing import timing_figures
from nearsight.report.reading import Study
from nearsight.report.summary import Summary


def scaled(content, factor, method=None, energy=1.0):
    """The study with the errors of all small sets multiplied."""
    content = copy.deepcopy(content)
    for run in content["runs"]:
        if run["method"] != "all" and method in (None, run["method"]):
            run["nrmse_percent"] *= factor
        run["energy_error_ha_per_atom"] *= energy
    study = Study.model_validate(content)
    return study, Summary.of(study)


@given(st.floats(0.01, 50))
def test_verdict_never_flatters(ratio):
    words = headline.verdict(ratio)
    assert ("no larger" in words) == (ratio <= 1)
    assert ("as much as" in words) == (ratio <= 1.05)
    assert ("not enough" in words) == (ratio > 2)


@pytest.mark.parametrize(
    ("factor", "words"),
    [(0.9, "no larger"), (1.0, "nearly"), (1.15, "close"), (1.6, "cost"), (9, "not enough")],
)
def test_claim_follows_the_runs(content, factor, words):
    _, summary = scaled(content, factor)
    assert words in headline.claim(summary)


def test_energy_against_chemical_accuracy(content):
    for factor, words in ((1, "within chemical accuracy"), (1e3, "above chemical accuracy")):
        study, summary = scaled(content, 1.0, energy=factor)
        assert words in headline.headline_section(study, summary)


def test_a_model_worse_than_superposed_atoms_is_called_useless(content):
    content["baseline"]["mean"]["nrmse_percent"] = 0.5
    study, summary = scaled(content, 1.0)
    assert "learned nothing useful" in headline.headline_section(study, summary)


def test_the_best_method_is_named(content):
    study, summary = scaled(content, 0.5, method="random")
    html = headline.headline_section(study, summary)
    assert summary.best is not None
    assert summary.best.method == "random"
    assert "no scoring beat chance" in html
    study, summary = scaled(content, 0.5, method="ccs")
    assert "CCS had the lowest error; random points had" in headline.headline_section(study, summary)


@pytest.mark.parametrize(
    ("time", "reference", "words"),
    [
        (10, 10.2, "about the same"),
        (0, 0, "about the same"),
        (10, 30, "3.0 times faster"),
        (8, 10, "20\u00a0% less"),
        (12, 10, "20\u00a0% more"),
        (50, 10, "5.0 times slower"),
    ],
)
def test_times_are_compared_in_words(time, reference, words):
    assert headline.compare_times(time, reference) == words


def test_headline_fraction_is_the_nearest_to_one_percent(content):
    _, summary = scaled(content, 1.0)
    assert summary.headline_fraction == 0.01
    content["runs"] = [r for r in content["runs"] if r["kept"] != 0.01]
    assert Summary.of(Study.model_validate(content)).headline_fraction == 0.001


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"),
        (0, "0"),
        (1.1034, "1.10"),
        (0.0573, "0.0573"),
        (34.56, "34.6"),
        (884736, "884\u202f736"),
        (-0.0339, "−0.0339"),
        (9.996, "10.0"),
        (3.6e-5, "3.60×10<sup>−5</sup>"),
    ],
)
def test_numbers(value, words):
    assert markup.number(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.123, "0.12 s"), (19.2, "19 s"), (125, "2 min 5 s"), (99.7, "1 min 40 s"), (7300, "2 h 1 min")],
)
def test_durations(value, words):
    assert markup.seconds(value).replace(markup.NBSP, " ") == words


@given(st.floats(1e-6, 1e6), st.floats(1.02, 1e6))
def test_a_logarithmic_axis_has_ticks_inside_its_range(low, factor):
    ticks = log_ticks(low, low * factor)
    assert 2 <= len(ticks) <= 16
    assert ticks == sorted(set(ticks))
    assert all(low * 0.999 <= tick <= low * factor * 1.001 for tick in ticks)


def test_unknown_methods_get_a_look_of_their_own():
    look = methods.method("kernel-herding")
    assert look == methods.method("kernel-herding")
    known = {methods.method(key).colour for key in ("all", "random", "grand", "ccs", "importance")}
    assert len(known) == 5
    assert look.colour not in known
    assert methods.rank("kernel-herding") > methods.rank("importance")


@given(st.text())
def test_json_in_a_script_holds_no_markup(value):
    packed = markup.script_json({value: value})
    assert not set("<>&") & set(packed)
    assert json.loads(packed) == {value: value}


def test_times_that_overlap_over_seeds_are_said_to(content):
    study, summary = scaled(content, 1.0)
    assert "ranges over seeds overlap" not in headline.headline_section(study, summary).split("Cost.")[1]
    slow = next(run for run in content["runs"] if run["method"] == "all")
    slow["seconds"] |= {"describe": 0.0, "training": 1.0}
    study, summary = scaled(content, 1.0)
    assert "the ranges over seeds overlap" in headline.headline_section(study, summary).split("Cost.")[1]
    figure = timing_figures(summary)["time"]
    whiskers = figure["data"][-1]
    assert whiskers["x"][0] - whiskers["error_x"]["arrayminus"][0] == pytest.approx(1.0)


def test_names_of_plain_words_are_small_in_a_sentence():
    names = {key: methods.method(key).in_sentence for key in ("importance", "grand", "ccs")}
    assert names == {"importance": "importance sampling", "grand": "GraNd", "ccs": "CCS"}
