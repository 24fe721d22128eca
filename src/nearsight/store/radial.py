"""Radial tables as Zarr groups: ``radial/<atomic number>`` with the arrays ``r`` and ``rho``."""

from pathlib import Path

from nearsight.atomic.radial import RadialDensity
from nearsight.io.zarr_groups import read_array, read_attributes, write_group


def write_radial(folder: Path, table: RadialDensity) -> None:
    """Write one radial table as a group."""
    attributes = {"number": table.number, "n_electrons": table.n_electrons, "source": table.source}
    write_group(folder, attributes, {"r": table.r, "rho": table.rho})


def read_radial_tables(folder: Path) -> dict[int, RadialDensity]:
    """All radial tables under `folder`, by atomic number, ascending."""
    found: dict[int, RadialDensity] = {}
    for entry in sorted((p for p in folder.iterdir() if p.name.isdigit()), key=lambda p: int(p.name)):
        attributes = read_attributes(entry)
        found[int(entry.name)] = RadialDensity(
            number=attributes["number"],
            r=read_array(entry, "r"),
            rho=read_array(entry, "rho"),
            n_electrons=attributes["n_electrons"],
            source=attributes["source"],
        )
    return found
