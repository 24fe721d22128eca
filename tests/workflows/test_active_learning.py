"""The loop: what it leaves, that it goes on where it stopped, and what it does with failures."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

sys.path.insert(0, str(Path(__file__).parent))

from probe_engine import ProbeEngine, ProbeSettings  # type: ignore[import-not-found]

from nearsight.errors import IncompleteError, InputError
from nearsight.io.extxyz import Frame, read_frames
from nearsight.store import Dataset
from nearsight.structure import Structure
from nearsight.workflows.active_learning import LoopResult, active_learning, filled
from nearsight.workflows.config import Config, read_yaml
from nearsight.workflows.loop_settings import LoopConfig

TRAIN = {
    "descriptor": {"name": "power_spectrum", "cutoff": 6.0, "channels": (3, 2)},
    "network": {"name": "last_layer", "inner": {"width": 8, "depth": 1}},
    "training": {
        "steps": 20,
        "batch": 128,
        "checks": 2,
        "threads": 1,
        "precision": "float32",
        "device": "cpu",
    },
    "validation_points": 200,
}


def settings(**changes: Any) -> LoopConfig:
    return LoopConfig(**{"initial": 2, "per_round": 2, "rounds": 2, "points": 20, "train": TRAIN} | changes)


def frames(*symbols: str) -> list[Frame]:
    """One frame a symbol, rattled ever more; a last one for validation, of another element each time."""
    found = []
    for i, symbol in enumerate(symbols):
        atoms = bulk(symbol, "fcc", a=4.0 + 0.02 * i, cubic=True)
        atoms.set_initial_magnetic_moments(None)
        atoms.rattle(0.02 * (i + 1), seed=i)
        split = "validation" if i == len(symbols) - 1 else "train"
        found.append(Frame(Structure.from_ase(atoms), f"f{i}", f"t{i}", split))
    return found


@pytest.fixture
def engine(tmp_path: Path) -> ProbeEngine:
    (tmp_path / "notes").mkdir()
    return ProbeEngine(ProbeSettings(str(tmp_path / "notes")))


def summary(result: LoopResult) -> list[tuple[Any, ...]]:
    return [(r.round, r.chosen, r.n_train, r.validation_nrmse_percent, r.n_left) for r in result.rounds]


def test_a_loop_from_start_to_end(engine: ProbeEngine, tmp_path: Path) -> None:
    pool = frames(*["Al"] * 9)
    seen: list[int] = []
    result = active_learning(
        pool, tmp_path / "loop", engine, settings(), on_round=lambda r: seen.append(r.round)
    )
    assert (result.stopped, seen) == ("2 rounds are done", [0, 1, 2])
    assert [r.n_train for r in result.rounds] == [2, 4, 6]
    assert [r.n_left for r in result.rounds] == [6, 4, 2]
    assert len(result.rounds[0].chosen) == 3
    assert 8 in result.rounds[0].chosen
    every = [i for r in result.rounds for i in r.chosen]
    assert len(set(every)) == len(every) == 7
    data = Dataset.open(tmp_path / "loop" / "data.zarr")
    assert data.snapshots("validation") == [0]
    assert [data.info(n).label for n in data.numbers()] == [f"f{i}" for i in every]
    assert result.model.exists()
    assert result.model.parent.name == "02"
    for number, done in enumerate(result.rounds):
        folder = tmp_path / "loop" / "rounds" / f"{number:02d}"
        assert [f.label for f in read_frames(folder / "chosen.extxyz")] == [f"f{i}" for i in done.chosen]
        assert done.validation_nrmse_percent is not None
        assert done.sigma_mean is not None
        assert done.sigma_max is not None
        assert 0 < done.sigma_mean <= done.sigma_max
        assert done.dft_seconds > 0
    assert result.rounds[-1].dft_seconds_total == pytest.approx(sum(r.dft_seconds for r in result.rounds))
    progress = json.loads((tmp_path / "loop" / "progress.json").read_text())
    assert progress["stopped"] == result.stopped
    assert [r["chosen"] for r in progress["rounds"]] == [r.chosen for r in result.rounds]

    calls = len(engine.notes())
    again = active_learning(pool, tmp_path / "loop", engine, settings())
    assert summary(again) == summary(result)
    assert len(engine.notes()) == calls == 7
    more = active_learning(pool, tmp_path / "loop", engine, settings(rounds=None))
    assert more.stopped == "no candidates are left"
    assert summary(more)[:3] == summary(result)
    assert more.rounds[-1].n_train == 8


@pytest.mark.parametrize("stage", ["labelling", "training", "describing structures"])
def test_an_interrupted_loop_goes_on(stage: str, engine: ProbeEngine, tmp_path: Path) -> None:
    pool = frames(*["Al"] * 7)
    config = settings(rounds=1)
    straight = active_learning(pool, tmp_path / "straight", engine, config)
    stops = 0

    def stop(name: str, done: int, total: int) -> None:
        nonlocal stops
        if name == stage and done == total > 0 and stops < 4:
            stops += 1
            raise KeyboardInterrupt

    for _ in range(20):
        try:
            result = active_learning(pool, tmp_path / "loop", engine, config, progress=stop)
            break
        except KeyboardInterrupt:
            continue
    assert stops >= 2
    assert [r[:3] for r in summary(result)] == [r[:3] for r in summary(straight)]
    one, two = (Dataset.open(tmp_path / name / "data.zarr") for name in ("loop", "straight"))
    assert one.digest() == two.digest()


def test_what_cannot_be_labelled_is_not_tried_again(engine: ProbeEngine, tmp_path: Path) -> None:
    notes = str(tmp_path / "notes")
    engine = ProbeEngine(ProbeSettings(notes, fate={"Cu4": "unconverged"}))
    pool = frames("Al", "Al", "Cu", "Al", "Al", "Al", "Al")
    result = active_learning(pool, tmp_path / "loop", engine, settings(rounds=None, retries=0))
    assert result.stopped == "no candidates are left"
    last = result.rounds[-1]
    assert list(last.failed) == [2]
    assert "not converged" in last.failed[2]
    assert last.n_train == 5
    assert len([n for n in engine.notes() if n["formula"] == "Cu4"]) == 1
    assert Dataset.open(tmp_path / "loop" / "data.zarr").failures() == []

    hopeless = ProbeEngine(ProbeSettings(notes, fate={"Al4": "unconverged"}))
    with pytest.raises(
        IncompleteError, match=r"not one training structure of the first round .* not converged"
    ):
        active_learning(frames(*["Al"] * 4), tmp_path / "none", hopeless, settings())


@pytest.mark.parametrize(
    ("changes", "stopped"),
    [
        ({"until_error": 1e9}, "the validation error is"),
        ({"until_sigma": 1e9}, "the largest σ left is"),
        ({"dft_seconds": 1e-9}, "s of calculations are spent"),
        ({"rounds": 0}, "0 rounds are done"),
    ],
)
def test_when_to_stop(changes: dict[str, Any], stopped: str, engine: ProbeEngine, tmp_path: Path) -> None:
    result = active_learning(frames(*["Al"] * 5), tmp_path / "loop", engine, settings(**changes))
    assert stopped in result.stopped
    assert len(result.rounds) == 1


def test_a_folder_keeps_what_it_was_begun_with(engine: ProbeEngine, tmp_path: Path) -> None:
    pool, folder = frames(*["Al"] * 5), tmp_path / "loop"
    active_learning(pool, folder, engine, settings(rounds=0))
    for other, config, seed, named in (
        (pool, settings(per_round=3), 0, "per_round"),
        (pool[1:], settings(), 0, "candidates"),
        (pool, settings(), 1, "seed"),
    ):
        with pytest.raises(InputError, match=rf"begun with other settings \({named} differ\)"):
            active_learning(other, folder, engine, config, seed=seed)
    with pytest.raises(InputError, match="none of the candidates is meant for training"):
        active_learning(pool[-1:], tmp_path / "other", engine, settings())


def test_the_first_structures_hold_all_elements(engine: ProbeEngine, tmp_path: Path) -> None:
    pool = frames("Al", "Al", "Cu", "Al", "Ni", "Al", "Al")
    result = active_learning(pool, tmp_path / "loop", engine, settings(initial=3, rounds=0))
    assert {2, 4} < set(result.rounds[0].chosen)


def test_settings_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "loop.yaml"
    path.write_text("{per_round: 3, train: {training: {steps: 7}}}")
    read = read_yaml(path, LoopConfig)
    assert (read.per_round, read.train.network["name"]) == (3, "last_layer")
    path.write_text("{by: both, train: {network: {name: mlp}}}")
    with pytest.raises(InputError, match="the network 'mlp' states none; use by: coverage"):
        read_yaml(path, LoopConfig)
    path.write_text("{by: coverage, train: {network: {name: mlp}}}")
    assert read_yaml(path, LoopConfig).by == "coverage"
    path.write_text("{by: magic}")
    with pytest.raises(InputError, match="'by'"):
        read_yaml(path, LoopConfig)
    assert LoopConfig(train=Config(network={"name": "last_layer"})) == LoopConfig()


def test_numbers_of_failed_candidates_are_used_again() -> None:
    assert filled([], set(), [4, 2]) == [4, 2]
    assert filled([4, 2, 7], {2}, [5, 6]) == [4, 5, 7, 6]
    assert filled([4, 2, 7], {2, 7}, [5]) == [4, 5, 7]
    rng = np.random.default_rng(0)
    slots = rng.permutation(8).tolist()
    assert set(filled(slots, {slots[3]}, [11, 12])) == {*slots, 11, 12} - {slots[3]}
