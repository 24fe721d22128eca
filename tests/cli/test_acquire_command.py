"""``nearsight acquire`` and ``nearsight active-learn`` as a person runs them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nearsight.io.extxyz import read_frames
from nearsight.store import Dataset

Command = Callable[..., Any]

LOOP = """
initial: 1
per_round: 1
rounds: 1
points: 30
engine: {spacing: 0.9}
train:
  descriptor: {name: power_spectrum, cutoff: 6.0, channels: [3, 2]}
  network: {name: last_layer, inner: {width: 8, depth: 1}}
  training: {steps: 20, batch: 256, checks: 2, threads: 1}
  validation_points: 500
"""


def test_acquire(nearsight: Command, pipeline: Path, tmp_path: Path) -> None:
    structures, chosen = pipeline / "structures.extxyz", tmp_path / "chosen.extxyz"
    line = nearsight("acquire", pipeline / "model.nst", structures, "-o", chosen, "--by", "both").error
    assert "states no uncertainty to rank structures by; use --by coverage" in line
    line = nearsight("acquire", pipeline / "model.nst", structures, "-o", chosen, "--by", "coverage").error
    assert "cannot choose 10 of 2 candidate structures (4 given)" in line
    assert not chosen.exists()
    arguments = ("--by", "coverage", "--n", 1, "--points", 20, "--json", "-")
    result = nearsight("acquire", pipeline / "model.nst", structures, "-o", chosen, *arguments).json
    assert [c["rank"] for c in result["chosen"]] == [1]
    assert (len(result["others"]), result["by"], result["points"]) == (1, "coverage", 20)
    assert len(result["notes"]) == 3  # one frame is for validation, one for test, and no data
    assert [f.label for f in read_frames(chosen)] == [result["chosen"][0]["label"]]
    labelled = nearsight(
        "acquire", pipeline / "model.nst", structures, "-o", chosen, "--by", "coverage", "--n", 1,
        "--data", pipeline / "data.zarr",
    )  # fmt: skip
    assert "cannot choose 1 of 0" in labelled.error


@pytest.fixture
def loop(tmp_path: Path, pipeline: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text((pipeline / "tiny.yaml").read_text())
    (tmp_path / "loop.yaml").write_text(LOOP)
    return tmp_path


def test_active_learn(nearsight: Command, loop: Path) -> None:
    command = ("active-learn", loop / "tiny.yaml", "-o", loop / "out", "--config", loop / "loop.yaml")
    ran = nearsight(*command, "--json", "-")
    assert ran.code == 0, ran.err
    rows = [line.split() for line in ran.err.splitlines() if line.split()[:1] in (["0"], ["1"])]
    assert [row[:2] for row in rows] == [["0", "1"], ["1", "2"]]
    assert ran.json["stopped"] == "no candidates are left"
    assert [r["n_train"] for r in ran.json["rounds"]] == [1, 2]
    assert Path(ran.json["model"]).exists()
    assert Dataset.open(loop / "out" / "data.zarr").trajectories().keys() == {
        "train-a",
        "validation-a",
        "test-a",
    }
    again = nearsight(*command, "--json", "-")
    assert again.json == ran.json
    line = nearsight(*command, "--seed", 1).error
    assert "begun with another recipe or seed" in line
    (loop / "loop.yaml").write_text(LOOP + "magic: 1\n")
    assert "'magic': unknown setting" in nearsight(*command).error


def test_active_learn_killed(nearsight: Command, loop: Path) -> None:
    command = ("active-learn", loop / "tiny.yaml", "-o", loop / "out", "--config", loop / "loop.yaml")
    process = subprocess.Popen(
        [sys.executable, "-m", "nearsight", *map(str, command), "--quiet"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    while process.poll() is None and not (loop / "out" / "rounds" / "00" / "model.nst").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL, "the loop was done before it could be killed"
    before = Dataset.open(loop / "out" / "data.zarr").digest()
    result = nearsight(*command, "--json", "-").json
    assert [r["n_train"] for r in result["rounds"]] == [1, 2]
    assert Dataset.open(loop / "out" / "data.zarr").digest() != before
    assert len(Dataset.open(loop / "out" / "data.zarr")) == 4
