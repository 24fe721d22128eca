"""A single density as a small Zarr 3 group: what `nearsight predict -o rho.zarr` writes.

Arrays ``cell``, ``positions`` (bohr), ``numbers``, ``density`` (e/bohr³) and, where known,
``forces`` (Ha/bohr); the header holds ``n_electrons`` and ``energy`` (Ha).
"""

from pathlib import Path

from nearsight.errors import FileFormatError, StoreError
from nearsight.io.checks import checked_snapshot
from nearsight.io.formats import FORMATS, Format
from nearsight.io.zarr_groups import read_arrays, read_structure, structure_arrays, write_group
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


def write_zarr_density(path: Path, snapshot: Snapshot) -> None:
    """Fill the folder `path` with one density."""
    header = {"n_electrons": float(snapshot.n_electrons), "energy": snapshot.energy}
    arrays = structure_arrays(snapshot.structure) | {"density": snapshot.density.values}
    if snapshot.forces is not None:
        arrays["forces"] = snapshot.forces
    if snapshot.rho_saed is not None:
        arrays["rho_saed"] = snapshot.rho_saed.values
    write_group(path, make_header("density", header), arrays)


FORMATS.register("zarr")(Format("zarr", ("*.zarr",), read_zarr_density, write_zarr_density, is_folder=True))
