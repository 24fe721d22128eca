"""`Coreset`: the essential points of a data set, with all that training needs; it stands alone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nearsight.atomic.radial import RadialDensity
from nearsight.errors import InputError, StoreError
from nearsight.grid import UniformGrid
from nearsight.io.atomic import atomic_folder, remove_leftovers
from nearsight.io.zarr_groups import (
    read_arrays,
    read_attributes,
    read_structure,
    structure_arrays,
    write_group,
)
from nearsight.io.zarr_header import make_header, read_header, store_kind
from nearsight.points import PointSet
from nearsight.store.info import SnapshotInfo
from nearsight.store.radial import read_radial_tables, write_radial
from nearsight.store.table import PointTable
from nearsight.structure import Structure


@dataclass(frozen=True, eq=False)
class Coreset:
    """Chosen training points, a fixed random set of validation points, and where they come from.

    Attributes
    ----------
    training, validation : PointTable
        Validation points are counted apart; no selection method sees them.
    structures : dict of int to Structure
        Of every snapshot that a point names, by its number in the data set.
    grids : dict of int to UniformGrid
    infos : dict of int to SnapshotInfo
    descriptor : dict
        Settings that made the features, ``name`` among them.
    radial : dict of int to RadialDensity
        Free-atom densities of the data set.
    engine : dict or None
        Fingerprint of the engine behind the data.
    method : dict
        How the points were chosen: ``name``, ``settings``, ``keep`` (fraction asked), ``n_asked``,
        ``n_kept``, ``n_available``, ``seconds``.
    dataset_digest : str
        `Dataset.digest` of the data set.
    provenance : dict
        Software, machine, seed.
    """

    training: PointTable
    validation: PointTable
    structures: dict[int, Structure]
    grids: dict[int, UniformGrid]
    infos: dict[int, SnapshotInfo]
    descriptor: dict[str, Any]
    radial: dict[int, RadialDensity]
    engine: dict[str, Any] | None
    method: dict[str, Any]
    dataset_digest: str
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = {int(n) for part in (self.training, self.validation) for n in np.unique(part.points.snapshot)}
        named |= set(self.structures)
        for what, table in (("structure", self.structures), ("grid", self.grids), ("info", self.infos)):
            if missing := named - set(table):
                raise InputError(f"a coreset needs the {what} of every snapshot; missing: {sorted(missing)}")

    @property
    def points(self) -> PointSet:
        """The chosen training points."""
        return self.training.points

    @property
    def features(self) -> np.ndarray:
        """Features of the training points, shape (n, n_features), float32."""
        return self.training.features

    @property
    def density(self) -> np.ndarray:
        """Density at the training points, shape (n,), e/bohr³."""
        return self.training.density

    @property
    def rho_saed(self) -> np.ndarray | None:
        """Superposed atomic densities at the training points, shape (n,), e/bohr³."""
        return self.training.rho_saed

    def __repr__(self) -> str:
        name = self.method.get("name", "?")
        return f"Coreset({name}, {len(self.training)} + {len(self.validation)} validation points)"


def write_coreset(path: str | Path, coreset: Coreset) -> None:
    """Write a coreset to a Zarr folder; another coreset of that name is replaced.

    Raises
    ------
    StoreError
        Something else has that name.
    NearsightError
        The disk is full; nothing is left behind.
    """
    path = Path(path)
    if path.exists() and store_kind(path) != "coreset":
        raise StoreError(f"{path} exists and is no coreset; choose another name or remove it")
    remove_leftovers(path.parent, path.name)
    with atomic_folder(path, replace=True) as folder:
        _fill(folder, coreset)


def read_coreset(path: str | Path) -> Coreset:
    """Read what `write_coreset` wrote.

    Raises
    ------
    StoreError
        Missing, foreign, of another kind, of a newer format, or damaged.
    """
    path = Path(path)
    header = read_header(path, "coreset")
    folders = {int(p.name): p for p in sorted((path / "snapshots").iterdir()) if p.name.isdigit()}
    infos = {n: _read_info(folder) for n, folder in folders.items()}
    structures = {n: read_structure(folder) for n, folder in folders.items()}
    return Coreset(
        training=_read_points(path / "training"),
        validation=_read_points(path / "validation"),
        structures=structures,
        grids={n: UniformGrid(structures[n].cell, info.shape) for n, info in infos.items()},
        infos=infos,
        radial=read_radial_tables(path / "radial"),
        **{name: header[name] for name in ("descriptor", "engine", "method", "dataset_digest", "provenance")},
    )


def _fill(folder: Path, coreset: Coreset) -> None:
    """Write all groups of a coreset under `folder`."""
    header: Mapping[str, Any] = {
        name: getattr(coreset, name)
        for name in ("descriptor", "engine", "method", "dataset_digest", "provenance")
    }
    write_group(folder, make_header("coreset", header))
    write_group(folder / "snapshots", {})
    write_group(folder / "radial", {})
    for part in ("training", "validation"):
        write_group(folder / part, {}, _point_arrays(getattr(coreset, part)))
    for number, structure in coreset.structures.items():
        attributes = {"info": asdict(coreset.infos[number])}
        write_group(folder / "snapshots" / f"{number:06d}", attributes, structure_arrays(structure))
    for number, table in coreset.radial.items():
        write_radial(folder / "radial" / str(number), table)


def _point_arrays(data: PointTable) -> dict[str, np.ndarray]:
    arrays = {
        "snapshot": data.points.snapshot,
        "index": data.points.index,
        "weight": data.points.weight,
        "features": data.features,
        "density": data.density,
    }
    return arrays if data.rho_saed is None else arrays | {"rho_saed": data.rho_saed}


def _read_points(folder: Path) -> PointTable:
    arrays = read_arrays(folder)
    try:
        points = PointSet(arrays["snapshot"], arrays["index"], arrays["weight"])
        return PointTable(points, arrays["features"], arrays["density"], arrays.get("rho_saed"))
    except KeyError as error:
        raise StoreError(f"{folder} lacks the array {error}; make the coreset again") from error


def _read_info(folder: Path) -> SnapshotInfo:
    entry = read_attributes(folder)["info"]
    return SnapshotInfo(**{**entry, "shape": tuple(entry["shape"])})
