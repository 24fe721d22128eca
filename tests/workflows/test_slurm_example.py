"""The SLURM example, with a stand-in for ``sbatch`` that starts the job at once on this machine."""

import os
import subprocess
import sys
from pathlib import Path

import ase.io
import pytest
from ase.build import bulk

from nearsight.store import Dataset

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "slurm_label.py"
SBATCH = """#!/bin/sh
cp "$1" job.sh  # as SLURM does: the script is gone as soon as it is submitted
setsid sh job.sh > /dev/null 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
for job in "$@"; do kill -- "-$job"; done
"""


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE), "s.extxyz", "d.zarr", *arguments]
    environment = os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, script in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    ase.io.write(tmp_path / "s.extxyz", [bulk("Al", cubic=True, a=a) for a in (4.0, 4.1)], format="extxyz")
    return tmp_path


def test_it_says_what_it_needs(folder: Path) -> None:
    assert "--at-once" in _run(folder, "--help").stdout
    (folder / "dask_jobqueue.py").write_text("raise ImportError('not here')\n")
    code = (
        "import runpy, sys; sys.path.insert(0, '.'); sys.argv = sys.argv[1:]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", code, str(EXAMPLE), "a", "b"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr.strip() == "this example needs the package dask-jobqueue: pip install dask-jobqueue"


def test_jobs_label(folder: Path) -> None:
    pytest.importorskip("dask_jobqueue", reason="needs the package dask-jobqueue")
    script = _run(folder, "--partition", "slow", "--show-job").stdout
    assert "#SBATCH -p slow" in script
    assert "--nthreads 4" in script
    assert "--resources MB=57600" in script
    ran = _run(folder, "--nodes", "1", "--cores", "2", "--at-once", "2", "--memory-mb", "4000")
    assert ran.stdout == "2 labelled, 0 were there, 0 failed\n", ran.stderr
    assert Dataset.open(folder / "d.zarr").numbers() == [0, 1]
