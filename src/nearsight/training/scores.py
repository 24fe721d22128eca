"""Scores of points: how much each would teach the network, from networks trained a little.

A few networks are trained briefly on a random part of the points, the proxy, or on all of them; then
every point is put before them once, block by block, for all kinds of scores together. Only the proxy's
features are kept, so data of any size is scored in bounded memory: `score_points` reads a table, in
memory or mapped; `score_dataset` describes points on the way and forgets them. The formulas are those of
`nearsight.training.score_kinds`.

What it costs, for k initialisations: k·steps optimiser steps; then k forward passes over all points, with
``grand`` k backward passes too, with ``dual`` or ``difficulty`` k·(checks − 1) more forward passes.
"""

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from nearsight.descriptors.protocol import Descriptor
from nearsight.errors import InputError
from nearsight.model.target import TargetKind, require_compatible
from nearsight.networks.precision import resolve_precision
from nearsight.networks.protocol import NetworkSettings
from nearsight.points import PointSet
from nearsight.progress import Progress, silent
from nearsight.store.table import PointTable
from nearsight.training.proxy import Panel, proxy_rows, scoring_network, train_panel
from nearsight.training.score_kinds import checked_kinds, gradient_norms
from nearsight.training.score_settings import ScoreSettings
from nearsight.training.score_stream import keep_heap, source_blocks, table_blocks, take_rows
from nearsight.training.settings import TrainSettings
from nearsight.training.tables import SnapshotSource, describe_points
from nearsight.training.trainer import torch_threads

__all__ = ["PointScores", "ScoreSettings", "gradient_norms", "score_dataset", "score_points"]

#: kinds computed where none are named
_USUAL = ("grand", "residual")


@dataclass(frozen=True, eq=False)
class PointScores:
    """Scores of points, in the order in which the points were given.

    Attributes
    ----------
    columns : dict of str to ndarray (n,), float32
        The kinds asked for, non-negative, larger where harder; of the standardised target.
    settings : dict
        All that settles them.
    seconds : float
        Of the whole call.
    describe_seconds : float
        Part of it spent describing points: zero where a table was given.
    optimiser_steps : int
        Of all initialisations together.
    """

    columns: dict[str, np.ndarray]
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    describe_seconds: float = 0.0
    optimiser_steps: int = 0

    @property
    def grand(self) -> np.ndarray:
        """Gradient norms (n,); raises `InputError` where they were not asked for."""
        return self._column("grand")

    @property
    def residual(self) -> np.ndarray:
        """|output − target| (n,); raises `InputError` where it was not asked for."""
        return self._column("residual")

    def _column(self, kind: str) -> np.ndarray:
        if kind not in self.columns:
            raise InputError(f"the score '{kind}' was not computed, only {', '.join(self.columns)}")
        return self.columns[kind]


def score_points(
    table: PointTable,
    network: NetworkSettings,
    target: TargetKind,
    settings: ScoreSettings | None = None,
    train: TrainSettings | None = None,
    *,
    kinds: Collection[str] = _USUAL,
    seed: int = 0,
    progress: Progress = silent,
) -> PointScores:
    """Score every point of a table.

    A mapped table is read block by block and never becomes resident, unless ``proxy`` is None: training
    on all points reads them in random order.

    Parameters
    ----------
    table : PointTable
        Training points; no other data is touched.
    network : NetworkSettings
        Of a `TraceableNetwork`.
    target : {"total", "difference"}
    settings : ScoreSettings
    train : TrainSettings
        Batch, learning rate, precision, threads and device of the short trainings.
    kinds : collection of str
        Of `nearsight.training.score_kinds.KINDS`; only these are computed. ``grand`` alone needs a backward
        pass, ``disagreement`` two initialisations.
    seed : int
    progress : Progress

    Raises
    ------
    InputError
        An unknown kind, or one that the settings do not allow; a network whose gradients have no closed
        form; a ReLU output with the difference density.
    ConvergenceError
        A scoring network diverged.
    """
    job = _Job.prepared(network, target, settings, train, kinds, seed)
    began = time.perf_counter()
    rows = proxy_rows(len(table), job.settings, seed)
    with torch_threads(job.train.threads):
        proxy = table if rows is None else take_rows(table, rows)
        panel = job.train_on(proxy, len(table), progress)
        columns = _scored(panel, table_blocks(table, job.settings.block), len(table), progress)
    seconds = time.perf_counter() - began
    return PointScores(
        columns, job.record(panel, len(proxy)), seconds, optimiser_steps=job.settings.optimiser_steps
    )


def score_dataset(
    source: SnapshotSource,
    descriptor: Descriptor,
    points: PointSet,
    network: NetworkSettings,
    target: TargetKind,
    settings: ScoreSettings | None = None,
    train: TrainSettings | None = None,
    *,
    kinds: Collection[str] = _USUAL,
    seed: int = 0,
    block: int = 16_384,
    threads: int | None = None,
    progress: Progress = silent,
) -> PointScores:
    """Score points of a data set without ever holding the features of all of them.

    The proxy's points are described and kept; then every point is described, scored and forgotten. The
    scores are those that `score_points` gives for the table of all points, to float32 rounding. Where
    the proxy is all points they are described to a table first, mapped on disk where it is large.

    Parameters
    ----------
    source : SnapshotSource
        A data set.
    descriptor : Descriptor
    points : PointSet
        In any order.
    network, target, settings, train, kinds, seed, progress
        See `score_points`.
    block : int
        Points described at a time.
    threads : int, optional
        CPU threads for describing; as many as the training's, or PyTorch's, unless given.

    Raises
    ------
    InputError, ConvergenceError
        As `score_points` and `describe_points`.
    UnknownElementError
        An atom that the descriptor or the radial tables do not know.
    """
    job = _Job.prepared(network, target, settings, train, kinds, seed)
    began = time.perf_counter()
    threads = threads or job.train.threads or torch.get_num_threads()
    rows = proxy_rows(len(points), job.settings, seed)
    some = points if rows is None else points.take(rows)
    proxy = describe_points(source, descriptor, some, block=block, threads=threads, progress=progress)
    describing = _Stopwatch(time.perf_counter() - began)
    with torch_threads(job.train.threads):
        panel = job.train_on(proxy, len(points), progress)
        piece = job.settings.block
        blocks = (
            table_blocks(proxy, piece)
            if rows is None
            else source_blocks(source, descriptor, points, block=block, piece=piece, threads=threads)
        )
        columns = _scored(panel, describing.waiting_for(blocks), len(points), progress)
    return PointScores(
        columns,
        job.record(panel, len(proxy)),
        time.perf_counter() - began,
        describing.seconds,
        job.settings.optimiser_steps,
    )


@dataclass(frozen=True)
class _Job:
    """What both ways of scoring share: settings, checked before anything is read."""

    network: NetworkSettings
    target: TargetKind
    settings: ScoreSettings
    train: TrainSettings
    kinds: tuple[str, ...]
    seed: int

    @classmethod
    def prepared(
        cls,
        network: NetworkSettings,
        target: TargetKind,
        settings: ScoreSettings | None,
        train: TrainSettings | None,
        kinds: Collection[str],
        seed: int,
    ) -> "_Job":
        settings, train = settings or ScoreSettings(), train or TrainSettings()
        network = scoring_network(network, settings)
        require_compatible(target, network.positive)
        return cls(network, target, settings, train, checked_kinds(kinds, settings), seed)

    def train_on(self, proxy: PointTable, n_points: int, progress: Progress) -> Panel:
        return train_panel(
            proxy,
            self.network,
            self.target,
            self.settings,
            self.train,
            self.kinds,
            n_points=n_points,
            seed=self.seed,
            progress=progress,
        )

    def record(self, panel: Panel, n_proxy: int) -> dict[str, Any]:
        return {
            **asdict(self.settings),
            "kinds": list(self.kinds),
            "precision": resolve_precision(self.settings.precision, panel.device),
            "network": self.network.as_dict(),
            "target": self.target,
            "batch": self.train.batch,
            "learning_rate": self.train.learning_rate,
            "seed": self.seed,
            "proxy_points": n_proxy,
            "optimiser_steps": self.settings.optimiser_steps,
        }


_Blocks = Iterable[tuple[np.ndarray | slice, PointTable]]


@dataclass
class _Stopwatch:
    """Adds up the time spent waiting for blocks."""

    seconds: float = 0.0

    def waiting_for(self, blocks: _Blocks) -> Iterator[tuple[np.ndarray | slice, PointTable]]:
        """The blocks."""
        began = time.perf_counter()
        for block in blocks:
            self.seconds += time.perf_counter() - began
            yield block
            began = time.perf_counter()


def _scored(panel: Panel, blocks: _Blocks, n_points: int, progress: Progress) -> dict[str, np.ndarray]:
    """Columns (n_points,), float32, of all kinds, from blocks in any order."""
    columns = {kind: np.empty(n_points, dtype=np.float32) for kind in panel.kinds}
    done = 0
    keep_heap()
    progress("scoring points", 0, n_points)
    for rows, block in blocks:
        for kind, score in panel.score(block).items():
            columns[kind][rows] = score
        done += len(block)
        progress("scoring points", done, n_points)
    return columns
