"""`energy`: the Harris–Foulkes energy of a predicted density, or of one from a file."""

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from nearsight.engines.protocol import Engine, NonSelfConsistent
from nearsight.engines.spin import spin_notes
from nearsight.errors import GridMismatchError, InputError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.inference.predictor import predict_density
from nearsight.io.density import read_snapshot
from nearsight.model.density_model import DensityModel
from nearsight.model.file import load_model
from nearsight.progress import Progress, silent
from nearsight.provenance import to_plain
from nearsight.snapshot import Snapshot
from nearsight.structure import Structure
from nearsight.workflows.compatibility import differences, require_same_physics
from nearsight.workflows.predict import read_structure, structure_notes

#: how far (bohr) cell vectors may differ in a file that prints steps with six decimals
_SAME_CELL = 1e-3
#: how far positions may differ, in units of the cell vectors, images counted as one
_SAME_PLACE = 1e-3


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
    result = _summary(found, atoms, prediction.density, engine)
    return result | {
        "notes": [
            *structure_notes(structure),
            *differences(loaded.engine, engine.fingerprint()),
            *result["notes"],
        ],
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
    field = _in_cell_of(atoms, snapshot)
    if field is None:
        raise GridMismatchError(f"the cell of {density} is not that of the structure {atoms.formula}")
    if not _same_atoms(snapshot.structure, atoms):
        raise InputError(
            f"the atoms stored in {density} are not those of the structure; give the one it is of"
        )
    rho = field.rescaled(n_electrons).field
    result = _summary(engine.harris(atoms, rho, output_density=True), atoms, rho, engine)
    return result | {"notes": [*snapshot.provenance.get("notes", []), *result["notes"]]}


def _in_cell_of(structure: Structure, snapshot: Snapshot) -> ScalarField | None:
    """The density on a grid of the structure's cell, whose vectors a file may hold in another order."""
    for order in permutations(range(3)):
        if np.allclose(snapshot.structure.cell[list(order)], structure.cell, rtol=0, atol=_SAME_CELL):
            values = snapshot.density.values.transpose(order)
            return ScalarField(UniformGrid(structure.cell, values.shape), values)
    return None


def _same_atoms(first: Structure, second: Structure) -> bool:
    """Whether elements and positions agree to `_SAME_PLACE`, whatever the order of the atoms."""
    if first.n_atoms != second.n_atoms:
        return False
    inverse = np.linalg.inv(second.cell)
    places = [(structure.positions @ inverse) % 1.0 % 1.0 for structure in (first, second)]
    found = cKDTree(places[0], boxsize=np.ones(3)).query(places[1], p=np.inf)
    distances, partners = np.asarray(found[0]), np.asarray(found[1])
    return bool(
        distances.max() < _SAME_PLACE
        and len(set(partners.tolist())) == first.n_atoms
        and np.array_equal(first.numbers[partners], second.numbers)
    )


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
        "notes": spin_notes(structure.species),
        "engine": to_plain(engine.fingerprint()),
    }
