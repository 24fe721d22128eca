"""`describe_points`: from a point set to the table that training and scoring read, whole or in blocks."""

import tempfile
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from nearsight.atomic.radial import RadialDensity
from nearsight.atomic.superposition import Superposition
from nearsight.descriptors.evaluator import evaluate
from nearsight.descriptors.protocol import Descriptor
from nearsight.errors import InputError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.points import PointSet
from nearsight.progress import Progress, silent
from nearsight.store.table import PointTable
from nearsight.structure import Structure


class SnapshotSource(Protocol):
    """The part of `nearsight.store.dataset.Dataset` that describing points needs."""

    @property
    def radial(self) -> Mapping[int, RadialDensity]:
        """Free-atom densities by atomic number; may be empty."""
        ...

    def structure(self, number: int) -> Structure:
        """The structure of a snapshot."""
        ...

    def density(self, number: int) -> ScalarField:
        """Its density, e/bohr³."""
        ...


def describe_points(
    source: SnapshotSource,
    descriptor: Descriptor,
    points: PointSet,
    *,
    block: int = 16_384,
    memory_limit: int = 4 << 30,
    folder: Path | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> PointTable:
    """Features, densities and superposed atomic densities of points, streamed in blocks.

    Parameters
    ----------
    source : SnapshotSource
        A data set.
    descriptor : Descriptor
    points : PointSet
        In any order; each snapshot is read once and its points are visited in grid order, where
        neighbours in the list are neighbours in space.
    block : int
        Points described at a time.
    memory_limit : int
        Bytes of features above which they go to a mapped temporary file, deleted with the table.
    folder : Path, optional
        Where that file goes; the system's temporary folder unless given.
    threads : int, optional
        CPU threads; as many as PyTorch uses unless given.
    progress : Progress

    Raises
    ------
    UnknownElementError
        An atom that the descriptor or the radial tables do not know.
    InputError
        No points, or an index outside its snapshot's grid.
    """
    if len(points) == 0:
        raise InputError("describing points needs at least one point")
    features = _allocate(len(points), descriptor.n_features, memory_limit, folder)
    density = np.empty(len(points))
    rho_saed = np.empty(len(points)) if source.radial else None
    done = 0
    progress("describing points", 0, len(points))
    for rows, part in described_blocks(source, descriptor, points, block=block, threads=threads):
        features[rows] = part.features
        density[rows] = part.density
        if rho_saed is not None:
            rho_saed[rows] = part.rho_saed
        done += len(part)
        progress("describing points", done, len(points))
    return PointTable(points, features, density, rho_saed)


def described_blocks(
    source: SnapshotSource,
    descriptor: Descriptor,
    points: PointSet,
    *,
    block: int = 16_384,
    threads: int | None = None,
) -> Iterator[tuple[np.ndarray, PointTable]]:
    """The table of `describe_points`, block by block: snapshot after snapshot, each in grid order.

    Parameters
    ----------
    source, descriptor, points, block, threads
        See `describe_points`.

    Yields
    ------
    rows : ndarray (m,), int64
        Positions of the block's points in `points`; every position comes once.
    part : PointTable
        Those points, described.

    Raises
    ------
    UnknownElementError, InputError
        See `describe_points`.
    """
    radial = dict(source.radial)
    threads = threads or torch.get_num_threads()
    for number, rows in points.by_snapshot():
        structure, field = source.structure(number), source.density(number)
        _require_on_grid(points.index[rows], field.grid, number)
        evaluator = descriptor.prepare(structure)
        atoms = Superposition(structure, radial) if radial else None
        for part in _blocks(rows, points.index, block):
            positions = field.grid.points_at(points.index[part])
            yield (
                part,
                PointTable(
                    points.take(part),
                    evaluate(evaluator, positions, threads),
                    field.values.ravel()[points.index[part]],
                    None if atoms is None else atoms.at(positions, threads=threads),
                ),
            )


def _blocks(rows: np.ndarray, index: np.ndarray, block: int) -> Iterator[np.ndarray]:
    """`rows` sorted by grid index, in pieces."""
    ordered = rows[np.argsort(index[rows], kind="stable")]
    for start in range(0, len(ordered), block):
        yield ordered[start : start + block]


def _require_on_grid(index: np.ndarray, grid: UniformGrid, number: int) -> None:
    if len(index) and (index.min() < 0 or index.max() >= grid.n_points):
        raise InputError(
            f"a point set names point {int(index.max())} of snapshot {number}, whose grid has "
            f"{grid.n_points} points; the data set is not the one the points were chosen from"
        )


def _allocate(n: int, n_features: int, memory_limit: int, folder: Path | None) -> np.ndarray:
    """Room for the features: in memory, or in a mapped file that goes with the array."""
    if 4 * n * n_features <= memory_limit:
        return np.empty((n, n_features), dtype=np.float32)
    scratch = tempfile.TemporaryDirectory(prefix="nearsight-features-", dir=folder)
    path = Path(scratch.name) / "features.f32"
    mapped = np.memmap(path, dtype=np.float32, mode="w+", shape=(n, n_features))
    weakref.finalize(mapped, scratch.cleanup)
    return mapped
