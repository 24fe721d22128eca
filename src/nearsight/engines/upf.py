"""Reading UPF files, version 2: norm-conserving, scalar-relativistic pseudopotentials.

Format: Quantum ESPRESSO's "Unified pseudopotential format" pages. Energies are in rydberg, projectors are
r p(r), the core density is ρ(r) and PP_RHOATOM is 4πr²ρ(r). Ultrasoft, PAW and spin-orbit files hold what no
norm-conserving engine can use and are refused.
"""

import re
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from ase.data import atomic_numbers

from nearsight.engines.atom_tables import LARGEST_RADIUS, atomic_density, tabulated_local
from nearsight.engines.norm_conserving import NormConserving, Projectors
from nearsight.engines.radial_function import TabulatedFunction
from nearsight.errors import FileFormatError, InputError

#: one rydberg in hartree
RYDBERG = 0.5
#: characters of a file that hold its header, comments and input of the generator included
_HEAD = 200_000
_FUNCTIONALS = {
    "PBE": "PBE",
    "SLA PW PBX PBC": "PBE",
    "SLA PW PBE PBE": "PBE",
    "PBESOL": "PBEsol",
    "SLA PW PSX PSC": "PBEsol",
    "PW": "LDA,PW",
    "SLA PW NOGX NOGC": "LDA,PW",
    "PZ": "LDA,PZ",
    "SLA PZ NOGX NOGC": "LDA,PZ",
}


def upf_element(path: Path) -> int:
    """Atomic number of the element that a UPF file is for; raises `FileFormatError`."""
    with path.open(encoding="utf-8", errors="replace") as file:
        head = file.read(_HEAD)
    if "<UPF" not in head:
        version_1 = "<PP_HEADER>" in head
        raise FileFormatError(
            f"{path} is a UPF file of version 1; convert it with Quantum ESPRESSO's upfconv.x"
            if version_1
            else f"{path} is no UPF file: it has no <UPF version=…> element"
        )
    found = re.search(r"<PP_HEADER[^>]*?\belement\s*=\s*[\"']\s*([A-Za-z]+)", head)
    symbol = found.group(1).capitalize() if found else ""
    if symbol not in atomic_numbers:
        raise FileFormatError(f"{path} does not name its element in PP_HEADER")
    return int(atomic_numbers[symbol])


def read_upf(path: Path) -> NormConserving:
    """The pseudopotential in a UPF file of version 2.

    Raises
    ------
    FileFormatError
        Not UPF 2, or truncated.
    InputError
        Ultrasoft, PAW, spin-orbit or semilocal: not what a norm-conserving engine can use.
    """
    number = upf_element(path)
    root = _root(path)
    try:
        header = _Header(root)
        header.require_norm_conserving(path)
        return _parse(path, number, root, header)
    except (KeyError, IndexError, RuntimeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise FileFormatError(f"{path} is an incomplete UPF file ({error}); get it anew") from error


def _root(path: Path) -> Element:
    text = path.read_text(encoding="utf-8", errors="replace")
    # free text of the generator's input need not be XML
    text = re.sub(r"<PP_INFO>.*?</PP_INFO>", "", text, flags=re.DOTALL)
    text = re.sub(r"&(?!amp;|lt;|gt;|quot;|apos;)", "&amp;", text)
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise FileFormatError(f"{path} is a truncated or broken UPF file ({error}); get it anew") from error


class _Header:
    """Attributes of PP_HEADER, names in lower case."""

    def __init__(self, root: Element) -> None:
        element = _find(root, "PP_HEADER")
        self._attributes = {name.lower(): value.strip() for name, value in element.attrib.items()}

    def text(self, name: str) -> str:
        return self._attributes.get(name, "")

    def number(self, name: str) -> float:
        return float(self._attributes[name].upper().replace("D", "E"))

    def flag(self, name: str) -> bool:
        return self.text(name).strip(".").lower() in ("t", "true")

    def require_norm_conserving(self, path: Path) -> None:
        kind = self.text("pseudo_type").upper()
        if self.flag("is_ultrasoft") or self.flag("is_paw") or kind in ("US", "USPP", "PAW"):
            raise InputError(f"{path} is ultrasoft or PAW; give a norm-conserving pseudopotential")
        if self.flag("has_so"):
            raise InputError(f"{path} has spin-orbit projectors; use the scalar-relativistic file")
        if self.flag("is_coulomb") or kind == "SL":
            raise InputError(f"{path} has no separable projectors; give a norm-conserving pseudopotential")


def _parse(path: Path, number: int, root: Element, header: _Header) -> NormConserving:
    charge = header.number("z_valence")
    mesh = _values(_find(root, "PP_MESH/PP_R"))
    split, short = tabulated_local(mesh, mesh * RYDBERG * _values(_find(root, "PP_LOCAL"), len(mesh)), charge)
    kept = mesh <= LARGEST_RADIUS
    core = None
    if header.flag("core_correction"):
        core = TabulatedFunction(0, mesh[kept], (mesh * _values(_find(root, "PP_NLCC"), len(mesh)))[kept])
    valence = root.find("PP_RHOATOM")
    return NormConserving(
        number=number,
        charge=charge,
        split=split,
        short=short,
        projectors=_projectors(root, mesh, int(header.number("number_of_proj"))),
        core=core,
        valence_density=None
        if valence is None
        else atomic_density(*_density(number, mesh, _values(valence, len(mesh))), charge, path.name),
        functional=_FUNCTIONALS.get(" ".join(header.text("functional").upper().split())),
        name=path.name,
    )


def _projectors(root: Element, mesh: np.ndarray, n: int) -> tuple[Projectors, ...]:
    if n == 0:
        return ()
    couplings = RYDBERG * _values(_find(root, "PP_NONLOCAL/PP_DIJ"), n * n).reshape(n, n)
    ells, functions = [], []
    for i in range(n):
        element = _find(root, f"PP_NONLOCAL/PP_BETA.{i + 1}")
        ells.append(int(element.attrib["angular_momentum"]))
        functions.append(_projector(ells[-1], mesh, _values(element)))
    blocks = np.array(ells)
    if np.abs(couplings[blocks[:, None] != blocks]).max(initial=0.0) > 1e-10:
        raise InputError("projectors of different angular momenta are coupled")
    channels = []
    for ell in sorted(set(ells)):
        mine = np.flatnonzero(blocks == ell)
        channels.append(Projectors(ell, tuple(functions[i] for i in mine), couplings[np.ix_(mine, mine)]))
    return tuple(channels)


def _projector(ell: int, mesh: np.ndarray, u: np.ndarray) -> TabulatedFunction:
    """R p(r) up to where it ends: files pad with zeros."""
    filled = np.flatnonzero(u)
    end = min(len(u), (filled[-1] if len(filled) else 0) + 2)
    end = max(8, min(end, int((mesh <= LARGEST_RADIUS).sum())))
    return TabulatedFunction(ell, mesh[:end], u[:end])


def _density(number: int, mesh: np.ndarray, shell: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Radii and ρ from 4πr²ρ, the innermost values (0/0) taken from their neighbours."""
    outside = mesh > 1e-3
    return number, mesh[outside], shell[outside] / (4 * np.pi * mesh[outside] ** 2)


def _find(root: Element, name: str) -> Element:
    element = root.find(name)
    if element is None:
        raise KeyError(f"no {name}")
    return element


def _values(element: Element, n: int | None = None) -> np.ndarray:
    """Numbers in an element; `n` of them are wanted."""
    values = np.array((element.text or "").upper().replace("D", "E").split(), dtype=np.float64)
    if n is not None and len(values) != n:
        raise ValueError(f"{element.tag} has {len(values)} values, not {n}")
    return values
