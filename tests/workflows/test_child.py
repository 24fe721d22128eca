"""Processes for calculations: they answer, they end when told, and they take nothing with them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from probe_engine import ends  # type: ignore[import-not-found]

from nearsight.errors import StoreError
from nearsight.workflows.child import Child, ChildPool, ProcessDiedError, TimeLimitError

# children cannot import this file; let them have its functions by value
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def _work(function: Callable[[Any], Any], item: Any = None) -> bytes:
    return bytes(cloudpickle.dumps((function, item)))


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    child = Child(threads=1)
    yield child
    child.close()


def test_answers_are_what_was_returned_or_raised(child: Child) -> None:
    def noisy(item: np.ndarray) -> np.ndarray:
        print("not an answer")
        os.write(1, b"nor this")
        return 2 * item

    def refuse(_: Any) -> None:
        raise StoreError("there is no dataset at d.zarr")

    large = np.arange(300_000.0)  # more than a pipe holds
    np.testing.assert_array_equal(child.call(_work(noisy, large)), 2 * large)
    with pytest.raises(StoreError, match="there is no dataset"):
        child.call(_work(refuse))
    assert child.call(_work(lambda _: os.getpid())) not in (os.getpid(), os.getppid())
    assert child.alive


def test_libraries_are_held_to_their_threads(child: Child) -> None:
    def count(_: Any) -> list[int]:
        import numba
        import torch
        from threadpoolctl import threadpool_info

        pools = [pool["num_threads"] for pool in threadpool_info()]
        return [numba.get_num_threads(), torch.get_num_threads(), *pools]

    found = child.call(_work(count))
    assert len(found) > 2, "no BLAS was found"
    assert set(found) == {1}


def test_a_time_limit_ends_the_process_and_what_it_started(tmp_path: Path) -> None:
    def hang(folder: Path) -> None:
        program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        (folder / "pids").write_text(f"{os.getpid()} {program.pid}")
        time.sleep(1000)

    child = Child(threads=1)
    with pytest.raises(TimeLimitError, match="not done after 2 s"):
        child.call(_work(hang, tmp_path), timeout=2)
    assert not child.alive
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == 2
    assert all(ends(int(pid)) for pid in pids)


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (lambda _: os.kill(os.getpid(), signal.SIGKILL), "signal 9 .*memory"),
        (lambda _: os.kill(os.getpid(), signal.SIGSEGV), "signal 11"),
        (
            lambda _: (os.write(2, b"noise\nlibfoo is missing\n"), os._exit(3)),
            "exit code 3: libfoo is",
        ),
    ],
    ids=["killed", "crashed", "left"],
)
def test_a_dead_process_is_one_clear_error(end: Callable[[Any], Any], says: str) -> None:
    child = Child(threads=1)
    with pytest.raises(ProcessDiedError, match=says) as caught:
        child.call(_work(end))
    assert "\n" not in str(caught.value)
    assert not child.alive


def test_a_pool_keeps_its_processes_and_ends_them() -> None:
    pool = ChildPool()
    pid = pool.call(_work(lambda _: os.getpid()), 1, None)
    assert pool.call(_work(lambda _: os.getpid()), 1, None) == pid
    died: list[BaseException] = []

    def hang() -> None:
        try:
            pool.call(_work(lambda _: time.sleep(1000)), 1, None)
        except ProcessDiedError as error:
            died.append(error)

    waiting = threading.Thread(target=hang)
    waiting.start()
    time.sleep(0.3)
    pool.end()
    waiting.join(timeout=20)
    assert died
    assert ends(pid)
    with pytest.raises(ProcessDiedError, match="ended"):
        pool.call(_work(lambda _: 1), 1, None)


def test_children_end_with_their_parent(tmp_path: Path) -> None:
    """The parent is killed while its child is at work."""
    script = (
        "import sys, time, cloudpickle, os, pathlib\n"
        "from nearsight.workflows.child import Child\n"
        "def work(path):\n"
        "    pathlib.Path(path).write_text(str(os.getpid()))\n"
        "    time.sleep(1000)\n"
        "Child(1).call(cloudpickle.dumps((work, sys.argv[1])))\n"
    )
    target = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", script, str(target)]) as parent:
        for _ in range(600):
            if target.exists() and target.read_text():
                break
            time.sleep(0.05)
        pid = int(target.read_text())
        os.kill(pid, 0)  # it runs
        parent.kill()
    assert ends(pid)
