"""Atomic writes: everything appears under its final name complete, or not at all.

What is written goes under a temporary name beside the target and is renamed at the end. A temporary
name says which process on which machine it belongs to, so that what a killed process left behind
can be told from what a running one is still writing.
"""

import errno
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nearsight.errors import InputError, NearsightError

_TEMPORARY = re.compile(r"\.tmp~(?P<host>[^~]*)~(?P<pid>\d+)~[0-9a-f]+~(?P<name>.*)")
_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure of the file system while `path` is written into one clear line.

    `FileExistsError` passes: it tells writers that race for a name who came second.

    Raises
    ------
    NearsightError
        The disk or quota is full.
    InputError
        The place cannot be written: no such folder, no permission.
    """
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise NearsightError(
                f"no space left on the device while writing {path}; free some and run the same command "
                "again: what was complete before is kept"
            ) from error
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def temporary_name(target: Path, folder: Path | None = None) -> Path:
    """An unused name for work in progress on `target`, in its folder unless another is given.

    The name ends as the target's does, so that a format chosen by extension stays the same.
    """
    host = re.sub(r"[^A-Za-z0-9._-]", "_", socket.gethostname())
    name = f".tmp~{host}~{os.getpid()}~{secrets.token_hex(4)}~{target.name}"
    return (target.parent if folder is None else folder) / name


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path to write; rename it onto `target`, replacing it, when the block ends well.

    Raises
    ------
    NearsightError, InputError
        As `writing` does.
    """
    with writing(target):
        remove_leftovers(target.parent, target.name)
        temporary = temporary_name(target)
        try:
            yield temporary
            _flush(temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path, within: Path | None = None, *, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder to fill; rename it to `target` when the block ends well.

    Parameters
    ----------
    target : Path
        Must not exist, or be an empty folder, unless `replace`.
    within : Path, optional
        Where the temporary folder is made (on the same file system); beside the target unless given.
    replace : bool
        Move a folder of that name away at the last moment, and delete it.

    Raises
    ------
    FileExistsError
        Another writer was faster: `target` is there already. Nothing of it is touched.
    NearsightError, InputError
        As `writing` does.
    """
    temporary = temporary_name(target, within)
    old = temporary_name(target, within)
    try:
        with writing(target):
            temporary.mkdir()
            yield temporary
            _flush(temporary)
            if replace and target.exists():
                target.rename(old)
            _rename_folder(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Delete temporary files and folders of processes of this machine that no longer run.

    Parameters
    ----------
    folder : Path
    name : str, optional
        Only those that were to become this name.
    """
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        match = _TEMPORARY.fullmatch(entry.name)
        if match and name in (None, match["name"]) and _is_dead(match["host"], int(match["pid"])):
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def _rename_folder(temporary: Path, target: Path) -> None:
    """Rename; a target that is there already is a `FileExistsError` on every system."""
    try:
        temporary.rename(target)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise FileExistsError(errno.EEXIST, "exists already", str(target)) from error
        raise


def _flush(path: Path) -> None:
    """Bring a file, or all files under a folder, to the disk before the name that promises them."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_dead(host: str, pid: int) -> bool:
    """Whether a process of this machine no longer runs; never true of another machine's."""
    if host != temporary_name(Path("x")).name.split("~")[1]:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
