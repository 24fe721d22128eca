"""Files in and out: one format a module."""

from nearsight.io import cube, espresso, gpaw, npz, sparc, vasp, xsf, zarr_density  # noqa: F401  (each registers its format)
from nearsight.io.density import read_snapshot, write_density, write_snapshot
from nearsight.io.extxyz import Frame, frame_of, read_atoms, read_frames, write_frames
from nearsight.io.formats import FORMATS, Format
from nearsight.io.uncertainty import read_uncertainty, write_uncertain_density

__all__ = [
    "FORMATS",
    "Format",
    "Frame",
    "frame_of",
    "read_atoms",
    "read_frames",
    "read_snapshot",
    "read_uncertainty",
    "write_density",
    "write_frames",
    "write_snapshot",
    "write_uncertain_density",
]
