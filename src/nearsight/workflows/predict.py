"""`predict`: the density of a structure, written to a file."""

from pathlib import Path
from typing import Any

import ase.io
import psutil
from ase import Atoms

from nearsight.engines.spin import spin_notes
from nearsight.errors import FileFormatError, InputError, StructureError
from nearsight.grid import UniformGrid
from nearsight.inference.predictor import predict_density
from nearsight.io.density import read_snapshot, write_density
from nearsight.io.formats import is_density_name, writable_format_of
from nearsight.model.density_model import DensityModel
from nearsight.model.file import load_model
from nearsight.neighbours import require_separated_atoms
from nearsight.progress import Progress, silent
from nearsight.structure import Structure

#: a coarser grid (bohr) than this is refused, unless the model's own is: whole atoms fall between its points
_COARSEST = 1.0
#: the density, superposed atoms, and what writing a file takes
_BYTES_PER_POINT = 48


def predict(
    model: Path | str | DensityModel,
    structure: Path | str | Atoms | Structure,
    output: Path | str,
    *,
    spacing: float | None = None,
    shape: tuple[int, int, int] | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Predict a density and write it.

    Parameters
    ----------
    model : path or DensityModel
    structure : path, ase.Atoms or Structure
    output : path
        ``CHGCAR``, ``.cube``, ``.xsf`` (each ``.gz`` too), ``.npz`` or ``.zarr``.
    spacing : float, optional
        Bohr; the training data's spacing unless given.
    shape : tuple of three int, optional
        Grid shape, in place of a spacing.
    device : {"auto", "cpu", "cuda"}
    progress : Progress

    Returns
    -------
    dict
        Formula, shape, electrons, clipped charge, factor of the rescaling, seconds, and notes: what the
        format made it change, and whether spin is missing.

    Raises
    ------
    InputError
        Both spacing and shape, or a grid coarser than a density can be; a structure that cannot be read
        or is unphysical.
    FileFormatError
        A format that cannot be written.
    UnknownElementError
        An element that the model never saw.
    """
    if spacing is not None and shape is not None:
        raise InputError("give --spacing or --shape, not both")
    writable_format_of(Path(output))
    loaded = (model if isinstance(model, DensityModel) else load_model(model)).to(device)
    atoms = read_structure(structure)
    loaded.require_elements(atoms)
    grid = (
        UniformGrid(atoms.cell, shape)
        if shape is not None
        else UniformGrid.with_spacing(atoms.cell, loaded.spacing if spacing is None else spacing)
    )
    if spacing is not None or shape is not None:
        _require_fine(grid, loaded.spacing)
    _require_room(grid)
    found = predict_density(loaded, atoms, grid, progress=progress)
    notes = write_density(output, atoms, found.density, n_electrons=found.n_electrons)
    return {
        "output": str(output),
        "formula": atoms.formula,
        "n_atoms": atoms.n_atoms,
        "shape": list(grid.shape),
        "n_electrons": found.n_electrons,
        "clipped_charge": found.clipped_charge,
        "factor": found.factor,
        "seconds": found.seconds,
        "points_per_second": found.points_per_second,
        "notes": [*structure_notes(structure), *notes, *spin_notes(atoms.species)],
    }


def _require_fine(grid: UniformGrid, trained: float) -> None:
    """Refuse a grid on which no density can be seen, let alone integrated."""
    coarsest = float(grid.spacing.max())
    if coarsest > max(_COARSEST, trained):
        raise InputError(
            f"a grid of {' x '.join(map(str, grid.shape))} points has a spacing of {coarsest:.3g} bohr, on "
            f"which a density cannot be integrated; the model was trained at {trained:.3g} bohr, and at most "
            f"{_COARSEST:g} is accepted"
        )


def _require_room(grid: UniformGrid) -> None:
    """Refuse a grid whose arrays do not fit into memory, before hours are spent on it."""
    needed, free = _BYTES_PER_POINT * grid.n_points, psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            f"a grid of {' x '.join(map(str, grid.shape))} points takes {needed / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are free; give a coarser --spacing or --shape"
        )


def structure_notes(source: Path | str | Atoms | Structure) -> list[str]:
    """A line where a file holds several structures, of which `read_structure` takes the last."""
    if isinstance(source, Structure | Atoms):
        return []
    try:
        count = len(ase.io.read(source, index=":"))
    except Exception:  # what cannot be read is for `read_structure` to say
        return []
    return [f"{source} holds {count} structures; the last one is used"] if count > 1 else []


def read_structure(source: Path | str | Atoms | Structure) -> Structure:
    """A structure from any file that ASE reads (the last image), a density file, Atoms, or as it is.

    Raises
    ------
    FileFormatError
        The file is missing or ASE cannot read it.
    StructureError
        No volume, NaN, or atoms on top of each other; the message names the file.
    """
    try:
        if isinstance(source, Structure):
            structure = source
        elif isinstance(source, Atoms):
            structure = Structure.from_ase(source)
        else:
            structure = Structure.from_ase(_read_atoms(Path(source)))
        require_separated_atoms(structure)
    except StructureError as error:
        if isinstance(source, Structure | Atoms):
            raise
        raise StructureError(f"{source}: {error}") from error
    return structure


def _read_atoms(path: Path) -> Atoms:
    if not path.exists():
        raise FileFormatError(f"{path} does not exist; give a structure file (xyz, cif, POSCAR, …)")
    try:
        atoms = ase.io.read(path)
    except Exception as error:  # ASE's readers raise anything on a file that is not theirs
        if is_density_name(path):  # whose structure nearsight reads: CHGCAR, .dens, .npz …
            return read_snapshot(path).structure.to_ase()
        raise FileFormatError(
            f"{path} is no structure that ASE can read ({type(error).__name__}: {error})"
        ) from None
    return atoms[-1] if isinstance(atoms, list) else atoms
