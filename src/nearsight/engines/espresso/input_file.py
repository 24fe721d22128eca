"""Input of pw.x: one self-consistent calculation of one structure on one density grid."""

from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_masses, chemical_symbols

from nearsight.engines.espresso.settings import FUNCTIONALS, EspressoSettings
from nearsight.engines.potential_sources import load
from nearsight.engines.upf_writer import write_upf
from nearsight.errors import InputError
from nearsight.grid import UniformGrid
from nearsight.structure import Structure
from nearsight.units import KELVIN

#: rydberg in one hartree
_RYDBERG = 2.0
INPUT = "pw.in"
PREFIX = "nearsight"


def write_input(
    folder: Path,
    structure: Structure,
    grid: UniformGrid,
    settings: EspressoSettings,
    cutoff: float,
    *,
    n_bands: int,
    forces: bool,
    symmetry: bool,
) -> None:
    """Write ``pw.in`` and the pseudopotentials into a folder.

    Parameters
    ----------
    folder : Path
    structure : Structure
    grid : UniformGrid
        The density's grid; its waves beyond the sphere of 4 `cutoff`, or of what the grid holds, are zero.
    settings : EspressoSettings
    cutoff : float
        Of the plane waves, hartree.
    n_bands : int
    forces : bool
    symmetry : bool
        Whether the crystal's symmetry may reduce the k-points: not for a density that may lack it.

    Raises
    ------
    InputError
        A grid that does not hold the density of the plane waves' half, or fixed occupations of an odd
        number of electrons.
    """
    for number in structure.species:
        potential = load(settings.pseudopotential, number)
        write_upf(folder / f"{chemical_symbols[number]}.upf", potential, settings.functional)
    namelists = {
        "control": {
            "calculation": "scf",
            "prefix": PREFIX,
            "outdir": "./out",
            "pseudo_dir": "./",
            "tprnfor": forces,
            "disk_io": "low",
        },
        "system": {
            "ibrav": 0,
            "nat": structure.n_atoms,
            "ntyp": len(structure.species),
            "ecutwfc": _RYDBERG * cutoff,
            "ecutrho": _RYDBERG * density_cutoff(grid, cutoff),
            **{f"nr{axis + 1}": n for axis, n in enumerate(grid.shape)},
            "input_dft": FUNCTIONALS[settings.functional],
            "nosym": not symmetry,
            "nbnd": n_bands,
            **_occupations(settings),
        },
        "electrons": {
            "conv_thr": _RYDBERG * settings.energy_tolerance * structure.n_atoms,
            "mixing_beta": settings.mixing,
            "electron_maxstep": settings.max_iterations,
            # a Harris energy is one diagonalisation, which has to be exact at once
            "diago_thr_init": 1e-13,
        },
    }
    text = "".join(_namelist(name, values) for name, values in namelists.items())
    (folder / INPUT).write_text(text + _cards(structure, settings), encoding="ascii")


def density_cutoff(grid: UniformGrid, cutoff: float) -> float:
    """Hartree up to which the density's waves are kept: 4 `cutoff`, or what the grid holds if that is less.

    Raises
    ------
    InputError
        The grid holds less than half of that wave number's range.
    """
    held = 0.5 * float((np.pi / grid.spacing).min()) ** 2
    if held < 1.5 * cutoff:
        raise InputError(
            f"the grid's spacing of {grid.spacing.max():.3f} bohr holds the density of plane waves up to "
            f"{held / 4:.3g} Ha, not of {cutoff:.3g} Ha; use a finer grid or a lower cutoff"
        )
    return min(4 * cutoff, held)


def _occupations(settings: EspressoSettings) -> dict[str, Any]:
    if settings.smearing_kelvin == 0:
        return {"occupations": "fixed"}
    return {
        "occupations": "smearing",
        "smearing": "fermi-dirac",
        "degauss": _RYDBERG * KELVIN * settings.smearing_kelvin,
    }


def _namelist(name: str, values: dict[str, Any]) -> str:
    return "".join(
        [f"&{name}\n", *(f"  {key} = {_fortran(value)}\n" for key, value in values.items()), "/\n"]
    )


def _fortran(value: Any) -> str:
    if isinstance(value, bool):
        return ".true." if value else ".false."
    return f"'{value}'" if isinstance(value, str) else f"{value:.15g}"


def _cards(structure: Structure, settings: EspressoSettings) -> str:
    """Species, cell, positions (bohr) and the mesh of k-points, which Quantum ESPRESSO reduces itself."""
    lines = ["ATOMIC_SPECIES"]
    for number in structure.species:
        symbol = chemical_symbols[number]
        lines.append(f"{symbol} {atomic_masses[number]:.4f} {symbol}.upf")
    lines += ["CELL_PARAMETERS bohr", *(_row(vector) for vector in structure.cell), "ATOMIC_POSITIONS bohr"]
    for number, position in zip(structure.numbers, structure.positions, strict=True):
        lines.append(f"{chemical_symbols[number]} {_row(position)}")
    mesh = settings.k_points.mesh_for(structure.cell)
    if mesh == (1, 1, 1):
        lines.append("K_POINTS gamma")
    else:
        lines += ["K_POINTS automatic", " ".join(str(n) for n in mesh) + " 0 0 0"]
    return "\n".join(lines) + "\n"


def _row(vector: np.ndarray) -> str:
    return " ".join(f"{x:.12f}" for x in vector)
