"""What pw.x says of a run in ``data-file-schema.xml``, in hartree; `nearsight.io` reads its density."""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from nearsight.engines.kpoints import KPoints
from nearsight.errors import FileFormatError


@dataclass(frozen=True, eq=False)
class EspressoOutput:
    """Results of one calculation, in atomic units.

    Attributes
    ----------
    converged : bool
    n_iterations : int
    energy_error : float
        The program's own estimate, hartree.
    terms : dict
        Hartree; they add up to the free energy.
    eigenvalues, occupations : ndarray (n_k, n_states)
        Hartree; 0 … 2.
    fermi_level : float
    k_points : KPoints
    forces : ndarray (n_atoms, 3) or None
    """

    converged: bool
    n_iterations: int
    energy_error: float
    terms: dict[str, float]
    eigenvalues: np.ndarray
    occupations: np.ndarray
    fermi_level: float
    k_points: KPoints
    forces: np.ndarray | None


def read_output(path: Path) -> EspressoOutput:
    """Read ``data-file-schema.xml``; raises `FileFormatError` where something is missing."""
    try:
        output = ElementTree.parse(path).getroot().find("output")
        if output is None:
            raise ValueError("no <output>")
        return _parse(output)
    except (OSError, ElementTree.ParseError, ValueError, KeyError) as error:
        raise FileFormatError(f"{path} is not the complete output of pw.x ({error})") from error


def _parse(output: Element) -> EspressoOutput:
    bands = _find(output, "band_structure")
    eigenvalues = np.array([_numbers(e) for e in bands.findall("ks_energies/eigenvalues")])
    occupations = 2 * np.array([_numbers(e) for e in bands.findall("ks_energies/occupations")])
    forces = output.find("forces")
    level = bands.find("fermi_energy")
    if level is None:
        level = bands.find("highestOccupiedLevel")
    conv = _find(output, "convergence_info/scf_conv")
    return EspressoOutput(
        converged=_text(conv, "convergence_achieved") == "true",
        n_iterations=int(_text(conv, "n_scf_steps")),
        energy_error=float(_text(conv, "scf_error")),
        terms=_terms(_find(output, "total_energy")),
        eigenvalues=eigenvalues,
        occupations=occupations,
        fermi_level=float(eigenvalues[occupations > 1].max())
        if level is None
        else float(level.text or "nan"),
        k_points=_k_points(output, bands),
        forces=None if forces is None else _numbers(forces).reshape(-1, 3),
    )


def _terms(energies: Element) -> dict[str, float]:
    """Parts of the free energy; kinetic and all electron–ion terms are what the others leave."""
    parts = {name: float(_text(energies, tag)) for name, tag in (("hartree", "ehart"), ("xc", "etxc"))}
    parts["ewald"] = float(_text(energies, "ewald"))
    entropy = energies.find("demet")
    parts["entropy"] = 0.0 if entropy is None else float(entropy.text or "nan")
    return {"kinetic and ionic": float(_text(energies, "etot")) - sum(parts.values()), **parts}


def _k_points(output: Element, bands: Element) -> KPoints:
    """Points in units of 2π/alat, as fractions of the reciprocal vectors."""
    found = bands.findall("ks_energies/k_point")
    structure = _find(output, "atomic_structure")
    cell = np.array([_numbers(_find(structure, f"cell/a{i}")) for i in (1, 2, 3)])
    cartesian = np.array([_numbers(point) for point in found]) / float(structure.attrib["alat"])
    weights = np.array([float(point.attrib["weight"]) for point in found])
    return KPoints(cartesian @ cell.T, weights / weights.sum())


def _find(element: Element, name: str) -> Element:
    found = element.find(name)
    if found is None:
        raise KeyError(f"no {name}")
    return found


def _text(element: Element, name: str) -> str:
    return (_find(element, name).text or "").strip()


def _numbers(element: Element) -> np.ndarray:
    return np.array((element.text or "").split(), dtype=np.float64)
