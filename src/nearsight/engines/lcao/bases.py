"""Gaussian basis sets: PySCF's tables by name, and any file in CP2K's format.

Names of two kinds: PySCF's own (``gth-dzvp-molopt-sr``), and CP2K's as they stand in its files
(``TZVP-MOLOPT-PBE-GTH``), of which PySCF carries copies. CP2K has a basis of the same name for each number
of valence electrons that an element's pseudopotentials leave; the one that fits is taken.

A block of such a file (CP2K manual, "basis set"):

    Al TZVP-MOLOPT-PBE-GTH-q3 TZVP-MOLOPT-GGA-GTH-q3      element, then one or more names
      1                                                   number of sets
      2 0 2 4 3 3 1                                       n, l from … to …, exponents, shells of each l
         0.9325…  0.1440… …                               exponent, coefficients of all shells
"""

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

from ase.data import chemical_symbols
from pyscf.gto.basis import load as load_basis
from pyscf.lib.exceptions import BasisNotFoundError
from pyscf.pbc import gto

from nearsight.errors import FileFormatError, InputError, UnknownElementError
from nearsight.provenance import digest

#: what is worth proposing where a basis lacks an element
_PROPOSED = (
    "gth-dzvp-molopt-sr",
    "gth-tzvp-molopt",
    "gth-tzv2p-molopt",
    "TZVP-MOLOPT-SR-GTH",
    "DZVP-MOLOPT-PBE-GTH",
    "TZVP-MOLOPT-PBE-GTH",
    "TZV2P-MOLOPT-PBE-GTH",
)
#: CP2K's files among PySCF's
_SUPPLIED = ("BASIS_MOLOPT_UZH", "BASIS_MOLOPT", "BASIS_MOLOPT_UCL", "GTH_BASIS_SETS")


def element_basis(basis: str, number: int, charge: float, file: str | None = None) -> list[Any]:
    """PySCF's table of an element's contracted shells: [l, [exponent, coefficients …] …] for each.

    Parameters
    ----------
    basis : str
        PySCF's name of a basis, or CP2K's.
    number : int
        Atomic number.
    charge : float
        Valence electrons of the element's pseudopotential.
    file : str, optional
        A file in CP2K's format to read it from.

    Raises
    ------
    UnknownElementError
        The basis does not have the element; the message names bases that do.
    InputError
        The file cannot be read.
    FileFormatError
        The file is not in CP2K's format.
    """
    symbol = chemical_symbols[number]
    found = _find(basis, symbol, charge, file)
    if found is not None:
        return found
    where = f" in {file}" if file else ""
    if file:
        others = sorted({name for names, _ in _blocks(_text(file)).get(symbol, []) for name in names})
    else:
        others = [name for name in _PROPOSED if _find(name, symbol, charge, None) is not None]
    advice = f"{symbol} has {', '.join(others)}" if others else f"there is none for {symbol}"
    raise UnknownElementError(
        f"no basis '{basis}' for {symbol} with {charge:g} valence electrons{where}; {advice}"
    )


def file_digest(file: str) -> str:
    """Hash of a basis file's text; raises `InputError` where it cannot be read."""
    return digest(_text(file))


def _find(basis: str, symbol: str, charge: float, file: str | None) -> list[Any] | None:
    if file is not None:
        return _from_file(file, basis, symbol, charge)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice to install a package that is not needed
            if basis.lower().startswith("gth-"):
                return list(load_basis(basis, symbol))
    except (BasisNotFoundError, KeyError, RuntimeError):
        return None
    folder = Path(str(gto.__file__)).parent / "basis"
    supplied = (str(folder / name) for name in _SUPPLIED if (folder / name).is_file())
    return next((f for s in supplied if (f := _from_file(s, basis, symbol, charge)) is not None), None)


def _from_file(file: str, basis: str, symbol: str, charge: float) -> list[Any] | None:
    """A basis for this number of electrons, else one that does not say for how many it is."""
    blocks = _blocks(_text(file))
    if not blocks:
        raise FileFormatError(f"{file} holds no basis in CP2K's format")
    for wanted in (f"{basis}-q{charge:g}".upper(), basis.upper()):
        for names, lines in blocks.get(symbol, []):
            for_others = any("-q" in name and not name.endswith(f"-q{charge:g}") for name in names)
            if wanted in (name.upper() for name in names) and not for_others:
                return _parsed(lines, f"{symbol} {names[0]} in {file}")
    return None


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the basis file {file}: {error}") from None


@lru_cache(maxsize=16)
def _blocks(text: str) -> dict[str, list[tuple[list[str], list[str]]]]:
    """Names and lines of every basis in a file's text, by element."""
    found: dict[str, list[tuple[list[str], list[str]]]] = {}
    lines: list[str] = []
    for raw in text.splitlines():
        words = raw.split("#")[0].split()
        if not words:
            continue
        if words[0] in chemical_symbols[1:] and len(words) > 1:
            lines = []
            found.setdefault(words[0], []).append((words[1:], lines))
        else:
            lines.append(" ".join(words))
    return found


def _parsed(lines: list[str], where: str) -> list[Any]:
    """Shells of a block, sorted by angular momentum as PySCF wants them."""
    try:
        rows = iter(lines)
        shells: list[Any] = []
        for _ in range(int(next(rows))):
            _, low, high, n_exponents, *counts = (int(word) for word in next(rows).split())
            table = [[float(word) for word in next(rows).split()] for _ in range(n_exponents)]
            if len(counts) != high - low + 1 or any(len(row) != 1 + sum(counts) for row in table):
                raise ValueError
            start = 1
            for ell, count in zip(range(low, high + 1), counts, strict=True):
                shells.append([ell, *([row[0], *row[start : start + count]] for row in table)])
                start += count
    except (ValueError, StopIteration):
        raise FileFormatError(f"the basis {where} is incomplete or not in CP2K's format") from None
    return sorted(shells, key=lambda shell: int(shell[0]))
