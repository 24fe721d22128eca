"""``nearsight label`` in processes, ended from outside: one line, nothing lost, nobody left running."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import ase.io
import pytest
import yaml

PROBE = Path(__file__).parent.parent / "workflows"
sys.path.insert(0, str(PROBE))

from probe_engine import ProbeEngine, ProbeSettings, ends, structures  # type: ignore[import-not-found]  # noqa: E402

from nearsight.store import Dataset  # noqa: E402
from nearsight.workflows.label import label  # noqa: E402

pytest.importorskip("distributed", reason="needs the package distributed")

COMMAND = "import probe_engine; from nearsight.cli.main import run; run()"


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(PROBE), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


@contextmanager
def _started(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process, which is gone in the end."""
    with subprocess.Popen(
        [sys.executable, *command],
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _label(folder: Path, n: int, *options: str, **settings: Any) -> list[str]:
    """The command that labels `n` structures into ``d.zarr``."""
    (folder / "notes").mkdir(exist_ok=True)
    ase.io.write(folder / "s.extxyz", structures(*["Al"] * n), format="extxyz")
    (folder / "e.yaml").write_text(yaml.safe_dump({"notes": str(folder / "notes"), **settings}))
    files = [str(folder / "s.extxyz"), "-o", str(folder / "d.zarr"), "--config", str(folder / "e.yaml")]
    return ["-c", COMMAND, "label", *files, "--engine", "probe", *options]


def _wait_for_snapshots(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    while len(list((folder / "d.zarr" / "snapshots").glob("0*/zarr.json"))) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def _pids(folder: Path) -> set[int]:
    notes = [path.read_text() for path in (folder / "notes").glob("*.json")]
    return {int(found[1]) for found in (re.search(r'"pid": (\d+)', note) for note in notes) if found}


def _carries_on(folder: Path, n: int) -> None:
    before = Dataset.open(folder / "d.zarr").numbers()
    assert 0 < len(before) < n
    engine = ProbeEngine(ProbeSettings(str(folder / "notes")))
    assert label(folder / "s.extxyz", folder / "d.zarr", engine).skipped == before
    assert Dataset.open(folder / "d.zarr").numbers() == list(range(n))


def test_interrupted(tmp_path: Path) -> None:
    with _started(*_label(tmp_path, 6, "--jobs", "2", seconds=1.0)) as process:
        _wait_for_snapshots(tmp_path, 1, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines() == [
        "nearsight: error: interrupted; what was finished is kept, run the same command again"
    ]
    assert len(_pids(tmp_path)) >= 1
    assert all(ends(pid) for pid in _pids(tmp_path))
    _carries_on(tmp_path, 6)


def test_the_scheduler_dies(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with ExitStack() as stack:
        port = address.rsplit(":", 1)[1]
        scheduler = stack.enter_context(
            _started("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port,
                     "--no-dashboard", "--no-show")
        )  # fmt: skip
        stack.enter_context(
            _started("-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny",
                     "--no-dashboard", "--local-directory", str(tmp_path))
        )  # fmt: skip
        process = stack.enter_context(_started(*_label(tmp_path, 12, "--scheduler", address, seconds=1.0)))
        _wait_for_snapshots(tmp_path, 1, process)
        scheduler.kill()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == ""
    assert len(err.splitlines()) == 1
    assert f"the connection to the Dask scheduler {address} was lost; finished snapshots are kept" in err
    # they end with their worker, which the end of the block killed
    assert all(ends(pid) for pid in _pids(tmp_path))
    _carries_on(tmp_path, 12)
