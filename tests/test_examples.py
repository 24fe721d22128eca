"""Every example runs, in order, in an empty folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("[0-9]*.py"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example: Path, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_readme_shows_the_first_example() -> None:
    root = Path(__file__).parent.parent
    code = (root / "examples" / "01_quickstart.py").read_text().split('"""', 2)[2].strip()
    assert code in (root / "README.md").read_text()
