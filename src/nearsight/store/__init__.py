"""Zarr data set and coreset stores."""

from nearsight.io.zarr_header import store_kind
from nearsight.store.coreset import Coreset, PointData, read_coreset, write_coreset
from nearsight.store.dataset import Dataset, Failure
from nearsight.store.info import SPLITS, SnapshotInfo, content_digest

__all__ = [
    "SPLITS",
    "Coreset",
    "Dataset",
    "Failure",
    "PointData",
    "SnapshotInfo",
    "content_digest",
    "read_coreset",
    "store_kind",
    "write_coreset",
]
