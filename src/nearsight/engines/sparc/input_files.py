"""Input of SPARC: ``.inpt`` (settings), ``.ion`` (atoms by element), psp8 files, and a density to begin with.

Keywords: SPARC's manual ("Input file options"). Lengths are in bohr, energies in hartree.
"""

import shutil
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from nearsight.engines.potential_sources import file_of, load
from nearsight.engines.psp8_writer import write_psp8
from nearsight.engines.sparc.settings import FUNCTIONALS, SparcSettings
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

#: name of all files of a run
NAME = "nearsight"
_START = f"{NAME}-start.cube"


def write_inputs(
    folder: Path,
    structure: Structure,
    grid: UniformGrid,
    settings: SparcSettings,
    *,
    forces: bool,
    start: ScalarField | None = None,
) -> None:
    """Write everything SPARC reads into a folder.

    With `start`, one diagonalisation in that density's potential is asked for: the first iteration's free
    energy is Harris and Foulkes'. RHO_TRIGGER 10 makes its eigenvectors converge.
    """
    lines = [
        *_cell(structure),
        "FD_GRID: {} {} {}".format(*grid.shape),
        f"FD_ORDER: {settings.order}",
        "BC: P P P",
        "KPOINT_GRID: {} {} {}".format(*settings.k_points.mesh_for(structure.cell)),
        # an even mesh would be shifted off Γ
        "KPOINT_SHIFT: 0 0 0",
        f"EXCHANGE_CORRELATION: {FUNCTIONALS[settings.functional]}",
        "ELEC_TEMP_TYPE: fermi-dirac",
        f"ELEC_TEMP: {settings.smearing_kelvin:.10g}",
        f"TOL_SCF: {settings.scf_tolerance:.3e}",
        f"MIXING_PARAMETER: {settings.mixing:.6g}",
        f"PRINT_FORCES: {int(forces)}",
        "PRINT_DENSITY: 1",
        "PRINT_EIGEN: 1",
    ]
    if start is None:
        lines.append(f"MAXIT_SCF: {settings.max_iterations}")
    else:
        lines += ["MAXIT_SCF: 1", "MINIT_SCF: 1", "RHO_TRIGGER: 10"]
        lines += ["READ_INIT_DENS: 1", f"INPUT_DENS_FILE: {_START}"]
        _write_cube(folder / _START, structure, start)
    (folder / f"{NAME}.inpt").write_text("\n".join(lines) + "\n", encoding="ascii")
    _write_atoms(folder, structure, settings)


def order_of_atoms(structure: Structure) -> np.ndarray:
    """Indices (n_atoms,) of the atoms in the order of the ``.ion`` file: by element, else as they were."""
    return np.argsort(structure.numbers, kind="stable")


def _cell(structure: Structure) -> list[str]:
    lengths = np.linalg.norm(structure.cell, axis=1)
    rows = [" ".join(f"{x:.15f}" for x in row) for row in structure.cell / lengths[:, None]]
    return ["CELL: " + " ".join(f"{length:.12f}" for length in lengths), "LATVEC:", *rows]


def _write_atoms(folder: Path, structure: Structure, settings: SparcSettings) -> None:
    lines = []
    for number in structure.species:
        symbol = chemical_symbols[number]
        _provide_psp8(folder / f"{symbol}.psp8", number, settings)
        positions = structure.positions[structure.numbers == number]
        lines += [
            f"ATOM_TYPE: {symbol}",
            f"N_TYPE_ATOM: {len(positions)}",
            f"PSEUDO_POT: {symbol}.psp8",
            "COORD:",
        ]
        lines += [" ".join(f"{x:.12f}" for x in position) for position in positions]
    (folder / f"{NAME}.ion").write_text("\n".join(lines) + "\n", encoding="ascii")


def _provide_psp8(path: Path, number: int, settings: SparcSettings) -> None:
    """A psp8 file is copied; anything else is written as one."""
    source = file_of(settings.pseudopotential, number)
    if source is not None and source.suffix.lower() == ".psp8":
        load(settings.pseudopotential, number)  # a broken file is told of here, in one line
        shutil.copyfile(source, path)
    else:
        write_psp8(path, load(settings.pseudopotential, number), settings.functional)


def _write_cube(path: Path, structure: Structure, density: ScalarField) -> None:
    """A density with thirteen digits, so that its Harris energy is not that of a rounded one."""
    grid = density.grid
    lines = ["density to begin with", f"n_electrons = {density.integrate():.12g}"]
    lines += [f"{structure.n_atoms:5d} {0.0:.6f} {0.0:.6f} {0.0:.6f}"]
    for n, step in zip(grid.shape, grid.cell / np.array(grid.shape)[:, None], strict=True):
        lines.append(f"{n:5d} " + " ".join(f"{x:.12f}" for x in step))
    order = order_of_atoms(structure)
    for number, position in zip(structure.numbers[order], structure.positions[order], strict=True):
        lines.append(f"{number:5d} {float(number):.6f} " + " ".join(f"{x:.12f}" for x in position))
    with path.open("w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
        np.savetxt(file, density.values.reshape(-1, grid.shape[2]), fmt="%.12E")
