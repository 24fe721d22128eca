"""A place for compiled kernels where neither the package nor the home folder can be written.

Numba keeps compiled kernels beside the package or in the user's cache folder, and refuses to start where
it may write to neither, as in many containers. There a folder of this process alone is given to it: the
kernels are compiled anew each time, and nobody else can put anything into it.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def ensure_writable_cache(package: Path, home: Path | None) -> Path | None:
    """Set ``NUMBA_CACHE_DIR`` to a private temporary folder if no other place can be written.

    Parameters
    ----------
    package : Path
        Folder of the package.
    home : Path or None
        The user's home folder, None if there is none.

    Returns
    -------
    Path or None
        The folder, removed when Python ends; None where none is needed.
    """
    if os.environ.get("NUMBA_CACHE_DIR") or os.access(package, os.W_OK):
        return None
    cache = None if home is None else home / ".cache"
    if cache is not None and os.access(cache if cache.exists() else cache.parent, os.W_OK):
        return None
    folder = Path(tempfile.mkdtemp(prefix="nearsight-kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    return folder


def home_folder() -> Path | None:
    """The user's home folder, None where there is none."""
    try:
        return Path.home()
    except RuntimeError:
        return None
