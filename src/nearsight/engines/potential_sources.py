"""Where pseudopotentials come from: a family that PySCF knows, or files that the user brings."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from ase.data import chemical_symbols

from nearsight.atomic.radial import RadialDensity
from nearsight.engines.gth import gth_potential
from nearsight.engines.norm_conserving import NormConserving
from nearsight.engines.psp8 import psp8_element, read_psp8
from nearsight.engines.radial_atom import solve_atom
from nearsight.engines.upf import read_upf, upf_element
from nearsight.errors import InputError, UnknownElementError
from nearsight.provenance import digest

#: element and reader by suffix, in lower case
_FORMATS: dict[str, tuple[Callable[[Path], int], Callable[[Path], NormConserving]]] = {
    ".psp8": (psp8_element, read_psp8),
    ".upf": (upf_element, read_upf),
}


def load(source: str | Path, number: int) -> NormConserving:
    """The pseudopotential of an element.

    Parameters
    ----------
    source : str or Path
        A family of PySCF's tables (``gth-pbe``), a file that ends in .psp8 or .upf, or a folder of such
        files, of which each says in its header what element it is for.
    number : int
        Atomic number.

    Raises
    ------
    UnknownElementError
        Neither the family nor the files have the element.
    InputError
        No such file or folder, a folder with two files for the element, or a file that is not
        norm-conserving.
    """
    file = file_of(source, number)
    return gth_potential(str(source), number) if file is None else _read(file, *_version(file))


def file_of(source: str | Path, number: int) -> Path | None:
    """The file that `load` reads for an element, None for a family; raises as `load` does."""
    path = Path(source)
    if not path.exists():
        if path.suffix.lower() in _FORMATS or len(path.parts) > 1:
            raise InputError(f"there is no pseudopotential file or folder {path}")
        return None
    found = [file for file, z in _contents(path) if z == number]
    if not found:
        raise UnknownElementError(
            f"no pseudopotential for {_symbol(number)} in {path} (.psp8 or .upf); add a file for it"
        )
    if len(found) > 1:
        raise InputError(
            f"{path} has {len(found)} pseudopotentials for {_symbol(number)} "
            f"({', '.join(file.name for file in found)}); keep one"
        )
    return found[0]


def elements(source: str | Path) -> tuple[int, ...]:
    """Atomic numbers that a file or folder has pseudopotentials for, ascending."""
    return tuple(sorted({number for _, number in _contents(Path(source))}))


def file_digests(source: str | Path) -> dict[str, str]:
    """Hash of each element's file by its symbol; empty for a family, which its name settles."""
    path = Path(source)
    if not path.exists():
        return {}
    return {_symbol(z): _digest(file, *_version(file)) for file, z in _contents(path)}


def free_atom(source: str | Path, number: int, functional: str = "PBE") -> RadialDensity:
    """Density of the free atom: the file's own, or solved for a family's potential.

    Raises
    ------
    UnknownElementError
        No pseudopotential for the element, or a file without the atom's density.
    """
    potential = load(source, number)
    if not Path(source).exists():
        return solve_atom(number, str(source), functional)
    if potential.valence_density is None:
        raise UnknownElementError(
            f"{potential.name} does not hold the density of the free atom {_symbol(number)}; "
            "use a file with PP_RHOATOM (UPF) or extension_switch 1 (psp8)"
        )
    return potential.valence_density


def _contents(path: Path) -> list[tuple[Path, int]]:
    """Pseudopotential files at a path, each with its element."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    if path.is_file() and path.suffix.lower() not in _FORMATS:
        raise InputError(f"{path} is no pseudopotential file; its name must end in .psp8 or .upf")
    return [(file, _element(file, *_version(file))) for file in files if file.suffix.lower() in _FORMATS]


def _version(file: Path) -> tuple[int, int]:
    """What changes when a file is written anew."""
    status = file.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=512)
def _element(file: Path, *_: int) -> int:
    return _FORMATS[file.suffix.lower()][0](file)


@lru_cache(maxsize=512)
def _digest(file: Path, *_: int) -> str:
    return digest(file.read_text(encoding="utf-8", errors="replace"))


@lru_cache(maxsize=128)
def _read(file: Path, *_: int) -> NormConserving:
    return _FORMATS[file.suffix.lower()][1](file)


def _symbol(number: int) -> str:
    return chemical_symbols[number] if 0 < number < len(chemical_symbols) else str(number)
