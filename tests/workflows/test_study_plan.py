"""Which runs a study has, without training any."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from synthetic_study import TRAIN  # type: ignore[import-not-found]

from nearsight.errors import InputError
from nearsight.workflows.config import EnergyConfig, StudyConfig
from nearsight.workflows.plan import make_plan
from nearsight.workflows.study_choices import best_labels, runs_to_show, runs_with_energies
from nearsight.workflows.study_plan import StudyPlan
from nearsight.workflows.study_run import Run


def plans(n_points: int = 12_800, **settings) -> StudyPlan:
    config = StudyConfig.model_validate({"train": TRAIN, **settings})
    return StudyPlan(config, make_plan(config.train, [13], has_atoms=True), 7, n_points)


def stage(study: StudyPlan, number: int = 1) -> list[Run]:
    return study.stage(number, study.full(), {})


def test_models_that_fit_directly_have_no_schedule() -> None:
    models = {
        "mlp": {"name": "mlp"},
        "kernel": {"name": "gaussian_process"},
        "kernels": {"name": "ensemble", "member": {"name": "gaussian_process"}},
    }
    study = plans(models=models, schedules=["steps", "epochs"], methods=["random"], keep=[0.1], seeds=1)
    kinds = [("mlp", "steps"), ("mlp", "epochs"), ("kernel", "direct"), ("kernels", "direct")]
    assert [(run.model, run.schedule) for run in stage(study)] == kinds
    names = ["random-0.1-s7", "random-0.1-epochs-s7", "random-0.1-kernel-s7", "random-0.1-kernels-s7"]
    assert [run.id for run in stage(study)] == names
    assert {run.selection_id for run in stage(study)} == {"random-0.1-s7"}
    assert study.describe_stage(1, [], {})["schedules"] == ["steps", "epochs", "direct"]
    restricted = plans(models=models, full={"seeds": 2, "models": ["kernel"]})
    assert [run.id for run in restricted.full()] == ["all-1-kernel-s7", "all-1-kernel-s8"]


def test_equal_epochs_are_equal_steps_for_the_full_data() -> None:
    study = plans(schedules=["steps", "epochs"], keep=[0.1], seeds=1, methods=["random"])
    steps, epochs = study.full()
    assert steps.training.total_steps(12_800) == epochs.training.total_steps(12_800) == 60
    assert stage(study)[1].training.total_steps(1280) == 6
    own = plans(schedules=["epochs"], epochs=10).full()[0]
    assert own.training.total_steps(12_800) == 500


def test_a_stage_does_not_repeat_an_earlier_one() -> None:
    study = plans(
        stages=[{"keep": [0.1]}, {"keep": [0.1, 0.01], "seeds": 4, "methods": ["ccs"]}], seeds=2, full_seeds=0
    )
    first = stage(study)
    second = study.stage(2, first, {})
    assert [run.id for run in second] == ["ccs-0.1-s9", "ccs-0.1-s10"] + [
        f"ccs-0.01-s{k}" for k in range(7, 11)
    ]
    assert {run.stage for run in second} == {2}


def test_the_best_are_best_at_the_smallest_two_fractions() -> None:
    study = plans(methods=["random", "ccs", "grand"], keep=[0.5, 0.1, 0.01], seeds=1, full_seeds=1)
    runs = study.full() + stage(study)
    # grand is best by far at a half, where nobody asks
    table = {"random": (9, 2, 4), "ccs": (9, 3, 2), "grand": (1, 4, 5), "all": (0,)}
    order = {0.5: 0, 0.1: 1, 0.01: 2, 1.0: 0}
    errors = {run.id: float(table[run.label][order[run.keep]]) for run in runs}
    assert best_labels(runs, errors, 3) == ["ccs", "random", "grand"]
    assert best_labels(runs, errors, 1) == ["ccs"]
    with pytest.raises(InputError, match="validation"):
        best_labels(runs, dict.fromkeys(errors), 1)


def test_energies_are_those_asked_for() -> None:
    study = plans(methods=["random", "ccs"], keep=[0.1, 0.01], seeds=2, full_seeds=2)
    runs = study.full() + stage(study)
    errors = {run.id: 1.0 + (run.label == "random") for run in runs}

    def chosen(**asked) -> set[str]:
        return runs_with_energies(EnergyConfig(**asked), runs, errors, 7)

    assert chosen() == {run.id for run in runs}
    assert runs_with_energies(None, runs, errors, 7) == set()
    assert chosen(labels=("best",)) == {f"ccs-{keep}-s{seed}" for keep in ("0.1", "0.01") for seed in (7, 8)}
    assert chosen(labels=("all", "random"), keep=(0.01,), seeds=1) == {"all-1-s7", "random-0.01-s7"}
    assert chosen(models=("none",)) == set()


def test_what_is_shown_of_a_large_study_is_little() -> None:
    keep = [0.5, 0.1, 0.02, 0.001]
    study = plans(methods=["random", "ccs", "grand", "el2n"], keep=keep, seeds=3)
    runs = study.full() + stage(study)
    errors = {run.id: 1.0 + (run.label != "el2n") for run in runs}
    shown = [run.id for run in runs_to_show(runs, errors)]
    assert shown == ["all-1-s7"] + [
        f"{la}-{k}-s7" for k in ("0.1", "0.02") for la in ("random", "ccs", "el2n")
    ]
    # the first seed of a method that is worse on average
    lucky = errors | {f"grand-{k}-s7": 0.5 for k in ("0.1", "0.02")}
    assert [run.id for run in runs_to_show(runs, lucky)] == shown
    small = plans(methods=["random"], keep=keep)
    assert len(runs_to_show(small.full() + stage(small), {})) == 5


def test_the_sensitivity_varies_one_thing_at_a_time() -> None:
    asked = {"ccs.beta": [0.0, 0.2], "scoring.steps": [5], "keep": [0.1], "seeds": 2}
    study = plans(methods=["random", "ccs", "grand"], sensitivity=asked)
    trials = study.trials()
    assert [(t.parameter, t.value, t.label) for t in trials] == [
        ("ccs.beta", 0.0, "ccs"),
        ("ccs.beta", 0.2, "ccs"),
        ("scoring.steps", 5, "ccs"),
        ("scoring.steps", 5, "grand"),
    ]
    assert trials[1].runs[0].method.beta == 0.2
    assert trials[1].runs[0].scoring == study.plan.scoring
    assert trials[2].runs[0].scoring.steps == 5
    ids = [run.id for trial in trials for run in trial.runs]
    assert len(set(ids)) == len(ids) == 8
    with pytest.raises(InputError, match=r"sensitivity.ccs.betta"):
        plans(methods=["ccs"], sensitivity={"ccs.betta": [1]}).trials()
    with pytest.raises(InputError, match=r"sensitivity.scoring.stepps"):
        plans(methods=["ccs"], sensitivity={"scoring.stepps": [1]}).trials()
