"""ASE calculators by name: what drives the dynamics."""

from collections.abc import Mapping
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, get_calculator_class
from ase.calculators.calculator import names as known_names

from nearsight.errors import InputError, UnknownNameError


def make_calculator(name: str, settings: Mapping[str, Any] | None = None) -> Calculator:
    """An ASE calculator.

    Parameters
    ----------
    name : str
        ``emt``, or any name that ASE knows.
    settings : mapping, optional
        Its keyword arguments.

    Raises
    ------
    UnknownNameError
        ASE knows no such calculator; the message lists those it knows.
    InputError
        Its package is not installed, or it refuses the settings.
    """
    if name not in known_names:
        raise UnknownNameError(f"ASE has no calculator '{name}'; known: {', '.join(sorted(known_names))}")
    try:
        return get_calculator_class(name)(**(settings or {}))
    except Exception as error:  # each calculator fails in its own way when its program is missing
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"the calculator '{name}' cannot be started: {reason}") from error


def require_forces(atoms: Atoms, name: str) -> None:
    """Raise `InputError` unless the calculator of `atoms` gives forces for them."""
    try:
        atoms.get_forces()
    except Exception as error:  # as above: NotImplementedError, KeyError, CalculatorError …
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"the calculator '{name}' gives no forces for {atoms.get_chemical_formula()}: {reason}"
        ) from error
