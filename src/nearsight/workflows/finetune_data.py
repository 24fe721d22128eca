"""The data that a model is fine-tuned on: whether it is of the model's kind, and its points described."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from nearsight.atomic.superposition import Superposition
from nearsight.engines.kpoints import k_points_text
from nearsight.errors import CompatibilityError
from nearsight.grid import UniformGrid
from nearsight.model.density_model import DensityModel
from nearsight.progress import Progress
from nearsight.store import Coreset, Dataset, PointTable
from nearsight.store.info import SnapshotInfo
from nearsight.structure import Structure
from nearsight.training import describe_points
from nearsight.workflows.compatibility import differing_settings, require_same_physics
from nearsight.workflows.material import (
    Material,
    describe_validation,
    from_coreset,
    from_dataset,
    training_points,
    training_snapshots,
)
from nearsight.workflows.plan import Plan

#: electrons a snapshot may differ by, as a share, from what the model counts
_SAME_ELECTRONS = 1e-3


def require_same_kind(base: DensityModel, source: Dataset | Coreset, force: bool) -> list[str]:
    """Refuse data that the base cannot go on from.

    Returns
    -------
    list of str
        Lines on what differs and may.

    Raises
    ------
    UnknownElementError
        An element that the base never saw.
    CompatibilityError
        Other valence electrons; unless `force`, other pseudopotentials or functional, or unknown ones.
    """
    for structure, info in _snapshots(source):
        counted = base.n_electrons(structure)  # refuses elements that it never saw
        if abs(info.n_electrons - counted) > _SAME_ELECTRONS * counted:
            raise CompatibilityError(
                f"snapshot '{info.label}' ({info.formula}) has {info.n_electrons:g} valence electrons, the "
                f"model counts {counted:g}: its pseudopotentials are others; label it with the model's engine"
            )
    if not (base.engine or source.engine):
        return ["model and data came from files: that they share pseudopotentials was not checked"]
    if not force:
        _require_same_engine(base, source)
    return [
        f"the data has {_setting(key, new)}, the base model's had {_setting(key, old)}"
        for key, old, new in differing_settings(base.engine, source.engine)
    ]


def material_for(
    base: DensityModel, source: Dataset | Coreset, plan: Plan, seed: int, progress: Progress
) -> Material:
    """The data's training and validation points in the base's description, over the base's atoms."""
    if isinstance(source, Coreset):
        found = from_coreset(source, plan.descriptor, progress)
    else:
        table = describe_points(source, plan.descriptor, training_points(source), progress=progress)
        validation = describe_validation(source, plan.descriptor, plan.validation_points, seed)
        found = from_dataset(source, table, validation)
    parts = [found.training] if found.validation is None else [found.training, found.validation]
    over = [_over_atoms_of(base, table, source) for table in parts]
    return replace(
        found,
        training=over[0],
        validation=over[1] if len(over) > 1 else None,
        radial=dict(base.radial),
        valence=dict(base.valence),
        engine=source.engine or base.engine,
    )


def _snapshots(source: Dataset | Coreset) -> Iterator[tuple[Structure, SnapshotInfo]]:
    """The training and validation snapshots."""
    if isinstance(source, Coreset):
        yield from ((source.structures[n], source.infos[n]) for n in source.structures)
        return
    for number in [*training_snapshots(source), *source.snapshots("validation")]:
        yield source.structure(number), source.info(number)


def _require_same_engine(base: DensityModel, source: Dataset | Coreset) -> None:
    if not base.engine or not source.engine:
        which = "data" if base.engine else "base model's data"
        raise CompatibilityError(
            f"the {which} came from files whose pseudopotentials and functional are unknown; if they are "
            "those of the other, repeat with --force"
        )
    try:
        require_same_physics(base.engine, source.engine)
    except CompatibilityError:
        old, new = (
            f"{engine.get('functional')} with {engine.get('pseudopotentials')}"
            for engine in (base.engine, source.engine)
        )
        raise CompatibilityError(
            f"the base model learned densities of {old}, the data has {new}: a model of both is one of "
            "neither; label the data with the model's engine, or --force"
        ) from None


def _setting(key: str, value: Any) -> str:
    return f"k-points {k_points_text(value)}" if key == "k_points" else f"{key} {value}"


def _over_atoms_of(base: DensityModel, table: PointTable, source: Dataset | Coreset) -> PointTable:
    """The table with the superposition of the base's atomic densities, should the data have others."""
    present = {z: radial.digest() for z, radial in source.radial.items()}
    own = {z: radial.digest() for z, radial in base.radial.items()}
    species = {z for structure, _ in _snapshots(source) for z in structure.species}
    if not base.target.needs_atoms or all(present.get(z) == own[z] for z in species):
        return table
    rho_saed = np.empty(len(table))
    for number, rows in table.points.by_snapshot():
        structure, grid = _place(source, number)
        positions = grid.points_at(table.points.index[rows])
        rho_saed[rows] = Superposition(structure, base.radial).at(positions)
    return replace(table, rho_saed=rho_saed)


def _place(source: Dataset | Coreset, number: int) -> tuple[Structure, UniformGrid]:
    """Where the points of a snapshot lie."""
    if isinstance(source, Coreset):
        return source.structures[number], source.grids[number]
    return source.structure(number), source.grid(number)
