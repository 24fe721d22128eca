"""Blocks to be scored: from a table in memory, from one mapped on disk, or described on the way."""

import mmap
from collections.abc import Iterator

import numpy as np

from nearsight.descriptors.protocol import Descriptor
from nearsight.points import PointSet
from nearsight.store.table import PointTable
from nearsight.training.tables import SnapshotSource, described_blocks

#: bytes of a mapped file that may become resident before they are let go
_RESIDENT = 64 << 20
#: bytes just below the most that glibc lets its thresholds grow to by themselves
_HEAP = 31 << 20


def table_blocks(table: PointTable, block: int) -> Iterator[tuple[np.ndarray | slice, PointTable]]:
    """Consecutive rows of a table, `block` at a time; of a mapped one, little is ever resident.

    Yields
    ------
    rows : slice
    part : PointTable
        Views, valid until the next block.
    """
    resident = 0
    for first in range(0, len(table), block):
        rows = slice(first, min(first + block, len(table)))
        part = _slice(table, rows)
        yield rows, part
        resident += part.features.nbytes
        if resident > _RESIDENT:
            _let_go(table.features)
            resident = 0
    _let_go(table.features)


def source_blocks(
    source: SnapshotSource, descriptor: Descriptor, points: PointSet, *, block: int, piece: int, threads: int
) -> Iterator[tuple[np.ndarray | slice, PointTable]]:
    """Points described `block` at a time and given `piece` at a time, in grid order.

    Yields
    ------
    rows : ndarray
        Positions of the points in `points`.
    part : PointTable
    """
    for rows, described in described_blocks(source, descriptor, points, block=block, threads=threads):
        for first in range(0, len(rows), piece):
            some = slice(first, min(first + piece, len(rows)))
            yield rows[some], _slice(described, some)


def take_rows(table: PointTable, rows: np.ndarray) -> PointTable:
    """`PointTable.take` for ascending rows; of a mapped table, little is ever resident."""
    if table.in_memory:
        return table.take(rows)
    features = np.empty((len(rows), table.n_features), dtype=np.float32)
    for span, part in table_blocks(table, max(1, _RESIDENT // (4 * table.n_features))):
        assert isinstance(span, slice)
        first, last = np.searchsorted(rows, (span.start, span.stop))
        features[first:last] = part.features[rows[first:last] - span.start]
    saed = None if table.rho_saed is None else table.rho_saed[rows]
    return PointTable(table.points.take(rows), features, table.density[rows], saed)


def keep_heap() -> None:
    """Have freed memory kept for the next block rather than handed back and asked for again.

    glibc hands back what lies free at the top of its heap above twice the largest buffer that was ever
    mapped on its own, and every block then pays for fresh pages: at 4,096 points a block that cost as
    much as scoring did. A large buffer, made and freed without being touched, raises that limit.
    """
    np.empty(_HEAP, dtype=np.uint8)


def _slice(table: PointTable, rows: slice) -> PointTable:
    points = table.points
    return PointTable(
        PointSet(points.snapshot[rows], points.index[rows], points.weight[rows]),
        np.asarray(table.features[rows]),
        table.density[rows],
        None if table.rho_saed is None else table.rho_saed[rows],
    )


def _let_go(features: np.ndarray) -> None:
    """Drop a mapped file's pages from this process; they stay in the system's cache and on disk."""
    if not isinstance(features, np.memmap) or features.mode == "c":  # a private copy lives in its pages
        return
    mapped = getattr(features, "_mmap", None)
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
