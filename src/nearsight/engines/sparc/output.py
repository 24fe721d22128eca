"""What SPARC leaves behind: ``.out`` (energies), ``.static`` (forces), ``.eigen`` (eigenvalues)."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nearsight.engines.kpoints import KPoints
from nearsight.errors import FileFormatError

_ENERGIES = {
    "band": r"Band structure energy",
    "xc": r"Exchange correlation energy",
    "entropy": r"-Entropy\*kb\*T",
}
_NUMBER = r"([-+]?\d+\.\d+(?:[Ee][-+]?\d+)?)"
_NOT_CONVERGED = "did not converge to desired accuracy"


@dataclass(frozen=True, eq=False)
class SparcEnergies:
    """Energies in hartree, as ``.out`` has them.

    Attributes
    ----------
    free_energy : float
        Of the cell.
    terms : dict
        They add up to it; ``rest`` is what SPARC does not print apart.
    fermi_level : float
    n_electrons : float
    n_iterations : int
    residual : float
        Relative change of the density in the last iteration.
    converged : bool
    """

    free_energy: float
    terms: dict[str, float]
    fermi_level: float
    n_electrons: float
    n_iterations: int
    residual: float
    converged: bool


def read_out(path: Path) -> SparcEnergies:
    """Energies of the last self-consistent calculation in an ``.out`` file.

    Raises
    ------
    FileFormatError
        Missing, or without energies: the calculation did not end.
    """
    text = _read(path)
    end = text.rfind("Total free energy")
    if end < 0:
        raise FileFormatError(f"{path} holds no total free energy: SPARC did not finish")
    free_energy = _value(path, text, "Total free energy")
    terms = {name: _value(path, text, label) for name, label in _ENERGIES.items()}
    iterations = re.findall(rf"^(\d+)\s+{_NUMBER}\s+{_NUMBER}\s+[\d.]+\s*$", text[:end], re.MULTILINE)
    if not iterations:
        raise FileFormatError(f"{path} holds no iterations: it is no output of SPARC, or a truncated one")
    return SparcEnergies(
        free_energy=free_energy,
        terms={**terms, "rest": free_energy - sum(terms.values())},
        fermi_level=_value(path, text, "Fermi level"),
        n_electrons=float(_match(path, text, r"Total number of electrons\s*:\s*(\d+)")),
        n_iterations=int(iterations[-1][0]),
        residual=float(iterations[-1][2]),
        converged=_NOT_CONVERGED not in text,
    )


def read_static(path: Path) -> np.ndarray:
    """Forces in hartree/bohr, shape (n_atoms, 3), in the order of the ``.ion`` file.

    Raises
    ------
    FileFormatError
        Missing, truncated, or without forces.
    """
    before, found, after = _read(path).partition("Atomic forces (Ha/Bohr):")
    if not found:
        raise FileFormatError(f"{path} holds no forces; ask for them with PRINT_FORCES: 1")
    n_atoms = len(re.findall(rf"^\s*{_NUMBER}\s+{_NUMBER}\s+{_NUMBER}\s*$", before, re.MULTILINE))
    rows = []
    for line in after.splitlines()[1:]:
        numbers = re.findall(_NUMBER, line)
        if len(numbers) != 3:
            break
        rows.append([float(x) for x in numbers])
    if n_atoms and len(rows) != n_atoms:
        raise FileFormatError(f"{path} is truncated: forces on {len(rows)} of {n_atoms} atoms")
    return np.array(rows).reshape(-1, 3)


def read_eigen(path: Path) -> tuple[np.ndarray, np.ndarray, KPoints]:
    """Eigenvalues (hartree) and occupations (0 … 2), both (n_k, n_states) and ascending, and the k-points.

    Raises
    ------
    FileFormatError
        Missing or truncated.
    """
    fractional, weights, tables = [], [], []
    for block in _read(path).split("kred #")[1:]:
        lines = block.splitlines()
        try:
            fractional.append([float(x) for x in lines[0].split("=")[1].strip(" ()").split(",")])
            weights.append(float(lines[1].split("=")[1]))
            tables.append(
                np.array([line.split()[1:3] for line in lines[3:] if line.strip()], dtype=np.float64)
            )
        except (IndexError, ValueError) as error:
            raise FileFormatError(f"{path} is truncated or no list of eigenvalues ({error})") from error
    if not tables or len({table.shape for table in tables}) != 1 or tables[0].ndim != 2:
        raise FileFormatError(f"{path} is truncated: its k-points have different numbers of states")
    bands = np.array(tables)
    order = np.argsort(bands[:, :, 0], axis=1, kind="stable")
    eigenvalues, occupations = (np.take_along_axis(bands[:, :, i], order, axis=1) for i in (0, 1))
    shares = np.array(weights)
    return eigenvalues, occupations, KPoints(np.array(fractional), shares / shares.sum())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise FileFormatError(f"{path} is missing: SPARC did not finish") from error


def _value(path: Path, text: str, label: str) -> float:
    """The last number behind a label."""
    return float(_match(path, text, rf"{label}\s*:\s*{_NUMBER}"))


def _match(path: Path, text: str, pattern: str) -> str:
    found = re.findall(pattern, text)
    if not found:
        raise FileFormatError(f"{path} lacks '{pattern.split(chr(92))[0]}': no output of SPARC, or truncated")
    return str(found[-1])
