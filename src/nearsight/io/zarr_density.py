"""A single density as a small Zarr 3 group: what `nearsight predict -o rho.zarr` writes.

Arrays ``cell``, ``positions`` (bohr), ``numbers``, ``density`` (e/bohr³) and, where known,
``forces`` (Ha/bohr), ``aleatoric`` and ``epistemic`` (e/bohr³, `nearsight.io.uncertainty`); the header holds
``n_electrons`` and ``energy`` (Ha).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nearsight.errors import FileFormatError, StoreError
from nearsight.io.checks import checked_snapshot
from nearsight.io.formats import FORMATS, Format
from nearsight.io.zarr_groups import read_array, read_arrays, read_structure, structure_arrays, write_group
from nearsight.io.zarr_header import make_header, read_header
from nearsight.snapshot import Snapshot


def read_zarr_density(path: Path, n_electrons: float | None = None) -> Snapshot:
    """Read a density from a Zarr group.

    Raises
    ------
    FileFormatError
        Missing, another kind of store, or damaged.
    ChargeError
        A density that does not integrate to its electron count.
    """
    try:
        header = read_header(path, "density")
        arrays = read_arrays(path)
        structure = read_structure(path)
        density = arrays["density"]
    except (StoreError, KeyError) as error:
        raise FileFormatError(str(error)) from error
    return checked_snapshot(
        path,
        structure,
        density,
        stated=header["n_electrons"],
        given=n_electrons,
        energy=header["energy"],
        forces=arrays.get("forces"),
        rho_saed=arrays.get("rho_saed"),
        file_format="zarr",
    )


def read_zarr_fields(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Those of the arrays called `names` that a density's group holds; raises as `read_zarr_density`."""
    try:
        read_header(path, "density")
        return {name: read_array(path, name) for name in names if (path / name).is_dir()}
    except StoreError as error:
        raise FileFormatError(str(error)) from error


def write_zarr_density(
    path: Path, snapshot: Snapshot, fields: Mapping[str, np.ndarray] = MappingProxyType({})
) -> None:
    """Fill the folder `path` with one density, and further fields on its grid."""
    header = {"n_electrons": float(snapshot.n_electrons), "energy": snapshot.energy}
    arrays = structure_arrays(snapshot.structure) | {"density": snapshot.density.values, **fields}
    if snapshot.forces is not None:
        arrays["forces"] = snapshot.forces
    if snapshot.rho_saed is not None:
        arrays["rho_saed"] = snapshot.rho_saed.values
    write_group(path, make_header("density", header), arrays)


FORMATS.register("zarr")(
    Format(
        "zarr",
        ("*.zarr",),
        read_zarr_density,
        write_zarr_density,
        is_folder=True,
        read_fields=read_zarr_fields,
    )
)
