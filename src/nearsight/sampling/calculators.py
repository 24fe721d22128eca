"""ASE calculators by name: what drives the dynamics."""

import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, get_calculator_class
from ase.calculators.calculator import names as known_to_ase

from nearsight.errors import InputError, NearsightError, UnknownNameError
from nearsight.sampling.optional import optional

#: makes a calculator from its settings
CalculatorFactory = Callable[[Mapping[str, Any]], Calculator]


def make_calculator(
    name: str,
    settings: Mapping[str, Any] | None = None,
    more: Mapping[str, CalculatorFactory] | None = None,
) -> Calculator:
    """An ASE calculator.

    Parameters
    ----------
    name : str
        ``emt``; ``chgnet``, ``tblite`` (packages of the extra ``materials``); ``mace``, ``matgl`` (with
        the setting ``path`` to a model); a name of `more`; or any name that ASE knows.
    settings : mapping, optional
        Its keyword arguments.
    more : mapping of name to factory, optional
        Calculators that the caller brings, such as the Kohn–Sham engines.

    Raises
    ------
    UnknownNameError
        There is no such calculator; the message lists those that there are.
    InputError
        Its package is not installed, or it refuses the settings.
    """
    factories = {**_OWN, **(more or {})}
    if name not in factories and name not in known_to_ase:
        raise UnknownNameError(
            f"ASE has no calculator '{name}'; known: {', '.join([*sorted(factories), *sorted(known_to_ase)])}"
        )
    try:
        if name in factories:
            return factories[name](settings or {})
        return get_calculator_class(name)(**(settings or {}))
    except NearsightError:
        raise
    except Exception as error:  # each calculator fails in its own way when its program is missing
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"the calculator '{name}' cannot be started: {reason}") from error


def require_forces(atoms: Atoms, name: str) -> None:
    """Raise `InputError` unless the calculator of `atoms` gives forces for them."""
    try:
        atoms.get_forces()
    except NearsightError:
        raise
    except Exception as error:  # as above: NotImplementedError, KeyError, CalculatorError …
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"the calculator '{name}' gives no forces for {atoms.get_chemical_formula()}: {reason}"
        ) from error


def _chgnet(settings: Mapping[str, Any]) -> Calculator:
    """CHGNet, its weights from the package (Deng et al., Nat. Mach. Intell. 5, 1031 (2023))."""
    base = optional("chgnet.model.dynamics", "the calculator 'chgnet'").CHGNetCalculator

    class Quiet(base):  # type: ignore[misc, valid-type]
        """Without its remarks on constraints, which are not its business, once a step."""

        def calculate(self, *args: Any, **kwargs: Any) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                super().calculate(*args, **kwargs)

    with redirect_stdout(StringIO()):  # it greets on stdout
        calculator: Calculator = Quiet(**{"use_device": "cpu", "on_isolated_atoms": "ignore", **settings})
    return calculator


def _tblite(settings: Mapping[str, Any]) -> Calculator:
    """Extended tight binding, GFN1-xTB unless told otherwise (Grimme et al., JCTC 13, 1989 (2017))."""
    module = optional("tblite.ase", "the calculator 'tblite'")
    calculator: Calculator = module.TBLite(**{"method": "GFN1-xTB", "verbosity": 0, **settings})
    return calculator


def _mace(settings: Mapping[str, Any]) -> Calculator:
    """A MACE model from the user's file, which is unpickled: open only what you trust."""
    rest = _without_path(settings, "mace")
    module = optional("mace.calculators", "the calculator 'mace'")
    calculator: Calculator = module.MACECalculator(
        model_paths=str(settings["path"]), **{"device": "cpu", **rest}
    )
    return calculator


def _matgl(settings: Mapping[str, Any]) -> Calculator:
    """A MatGL potential from the user's folder, which is unpickled: open only what you trust."""
    rest = _without_path(settings, "matgl")
    potential = optional("matgl", "the calculator 'matgl'").load_model(str(settings["path"]))
    module = optional("matgl.ext.ase", "the calculator 'matgl'")
    calculator: Calculator = module.PESCalculator(potential, **rest)
    return calculator


def _without_path(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The other settings; the path to the model must be there."""
    if not settings.get("path"):
        raise InputError(f"the calculator '{name}' needs calculator_settings: {{path: your model}}")
    return {key: value for key, value in settings.items() if key != "path"}


_OWN: dict[str, CalculatorFactory] = {"chgnet": _chgnet, "mace": _mace, "matgl": _matgl, "tblite": _tblite}
