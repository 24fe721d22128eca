"""A tiny real pipeline, made once: 4-atom aluminium labelled by the embedded engine."""

import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nearsight.cli.main import run

RECIPE = """
name: tiny
description: 4-atom aluminium for the tests
structure: {kind: crystal, formula: Al, lattice: fcc, a: 4.05, cubic: true, repeat: [1, 1, 1]}
dynamics: {calculator: emt, timestep_fs: 3.0, friction_per_fs: 0.02, equilibration: 20, interval: 10}
trajectories:
  - {name: train-a, split: train, frames: 2, dynamics: {temperature_kelvin: 600}}
  - {name: validation-a, split: validation, dynamics: {temperature_kelvin: 600}}
  - {name: test-a, split: test, dynamics: {temperature_kelvin: 600}}
"""
TRAIN = """
descriptor: {name: power_spectrum}
network: {name: mlp, width: 16, depth: 2}
training: {steps: 150, batch: 512, checks: 10, threads: 1}
scoring: {initialisations: 1, steps: 20}
validation_points: 1000
"""
SHAPE = "16,16,16"


@dataclass
class Ran:
    """What a command printed and returned."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line a failing command may print; anything else fails the test."""
        assert self.code != 0
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert len(lines) == 1, f"expected one line, got: {self.err}"
        assert lines[0].startswith("nearsight: error: ")
        assert "Traceback" not in self.err
        assert "a bug" not in self.err
        return lines[0]


Command = Callable[..., Ran]


def run_command(*arguments: object) -> Ran:
    """Run ``nearsight`` as its console script does, in this process, where imports are paid once."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "400")
        patch.setattr(sys, "argv", ["nearsight", *map(str, arguments)])
        try:
            run()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def nearsight() -> Command:
    return run_command


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with structures, data set, coreset and model, each made by its command."""
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "tiny.yaml").write_text(RECIPE)
    (folder / "train.yaml").write_text(TRAIN)
    structures, data, core = folder / "structures.extxyz", folder / "data.zarr", folder / "core.zarr"
    config = ("--config", folder / "train.yaml", "--quiet")
    for arguments in (
        ("sample", folder / "tiny.yaml", "-o", structures, "--quiet"),
        ("label", structures, "-o", data, "--shape", SHAPE, "--quiet"),
        ("prune", data, "-o", core, "--method", "ccs", "--keep", 0.2, *config),
        ("train", core, "-o", folder / "model.nst", *config),
    ):
        ran = run_command(*arguments)
        assert ran.code == 0, ran.err
    return folder
