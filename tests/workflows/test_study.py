"""Studies from end to end on a small data set: stages, variants, resumption, jobs, energies."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from synthetic_study import TRAIN, CountingEngine, make_data  # type: ignore[import-not-found]

from nearsight.errors import InputError
from nearsight.model.file import load_model
from nearsight.report.reading import read_study
from nearsight.store import Dataset
from nearsight.workflows.config import StudyConfig
from nearsight.workflows.study import run_study

STAGED: dict[str, Any] = {
    "methods": [
        "random",
        "ccs",
        {"name": "ccs", "label": "mild", "beta": 0.05},
        {"name": "importance", "score": "residual"},
        {"name": "strata"},
    ],
    "schedules": ["steps", "epochs"],
    "epochs": 3,
    "stages": [
        {"keep": [0.2, 0.05], "seeds": 1, "schedules": ["steps"]},
        {"best": 2, "keep": [0.05, 0.5], "seeds": 2},
    ],
    "full": {"seeds": 1},
    "coverage": {"n_held_out": 50, "seeds": 1},
    "energies": {"labels": ["all", "best"], "keep": [0.05], "seeds": 1},
    "sensitivity": {"ccs.beta": [0.0, 0.3], "scoring.steps": [5, 20], "labels": ["mild"], "keep": [0.05]},
    "generality": ["strange"],
    "train": TRAIN,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_data(tmp_path_factory.mktemp("data") / "data.zarr")


@pytest.fixture(scope="module")
def engine() -> CountingEngine:
    return CountingEngine()


@pytest.fixture(scope="module")
def staged(
    data: Dataset, engine: CountingEngine, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("staged")
    config = StudyConfig.model_validate(STAGED)
    return run_study(data, folder, config, engine_for=engine, jobs=1), folder


def without_times(value: Any) -> Any:
    """The same without what no two runs have in common."""
    gone = {"seconds", "created", "jobs", "settings"}
    if isinstance(value, dict):
        return {key: without_times(part) for key, part in value.items() if key not in gone}
    return [without_times(part) for part in value] if isinstance(value, list) else value


def cells(study: dict[str, Any], **wanted: Any) -> list[dict[str, Any]]:
    return [run for run in study["runs"] if all(run[key] == value for key, value in wanted.items())]


def test_every_stage_has_the_runs_that_it_asks_for(staged: tuple[dict[str, Any], Path]) -> None:
    study, _ = staged
    labels = ["random", "ccs", "mild", "importance (residual)", "strata"]
    assert study["stages"][0]["methods"] == labels
    assert {run["label"] for run in cells(study, stage=1)} == set(labels)
    assert len(cells(study, stage=1)) == 5 * 2
    assert [(run["label"], run["schedule"]) for run in cells(study, stage=0)] == [
        ("all", "steps"),
        ("all", "epochs"),
    ]
    best = study["stages"][1]["methods"]
    assert len(best) == 2
    # what the first stage did at 0.05 with the first seed is not done again
    assert len(cells(study, stage=2)) == 2 * (2 * 2 * 2) - 2
    assert {run["label"] for run in cells(study, stage=2)} == set(best)
    ids = [run["id"] for run in study["runs"]]
    assert len(set(ids)) == len(ids)


def test_best_are_those_of_lowest_validation_error(staged: tuple[dict[str, Any], Path]) -> None:
    study, _ = staged
    means = {
        label: np.mean([r["validation_nrmse_percent"] for r in cells(study, stage=1, label=label)])
        for label in study["stages"][0]["methods"]
    }
    assert study["stages"][1]["methods"] == sorted(means, key=means.__getitem__)[:2]


def test_schedules_take_steps_or_epochs(staged: tuple[dict[str, Any], Path]) -> None:
    study, _ = staged
    n_points = study["dataset"]["n_points_train"]
    assert {run["history"]["step"][-1] for run in cells(study, schedule="steps")} == {60}
    for run in cells(study, schedule="epochs"):
        assert run["history"]["step"][-1] == int(np.ceil(3 * run["n_points"] / min(256, run["n_points"])))
    assert n_points == 3 * 10 * 11 * 12


def test_variants_have_their_settings(staged: tuple[dict[str, Any], Path]) -> None:
    study, _ = staged
    assert {run["settings"]["beta"] for run in cells(study, label="mild")} == {0.05}
    assert {run["method"] for run in cells(study, label="mild")} == {"ccs"}
    assert {run["settings"]["score"] for run in cells(study, label="importance (residual)")} == {"residual"}


def test_costs_are_those_of_a_run_alone(staged: tuple[dict[str, Any], Path]) -> None:
    study, _ = staged
    full = cells(study, label="all")[0]["seconds"]
    random, ccs = (
        cells(study, label=label, kept=0.05, seed=0, schedule="steps")[0] for label in ("random", "ccs")
    )
    assert random["seconds"]["scoring"] == 0
    assert random["scoring_steps"] is None
    assert random["seconds"]["describe"] == pytest.approx(0.05 * full["describe"], rel=1e-3)
    assert ccs["seconds"]["describe"] == full["describe"]
    assert ccs["seconds"]["scoring"] > 0
    assert ccs["scoring_steps"] == 2 * 20
    assert any("residual" in note for note in ccs["notes"])


def test_energies_only_where_they_are_asked_for(
    staged: tuple[dict[str, Any], Path], engine: CountingEngine
) -> None:
    study, _ = staged
    taken = {run["id"] for run in study["runs"] if run["energy_error_ha_per_atom"] is not None}
    full = {run["id"] for run in cells(study, label="all")}
    assert full <= taken
    assert len(taken) == len(full) + 2
    chosen = [run for run in study["runs"] if run["id"] in taken - full]
    assert {(run["kept"], run["seed"]) for run in chosen} == {(0.05, 0)}
    for run in chosen:
        rivals = cells(study, kept=0.05, schedule=run["schedule"])
        means = {
            label: np.mean([r["validation_nrmse_percent"] for r in rivals if r["label"] == label])
            for label in {r["label"] for r in rivals}
        }
        assert run["label"] == min(means, key=means.__getitem__)
    snapshots = study["n_scored"]
    assert engine.calls == snapshots * (len(taken) + 2)  # superposed atoms and the reference too


def test_coverage_of_the_first_seed_improves_with_more_points(staged: tuple[dict[str, Any], Path]) -> None:
    study, _ = staged
    measured = [run for run in study["runs"] if run["coverage"]]
    assert {run["seed"] for run in measured} == {0}
    assert all(run["coverage"]["n_held_out"] == 50 for run in measured)
    mean = {run["kept"]: run["coverage"]["mean"] for run in measured if run["label"] in ("random", "all")}
    assert mean[1.0] < mean[0.2] < mean[0.05]


def test_the_comparisons_are_there(staged: tuple[dict[str, Any], Path]) -> None:
    study, _ = staged
    own = [entry for entry in study["paired"] if entry["label"] == entry["against"]]
    assert own
    assert all(entry["mean_difference_percent"] == 0 == entry["wins"] for entry in own)
    full = [entry for entry in study["excess"] if entry["label"] == "all"]
    assert [(entry["x_over_f"], entry["e_over_f"]) for entry in full] == [(0.0, 1.0)] * 2
    facts = study["data_facts"]
    assert 0.5 < facts["intrinsic_dimension"]["value"] < 12
    assert 1 <= facts["error_correlation"]["n_effective"] <= facts["error_correlation"]["n_points"] == 1320
    varied = {(entry["parameter"], entry["label"]): entry for entry in study["sensitivity"]}
    assert set(varied) == {("ccs.beta", "ccs"), ("scoring.steps", "mild")}
    assert varied["ccs.beta", "ccs"]["values"] == [0.0, 0.3]
    assert len(set(varied["scoring.steps", "mild"]["nrmse_percent"])) == 2


def test_generality_stands_apart(staged: tuple[dict[str, Any], Path]) -> None:
    study, _ = staged
    for run in study["runs"]:
        assert {result["trajectory"] for result in run["per_snapshot"]} == {"test-a", "test-b"}
        assert {result["trajectory"] for result in run["generality"]} == {"strange"}
    assert [entry["generality"] for entry in study["fields"]] == [False, False, True]


def test_a_study_can_be_read_by_the_report(staged: tuple[dict[str, Any], Path]) -> None:
    study, folder = staged
    assert not (folder / ".work").exists()
    assert len(read_study(folder).runs) == len(study["runs"])


def test_what_is_done_is_not_done_again(
    staged: tuple[dict[str, Any], Path], data: Dataset, engine: CountingEngine
) -> None:
    study, folder = staged
    config, before = StudyConfig.model_validate(STAGED), engine.calls
    stamps = {path: path.stat().st_mtime_ns for path in folder.glob("*/*") if path.parent.name != "scores"}
    again = run_study(data, folder, config, engine_for=engine, jobs=1)
    assert {k: v for k, v in again.items() if k != "created"} == {
        k: v for k, v in study.items() if k != "created"
    }
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert engine.calls == before
    lost = folder / "runs" / "ccs-0.05-s0.json"
    lost.unlink()
    once_more = run_study(data, folder, config, engine_for=engine, jobs=1)
    changed = {path.name for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert changed == {"ccs-0.05-s0.json", "ccs-0.05-s0.nst"}
    assert without_times(once_more) == without_times(study)
    assert engine.calls == before


def test_jobs_change_nothing(staged: tuple[dict[str, Any], Path], data: Dataset, tmp_path: Path) -> None:
    small = {key: STAGED[key] for key in ("train", "generality", "coverage")}
    config = StudyConfig.model_validate(small | {"methods": ["ccs"], "keep": [0.05], "seeds": 1})
    one = run_study(data, tmp_path / "one", config, jobs=1)
    two = run_study(data, tmp_path / "two", config, jobs=2)
    assert without_times(one) == without_times(two)
    assert one["runs"][0]["model_digest"] == two["runs"][0]["model_digest"]
    assert load_model(tmp_path / "two/models/all-1-s0.nst").target.kind == "difference"


def test_a_run_that_fails_is_named_and_the_others_are_kept(data: Dataset, tmp_path: Path) -> None:
    methods = [{"name": "ccs", "label": "hopeless", "beta": 0.9}, "random"]
    config = StudyConfig.model_validate({"methods": methods, "keep": [0.5], "seeds": 1, "train": TRAIN})
    with pytest.raises(InputError, match=r"hopeless-0.5-s0: .*lower beta"):
        run_study(data, tmp_path, config)
    assert json.loads((tmp_path / "runs/all-1-s0.json").read_text())["n_points"] == 3 * 1320


def test_an_unknown_trajectory_is_named_before_any_work(data: Dataset, tmp_path: Path) -> None:
    config = StudyConfig.model_validate({"generality": ["strang"], "train": TRAIN})
    with pytest.raises(InputError, match=r"no test trajectory 'strang'; .* has .*strange"):
        run_study(data, tmp_path / "study", config)
    assert not (tmp_path / "study").exists()
