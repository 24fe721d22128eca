"""Paired differences and the excess: identities, and a case counted by hand."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearsight.workflows.paired import excess, paired, paired_difference


def run(label: str, errors: list[float], kept: float = 0.1, seed: int = 0) -> dict[str, Any]:
    results = [{"snapshot": n, "nrmse_percent": error} for n, error in enumerate(errors)]
    return {
        "label": label,
        "kept": kept,
        "model": "mlp",
        "schedule": "steps",
        "seed": seed,
        "per_snapshot": results,
    }


errors = st.lists(st.floats(0.01, 100), min_size=4, max_size=4)


@given(errors, errors, errors)
def test_what_is_compared_with_itself_differs_by_nothing(first: Any, second: Any, full: Any) -> None:
    runs = [run("all", full, 1.0), run("a", first), run("a", second, seed=1)]
    (own,) = paired(runs, ["a"])
    assert (own["mean_difference_percent"], own["standard_error_percent"], own["wins"]) == (0, 0, 0)
    assert own["n_pairs"] == 4


@given(errors, errors, errors)
def test_differences_change_sign_with_the_order(first: Any, second: Any, full: Any) -> None:
    one = paired_difference([run("a", first)], [run("b", second)], 2.0)
    two = paired_difference([run("b", second)], [run("a", first)], 2.0)
    assert one["mean_difference_percent"] == pytest.approx(-two["mean_difference_percent"])
    assert one["standard_error_percent"] == pytest.approx(two["standard_error_percent"])
    assert one["wins"] + two["wins"] <= 4


@given(errors, errors)
def test_error_and_excess_are_the_legs_of_a_triangle(own: Any, full: Any) -> None:
    found = {entry["label"]: entry for entry in excess([run("all", full, 1.0), run("a", own)])}
    assert found["all"]["x_over_f"] == 0
    assert found["all"]["e_over_f"] == 1
    e, x = found["a"]["e_over_f"], found["a"]["x_over_f"]
    assert x == pytest.approx(math.sqrt(max(0.0, e * e - 1)), abs=1e-7)


def test_a_case_counted_by_hand() -> None:
    runs = [
        run("all", [1.0, 1.0], 1.0),
        run("a", [1.0, 2.0]),
        run("a", [2.0, 3.0], seed=1),
        run("b", [2.0, 2.0]),
    ]
    entries = {(entry["label"], entry["against"]): entry for entry in paired(runs, ["b", "all"])}
    # seeds averaged: 1.5 and 2.5 against 2 and 2
    assert entries["a", "b"]["mean_difference_percent"] == pytest.approx(0)
    assert entries["a", "b"]["standard_error_percent"] == pytest.approx(50)
    assert entries["a", "b"]["wins"] == 1
    assert entries["a", "all"]["mean_difference_percent"] == pytest.approx(100)
    found = {entry["label"]: entry for entry in excess(runs)}
    assert found["a"]["e_over_f"] == pytest.approx(math.sqrt((1 + 4 + 4 + 9) / 4))
    assert found["b"]["x_over_f"] == pytest.approx(math.sqrt(3))


def test_a_model_without_full_data_is_measured_by_the_first_that_has() -> None:
    other = run("a", [1.0, 1.0]) | {"model": "kernel", "schedule": "direct"}
    (entry,) = [e for e in excess([run("all", [2.0, 2.0], 1.0), other]) if e["label"] == "a"]
    assert (entry["full_model"], entry["x_over_f"], entry["e_over_f"]) == ("mlp", 0.0, 0.5)


def test_nothing_is_said_without_full_data_or_common_snapshots() -> None:
    assert excess([run("a", [1.0])]) == []
    assert paired([run("a", [1.0])], ["a"]) == []
    assert paired([run("all", [1.0], 1.0), run("a", [])], ["a"]) == []
