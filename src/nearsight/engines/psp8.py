"""Reading psp8 files: norm-conserving pseudopotentials by ONCVPSP for ABINIT, SPARC and others.

Format: D. R. Hamann's notes in ABINIT's documentation ("psp8_info"). Radii are a linear mesh from zero;
projectors are r p(r), densities 4πρ(r); atomic units throughout. After six header lines comes one block for
each l with projectors, one for the local potential, the core density with four derivatives where fchrg > 0,
and the atom's valence density where the extension switch is odd.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nearsight.engines.atom_tables import atomic_density, tabulated_local
from nearsight.engines.norm_conserving import NormConserving, Projectors
from nearsight.engines.radial_function import TabulatedFunction
from nearsight.errors import FileFormatError, InputError

#: ABINIT's numbers of functionals, by their PySCF names
_FUNCTIONALS = {11: "PBE", -101130: "PBE", -116133: "PBEsol", -1012: "LDA,PW", -1007: "LDA,VWN"}


def psp8_element(path: Path) -> int:
    """Atomic number of the element that a psp8 file is for; raises `FileFormatError`."""
    with path.open(encoding="utf-8", errors="replace") as file:
        head = [file.readline() for _ in range(3)]
    try:
        if int(head[2].split()[0]) != 8:
            raise FileFormatError(f"{path} has pspcod {head[2].split()[0]}, not 8; only psp8 is read")
        return round(float(head[1].split()[0]))
    except (IndexError, ValueError):
        raise FileFormatError(f"{path} is no psp8 file: its first three lines are not a header") from None


def read_psp8(path: Path) -> NormConserving:
    """The pseudopotential in a psp8 file.

    Raises
    ------
    FileFormatError
        Not a psp8 file, or a truncated one.
    InputError
        Spin-orbit projectors.
    """
    number = psp8_element(path)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        return _parse(path, number, lines)
    except (IndexError, StopIteration, RuntimeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise FileFormatError(f"{path} is truncated or not a psp8 file; get it anew") from error


def _parse(path: Path, number: int, lines: list[str]) -> NormConserving:
    charge = float(lines[1].split()[1])
    _, pspxc, lmax, lloc, mesh = (int(word) for word in lines[2].split()[:5])
    fchrg = float(lines[3].split()[1])
    n_projectors = [int(word) for word in lines[4].split()[: lmax + 1]]
    extension = int(lines[5].split()[0])
    if extension > 1:
        raise InputError(f"{path} has spin-orbit projectors; use the scalar-relativistic file")
    rest = iter(lines[6:])
    channels, local = [], None
    for _ in range(sum(n > 0 for ell, n in enumerate(n_projectors) if ell != lloc) + 1):
        ell, *energies = next(rest).split()
        table = _table(rest, mesh)
        if int(ell) == lloc:
            local = table
        else:
            channels.append(_channel(int(ell), energies[: n_projectors[int(ell)]], table))
    if local is None:
        raise FileFormatError(f"{path} has no local potential (l = {lloc})")
    split, short = tabulated_local(local[:, 0], local[:, 0] * local[:, 1], charge)
    core = _table(rest, mesh) if fchrg > 0 else None
    valence = _table(rest, mesh) if extension == 1 else None
    return NormConserving(
        number=number,
        charge=charge,
        split=split,
        short=short,
        projectors=tuple(sorted(channels, key=lambda channel: channel.ell)),
        core=None if core is None else _over_4pi(core),
        valence_density=None
        if valence is None
        else atomic_density(number, valence[:, 0], valence[:, 1] / (4 * np.pi), charge, path.name),
        functional=_FUNCTIONALS.get(pspxc),
        name=path.name,
    )


def _table(lines: Iterator[str], mesh: int) -> np.ndarray:
    """Radius and values of the next `mesh` lines, without their running number, shape (mesh, 1 + n)."""
    return np.array([next(lines).replace("D", "E").split()[1:] for _ in range(mesh)], dtype=np.float64)


def _channel(ell: int, energies: list[str], table: np.ndarray) -> Projectors:
    functions = tuple(TabulatedFunction(ell, table[:, 0], column) for column in table[:, 1:].T)
    return Projectors(ell, functions, np.diag([float(e.replace("D", "E")) for e in energies]))


def _over_4pi(table: np.ndarray) -> TabulatedFunction:
    r, rho = table[:, 0], table[:, 1] / (4 * np.pi)
    return TabulatedFunction(0, r, r * rho)
