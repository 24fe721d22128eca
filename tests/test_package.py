"""What was installed is what the source tree holds, and all of it imports."""

import importlib
import os
import pkgutil
import subprocess
import sys
import sysconfig
from importlib.metadata import metadata, version
from pathlib import Path

import pytest

import nearsight

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "nearsight"
INSTALLED = Path(nearsight.__file__).parent
DEVELOPING = os.environ.get("NEARSIGHT_DEV", "0") != "0"
MODULES = sorted(m.name for m in pkgutil.walk_packages([str(SOURCE)], "nearsight."))
ROOMS = sorted(p.parent.name for p in SOURCE.glob("*/__init__.py"))


def shipped(folder: Path) -> set[str]:
    """Files of a package, without what Python and Numba leave behind."""
    return {
        str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts
    }


@pytest.mark.skipif(DEVELOPING, reason="NEARSIGHT_DEV asks for the source tree")
def test_the_tests_see_the_installed_package_and_not_the_source_tree() -> None:
    assert INSTALLED.parent == Path(sysconfig.get_path("purelib"))
    assert str(ROOT / "src") not in sys.path


def test_every_file_of_the_source_tree_was_installed() -> None:
    """Templates, recipes and the typing marker included; nothing stale left over."""
    assert "py.typed" in shipped(SOURCE)
    assert len(shipped(SOURCE)) > 40
    assert shipped(INSTALLED) == shipped(SOURCE)


def test_version_and_licence_are_stated() -> None:
    assert nearsight.__version__ == version("nearsight")
    assert metadata("nearsight")["License-Expression"] == "Apache-2.0"
    assert f"## [{nearsight.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_every_module_imports_and_says_what_it_is(name: str) -> None:
    assert (importlib.import_module(name).__doc__ or "").strip()


def test_importing_the_package_costs_nothing() -> None:
    """No heavy library comes along with the bare name; fresh process, as this one has them all."""
    code = "import sys, nearsight; print(sorted({'torch', 'pyscf', 'plotly', 'numba'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "recipes"])
def test_every_room_has_a_page_in_the_reference(room: str) -> None:
    assert f"::: nearsight.{room}\n" in (ROOT / "docs" / "api" / f"{room}.md").read_text(encoding="utf-8")
