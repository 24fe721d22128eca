"""A process killed without warning loses nothing: the same command carries on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
import yaml
from ase.build import bulk

import nearsight as ns

TRAIN = """
network: {width: 24, depth: 2}
training: {steps: 3000, batch: 256, checks: 300, patience: 300, threads: 1}
checkpoint_seconds: 0
"""


def _kill_when(done: Path, count: int, *arguments: object) -> None:
    """Start ``nearsight`` and kill it once the folder `done` holds `count` entries."""
    command = [sys.executable, "-m", "nearsight", *map(str, arguments), "--quiet"]
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        while process.poll() is None:
            entries = list(done.iterdir()) if done.is_dir() else []
            if len([e for e in entries if not e.name.startswith(".")]) >= count:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.02)
        process.wait()
    assert process.returncode == -signal.SIGKILL, "the process was done before it could be killed"


@pytest.fixture(scope="module")
def structures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = []
    for seed in range(4):
        atoms = bulk("Al", cubic=True, a=4.05)
        atoms.rattle(0.05, seed=seed)
        atoms.info.update(trajectory=f"run-{seed}", split="validation" if seed == 3 else "train")
        frames.append(atoms)
    path = tmp_path_factory.mktemp("killed") / "s.extxyz"
    ase.io.write(path, frames, format="extxyz")
    return path


def test_label(structures: Path, tmp_path: Path) -> None:
    data = tmp_path / "d.zarr"
    # zarr.json and one finished snapshot
    _kill_when(data / "snapshots", 2, "label", structures, "-o", data, "--shape", "18,18,18")
    before = ns.Dataset.open(data).numbers()
    assert 1 <= len(before) < 4
    kept = ns.Dataset.open(data).density(before[0]).values
    result = ns.label(structures, data, ns.LcaoEngine(), shape=(18, 18, 18))
    assert set(result.skipped) >= set(before)
    assert ns.Dataset.open(data).numbers() == [0, 1, 2, 3]
    np.testing.assert_array_equal(ns.Dataset.open(data).density(before[0]).values, kept)


def test_train(structures: Path, tmp_path: Path) -> None:
    data, model = tmp_path / "d.zarr", tmp_path / "m.nst"
    ns.label(structures, data, ns.LcaoEngine(), shape=(18, 18, 18))
    (tmp_path / "train.yaml").write_text(TRAIN)
    folder = tmp_path / ".m.nst.checkpoint"
    _kill_when(folder, 1, "train", data, "-o", model, "--config", tmp_path / "train.yaml")
    assert not model.exists()
    first: list[int] = []
    config = ns.Config.model_validate(yaml.safe_load(TRAIN))

    def watch(stage: str, done: int, total: int) -> None:
        if stage == "training" and not first:
            first.append(done)

    resumed = ns.train(data, model, config, progress=watch)
    assert first[0] > 0, "the second run began from scratch"
    assert model.exists()
    assert not folder.exists()
    straight = ns.train(data, tmp_path / "straight.nst", config)
    # Equal to the bit within one process (tests/training); across processes the last bits of sums
    # may follow the alignment of memory, and training amplifies them.
    assert [e["step"] for e in resumed.history] == [e["step"] for e in straight.history]
    assert resumed.steps == straight.steps
    for ours, theirs in zip(resumed.history[:20], straight.history[:20], strict=True):
        assert ours["validation_nrmse_percent"] == pytest.approx(theirs["validation_nrmse_percent"], rel=0.05)
    assert resumed.validation_nrmse_percent == pytest.approx(straight.validation_nrmse_percent, rel=0.1)
