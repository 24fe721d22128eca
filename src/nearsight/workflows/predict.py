"""`predict`: the density of a structure, written to a file, and beside it how sure the model is."""

from pathlib import Path
from typing import Any

import ase.io
import psutil
from ase import Atoms

from nearsight.engines.spin import spin_notes
from nearsight.errors import FileFormatError, InputError, StructureError
from nearsight.grid import UniformGrid
from nearsight.inference.predictor import Prediction, predict_density
from nearsight.io.density import read_snapshot, write_density
from nearsight.io.formats import is_density_name, writable_format_of
from nearsight.io.uncertainty import KINDS, Written, sibling, write_uncertain_density
from nearsight.model.density_model import DensityModel
from nearsight.model.file import load_model
from nearsight.neighbours import require_separated_atoms
from nearsight.progress import Progress, silent
from nearsight.structure import Structure

#: a coarser grid (bohr) than this is refused, unless the model's own is: whole atoms fall between its points
_COARSEST = 1.0
#: the density, superposed atoms, and what writing a file takes
_BYTES_PER_POINT = 48
#: two standard deviations, and what writing them takes
_UNCERTAIN_BYTES = 48


def predict(
    model: Path | str | DensityModel,
    structure: Path | str | Atoms | Structure,
    output: Path | str,
    *,
    spacing: float | None = None,
    shape: tuple[int, int, int] | None = None,
    uncertainty: bool | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Predict a density and write it, with the standard deviations of its uncertainties.

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
    uncertainty : bool, optional
        Write the aleatoric and the epistemic standard deviation too, in the same file or beside it
        (`nearsight.io.uncertainty`); unless given, where the model knows them.
    device : {"auto", "cpu", "cuda"}
    progress : Progress

    Returns
    -------
    dict
        Formula, shape, electrons, clipped charge, factor of the rescaling, seconds, ``files``, and notes:
        what the format made it change, and whether spin is missing. ``uncertainty`` holds mean and maximum
        of each standard deviation (e/bohr³) and its mean as a share of the mean density, or None.

    Raises
    ------
    InputError
        Both spacing and shape, or a grid coarser than a density can be; a structure that cannot be read
        or is unphysical; an uncertainty asked of a model that knows none.
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
    wanted = _wanted(loaded, uncertainty)
    _require_room(grid, _BYTES_PER_POINT + (_UNCERTAIN_BYTES if wanted else 0))
    found = predict_density(loaded, atoms, grid, uncertainty=wanted, progress=progress)
    written = _write(Path(output), atoms, found)
    return {
        "output": str(output),
        "files": [str(path) for path in written.files],
        "formula": atoms.formula,
        "n_atoms": atoms.n_atoms,
        "shape": list(grid.shape),
        "n_electrons": found.n_electrons,
        "clipped_charge": found.clipped_charge,
        "factor": found.factor,
        "seconds": found.seconds,
        "points_per_second": found.points_per_second,
        "uncertainty": _uncertainty(found),
        "notes": [*structure_notes(structure), *written.notes, *spin_notes(atoms.species)],
    }


def _wanted(model: DensityModel, asked: bool | None) -> bool:
    """Whether the uncertainty is written; refused before any work where the model knows none."""
    if asked and not model.knows_uncertainty:
        raise InputError(
            f"a model of kind '{model.network.settings.name}' states no uncertainty; leave out --uncertainty "
            "or train one with network: {name: last_layer}, bayesian or ensemble"
        )
    return model.knows_uncertainty if asked is None else asked


def _write(output: Path, atoms: Structure, found: Prediction) -> Written:
    """Write what was predicted, and say which files beside it are of an earlier prediction."""
    if found.aleatoric is not None and found.epistemic is not None:
        fields = (found.density, found.aleatoric, found.epistemic)
        return write_uncertain_density(output, atoms, *fields, n_electrons=found.n_electrons)
    notes = write_density(output, atoms, found.density, n_electrons=found.n_electrons)
    if not writable_format_of(output).takes_fields:
        old = [path for path in (sibling(output, kind) for kind in KINDS) if path.exists()]
        notes += tuple(f"{path} is of an earlier prediction" for path in old)
    return Written((output,), notes)


def _uncertainty(found: Prediction) -> dict[str, dict[str, float]] | None:
    """Mean and maximum of each standard deviation; a mean over points, not that of a cell quantity."""
    if found.aleatoric is None or found.epistemic is None:
        return None
    mean_density = float(found.density.values.mean())
    return {
        kind: {
            "mean": float(field.values.mean()),
            "max": float(field.values.max()),
            "share_of_mean_density": float(field.values.mean()) / mean_density,
        }
        for kind, field in zip(KINDS, (found.aleatoric, found.epistemic), strict=True)
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


def _require_room(grid: UniformGrid, bytes_per_point: int) -> None:
    """Refuse a grid whose arrays do not fit into memory, before hours are spent on it."""
    needed, free = bytes_per_point * grid.n_points, psutil.virtual_memory().available
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
