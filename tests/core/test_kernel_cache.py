"""Compiled kernels find a place even where nothing of the user's can be written."""

import os
from pathlib import Path

import pytest

from nearsight.kernel_cache import ensure_writable_cache


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")


def _writable(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) in folders)


def test_nothing_to_do_where_the_package_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _writable(monkeypatch, tmp_path / "package")
    assert ensure_writable_cache(tmp_path / "package", None) is None
    assert os.environ["NUMBA_CACHE_DIR"] == ""


def test_nothing_to_do_where_the_home_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _writable(monkeypatch, tmp_path)
    assert ensure_writable_cache(tmp_path / "package", tmp_path) is None


@pytest.mark.parametrize("has_home", [True, False])
def test_a_private_folder_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_home: bool) -> None:
    _writable(monkeypatch)
    folder = ensure_writable_cache(tmp_path / "package", tmp_path if has_home else None)
    assert folder is not None
    assert os.environ["NUMBA_CACHE_DIR"] == str(folder)
    assert folder.stat().st_mode & 0o077 == 0
    folder.rmdir()


def test_the_user_s_own_choice_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/somewhere")
    _writable(monkeypatch)
    assert ensure_writable_cache(tmp_path, None) is None
    assert os.environ["NUMBA_CACHE_DIR"] == "/somewhere"
