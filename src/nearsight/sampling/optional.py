"""Packages that a recipe may need and that nearsight does without."""

from importlib import import_module
from types import ModuleType

from nearsight.errors import InputError

#: what the extra ``materials`` installs
_EXTRA = ("chgnet", "matscipy", "pymatgen", "sqsgenerator", "tblite")
#: where pip finds a module whose name is not its package's
_PACKAGES = {"mace": "mace-torch"}


def optional(module: str, purpose: str) -> ModuleType:
    """Import a module of an optional package.

    Parameters
    ----------
    module : str
    purpose : str
        What it is for, the subject of the message: ``grain boundaries``.

    Raises
    ------
    InputError
        It is not installed, or does not import; the message names the package.
    """
    top = module.split(".")[0]
    package = _PACKAGES.get(top, top)
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != top:
            raise InputError(f"{purpose}: the package {package} does not import: {error}") from error
        wanted = "'nearsight[materials]'" if package in _EXTRA else package
        raise InputError(f"{purpose}: the package {package} is missing; pip install {wanted}") from error
    except ImportError as error:
        raise InputError(f"{purpose}: the package {package} does not import: {error}") from error
