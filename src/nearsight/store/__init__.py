"""Zarr data set and coreset stores."""

from nearsight.io.zarr_header import store_kind
from nearsight.store.coreset import Coreset, read_coreset, write_coreset
from nearsight.store.dataset import Dataset, Failure
from nearsight.store.info import SPLITS, SnapshotInfo, content_digest
from nearsight.store.table import PointTable

__all__ = [
    "SPLITS",
    "Coreset",
    "Dataset",
    "Failure",
    "PointTable",
    "SnapshotInfo",
    "content_digest",
    "read_coreset",
    "store_kind",
    "write_coreset",
]
