"""`energy`: the Harris–Foulkes energy of a predicted density, or of one from a file."""

from pathlib import Path
from typing import Any

import numpy as np

from nearsight.engines.protocol import Engine, NonSelfConsistent
from nearsight.errors import GridMismatchError, InputError
from nearsight.field import ScalarField
from nearsight.inference.predictor import predict_density
from nearsight.io.density import read_snapshot
from nearsight.model.density_model import DensityModel
from nearsight.model.file import load_model
from nearsight.progress import Progress, silent
from nearsight.provenance import to_plain
from nearsight.structure import Structure
from nearsight.workflows.compatibility import require_same_physics
from nearsight.workflows.predict import read_structure


def energy_of_model(
    model: Path | str | DensityModel,
    structure: Path | str | Structure,
    engine: Engine,
    *,
    force: bool = False,
    device: str = "auto",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Predict the density on the engine's grid and take its energy.

    Parameters
    ----------
    model : path or DensityModel
    structure : path or Structure
    engine : Engine
    force : bool
        Go on although the model's data has other pseudopotentials or another functional.
    device : {"auto", "cpu", "cuda"}
    progress : Progress

    Returns
    -------
    dict
        ``free_energy_ha`` of the cell, per atom, its terms, Fermi level, engine, grid, and
        ``second_order_correction_ha``: what self-consistency would add by estimate (None if unknown).

    Raises
    ------
    CompatibilityError
        Model and engine differ in their physics and `force` is off.
    UnknownElementError
        An element that model or engine do not know.
    """
    loaded = (model if isinstance(model, DensityModel) else load_model(model)).to(device)
    if not force:
        require_same_physics(loaded.engine, engine.fingerprint())
    atoms = read_structure(structure)
    prediction = predict_density(loaded, atoms, engine.default_grid(atoms), progress=progress)
    found = engine.harris(atoms, prediction.density, output_density=True)
    return _summary(found, atoms, prediction.density, engine) | {
        "clipped_charge": prediction.clipped_charge,
        "factor": prediction.factor,
    }


def energy_of_file(density: Path | str, structure: Path | str | Structure, engine: Engine) -> dict[str, Any]:
    """Take the energy of a density from a file, scaled to the electron count.

    Raises
    ------
    GridMismatchError
        The density's cell is not the structure's.
    InputError
        The file's atoms are not the structure's.
    ChargeError
        It is more than 1 % off the electron count.
    """
    atoms = read_structure(structure)
    n_electrons = engine.n_electrons(atoms)
    snapshot = read_snapshot(density, n_electrons)
    if not _same_cell(snapshot.structure, atoms):
        raise GridMismatchError(f"the cell of {density} is not that of the structure {atoms.formula}")
    if not _same_atoms(snapshot.structure, atoms):
        raise InputError(
            f"the atoms stored in {density} are not those of the structure; give the one it is of"
        )
    rho = snapshot.density.rescaled(n_electrons).field
    return _summary(engine.harris(atoms, rho, output_density=True), atoms, rho, engine)


def _same_cell(first: Structure, second: Structure) -> bool:
    return bool(abs(first.cell - second.cell).max() < 1e-4)


def _same_atoms(first: Structure, second: Structure) -> bool:
    """Whether elements and positions agree to 1e-3 of a cell vector, images counted as one."""
    if not np.array_equal(first.numbers, second.numbers):
        return False
    apart = first.fractional - second.fractional
    return bool(np.abs(apart - np.round(apart)).max() < 1e-3)


def _summary(
    found: NonSelfConsistent, structure: Structure, density: ScalarField, engine: Engine
) -> dict[str, Any]:
    return {
        "free_energy_ha": found.free_energy,
        "free_energy_ha_per_atom": found.free_energy / structure.n_atoms,
        "second_order_correction_ha": found.correction,
        "terms_ha": dict(found.terms),
        "fermi_level_ha": found.fermi_level,
        "formula": structure.formula,
        "n_atoms": structure.n_atoms,
        "shape": list(density.grid.shape),
        "engine": to_plain(engine.fingerprint()),
    }
