"""Scoring with a proxy, from mapped tables and from data sets: the same scores, in bounded memory."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from nearsight.descriptors import PowerSpectrum
from nearsight.errors import ConvergenceError, InputError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.model.scaler import FeatureScaler
from nearsight.model.target import Target
from nearsight.networks import MLPSettings
from nearsight.points import PointSet
from nearsight.provenance import generator
from nearsight.structure import Structure
from nearsight.training import (
    PointTable,
    ScoreSettings,
    TrainSettings,
    describe_points,
    gradient_norms,
    score_dataset,
    score_points,
    score_stream,
)
from nearsight.training import proxy as proxy_module
from nearsight.training.proxy import proxy_rows, scoring_network
from nearsight.training.score_kinds import KINDS
from nearsight.training.task import torch_generator
from nearsight.training.trainer import Trainer, TrainingData

TRAIN = TrainSettings(batch=128, threads=1, precision="float32", device="cpu")
SMALL = MLPSettings(width=16, depth=2)
BRIEF = ScoreSettings(initialisations=2, steps=24, precision="float32", proxy=0.2)
DESCRIPTOR = PowerSpectrum((13,), cutoff=5.0, channels=(3, 2))


@pytest.fixture(autouse=True)
def small_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies of a few hundred points, and mapped files let go of every few blocks."""
    monkeypatch.setattr(proxy_module, "_FEWEST", 200)
    monkeypatch.setattr(score_stream, "_RESIDENT", 5000)


class Source:
    """Two small snapshots on different grids, their density a function of the place."""

    def __init__(self) -> None:
        self.radial: dict[int, object] = {}
        self.structures, self.fields = {}, {}
        rng = np.random.default_rng(0)
        for number, shape in ((1, (10, 9, 8)), (4, (8, 9, 11))):
            cell = np.diag([7.0, 8.0, 7.5]) + rng.normal(size=(3, 3)) * 0.3
            self.structures[number] = Structure(cell, rng.random((4, 3)) @ cell, np.full(4, 13))
            grid = UniformGrid(cell, shape)
            features = DESCRIPTOR.prepare(self.structures[number])(grid.points())
            self.fields[number] = ScalarField(grid, np.tanh(features[:, 0]).reshape(shape))
        self.asked: list[int] = []

    def structure(self, number: int) -> Structure:
        self.asked.append(number)
        return self.structures[number]

    def density(self, number: int) -> ScalarField:
        return self.fields[number]


def shuffled_points() -> PointSet:
    every = PointSet.all_of([4, 1], [792, 720])
    return every.take(np.random.default_rng(1).permutation(len(every)))


@pytest.mark.parametrize("proxy", [0.2, None])
def test_streamed_scores_equal_those_of_the_whole_table(proxy: float | None) -> None:
    source, points, settings = Source(), shuffled_points(), replace(BRIEF, proxy=proxy, block=53)
    table = describe_points(source, DESCRIPTOR, points, threads=1)  # type: ignore[arg-type]
    whole = score_points(table, SMALL, "total", settings, TRAIN, kinds=KINDS, seed=3)
    streamed = score_dataset(
        source,  # type: ignore[arg-type]
        DESCRIPTOR,
        points,
        SMALL,
        "total",
        settings,
        TRAIN,
        kinds=KINDS,
        seed=3,
        block=200,
    )
    for kind, column in whole.columns.items():
        assert column.std() > 1e-3 * column.mean() > 0
        np.testing.assert_allclose(streamed.columns[kind], column, rtol=2e-3, atol=2e-3 * column.mean())
    assert streamed.settings == whole.settings
    assert whole.settings["proxy_points"] == (302 if proxy else 1512)
    assert 0 < streamed.describe_seconds < streamed.seconds
    assert whole.describe_seconds == 0


def test_a_source_is_described_once_beside_the_proxy() -> None:
    source = Source()
    score_dataset(source, DESCRIPTOR, shuffled_points(), SMALL, "total", BRIEF, TRAIN, kinds=KINDS)  # type: ignore[arg-type]
    assert source.asked == [1, 4, 1, 4]


def test_a_mapped_table_scores_the_same_and_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, points = Source(), shuffled_points()
    memory = describe_points(source, DESCRIPTOR, points, threads=1)  # type: ignore[arg-type]
    mapped = describe_points(source, DESCRIPTOR, points, threads=1, memory_limit=100, folder=tmp_path)  # type: ignore[arg-type]
    assert not mapped.in_memory
    calls: list[int] = []
    let_go = score_stream._let_go
    monkeypatch.setattr(score_stream, "_let_go", lambda f: (calls.append(len(f)), let_go(f)))
    settings = replace(BRIEF, block=100)
    one, two = (score_points(t, SMALL, "total", settings, TRAIN, seed=1) for t in (memory, mapped))
    assert np.array_equal(one.grand, two.grand)
    assert np.array_equal(one.residual, two.residual)
    assert one.grand.std() > 0
    assert len(calls) > 10
    assert np.array_equal(mapped.features, memory.features)  # what was let go is still there


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_letting_go_of_a_mapped_file_loses_nothing(tmp_path: Path, mode: Literal["r", "r+", "c"]) -> None:
    content = np.arange(3000, dtype=np.float32).reshape(-1, 3)
    content.tofile(tmp_path / "features")
    mapped = np.memmap(tmp_path / "features", np.float32, mode, shape=content.shape)
    if mode != "r":
        content[:] = mapped[:] = np.sqrt(content)
    score_stream._let_go(mapped)
    assert np.array_equal(mapped, content)


def old_scores(table: PointTable, settings: ScoreSettings, seed: int) -> np.ndarray:
    """Mean gradient norm and residual by the plainest loop: all points, one network after the other."""
    train = replace(TRAIN, steps=settings.steps, decay="constant")
    scaler = FeatureScaler.fit(table.features, table.weight)
    target = Target.fit("total", table.density, None, table.weight)
    data = TrainingData(table, scaler, target, torch.device("cpu"))
    total = np.zeros((2, len(table)))
    with torch.random.fork_rng():
        for start in range(settings.initialisations):
            network = SMALL.build(table.n_features, torch_generator(seed, "score", start))
            trainer = Trainer(network, data, train, int(generator(seed, "score", start).integers(2**31)))
            for _ in range(settings.steps):
                trainer.step()
            for first in range(0, len(table), settings.block):
                rows = slice(first, min(first + settings.block, len(table)))
                x, t = data.block(rows.start, rows.stop)
                total[:, rows] += torch.stack(gradient_norms(network, x, t)).numpy()
    return (total / settings.initialisations).astype(np.float32)


def make_table(n: int = 1000) -> PointTable:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    y = 0.5 + 0.1 * np.sin(2 * x[:, 0]) + 0.05 * x[:, 1]
    return PointTable(PointSet(np.zeros(n), np.arange(n), np.ones(n)), x, y, None)


def test_without_a_proxy_scores_are_those_of_networks_trained_on_all_points() -> None:
    settings = replace(BRIEF, proxy=None, initialisations=3, block=97)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    expected = old_scores(make_table(), settings, seed=5)
    torch.set_num_threads(threads)
    found = score_points(make_table(), SMALL, "total", settings, TRAIN, seed=5)
    assert np.array_equal(found.grand, expected[0])
    assert np.array_equal(found.residual, expected[1])
    assert found.optimiser_steps == found.settings["optimiser_steps"] == 3 * 24


def test_a_proxy_is_a_random_part_that_follows_the_seed() -> None:
    rows = proxy_rows(10_000, replace(BRIEF, proxy=0.1), 0)
    assert rows is not None
    assert len(set(rows.tolist())) == len(rows) == 1000
    assert (np.diff(rows) > 0).all()
    assert 0 <= rows.min() < 100
    assert 9900 < rows.max() < 10_000
    again, other = (proxy_rows(10_000, replace(BRIEF, proxy=0.1), seed) for seed in (0, 1))
    assert np.array_equal(rows, again)  # type: ignore[arg-type]
    assert not np.array_equal(rows, other)  # type: ignore[arg-type]
    fewest = proxy_rows(10_000, replace(BRIEF, proxy=0.001), 0)
    assert fewest is not None
    assert len(fewest) == 200
    assert proxy_rows(10_000, replace(BRIEF, proxy=None), 0) is None
    assert proxy_rows(10_000, replace(BRIEF, proxy=1.0), 0) is None
    assert proxy_rows(200, BRIEF, 0) is None


def test_points_outside_the_proxy_do_not_touch_the_networks() -> None:
    table, settings = make_table(), BRIEF
    rows = proxy_rows(len(table), settings, 0)
    assert rows is not None
    outside = np.setdiff1d(np.arange(len(table)), rows)
    density = table.density.copy()
    density[outside[:5]] += 10
    changed = PointTable(table.points, table.features, density, None)
    one, two = (score_points(t, SMALL, "total", settings, TRAIN).residual for t in (table, changed))
    assert np.array_equal(np.delete(one, outside[:5]), np.delete(two, outside[:5]))
    assert (two[outside[:5]] > one[outside[:5]] + 1).all()


def test_a_smaller_network_can_score() -> None:
    settings = replace(BRIEF, proxy_width=8, proxy_depth=1)
    assert scoring_network(SMALL, settings) == replace(SMALL, width=8, depth=1)
    assert scoring_network(SMALL, BRIEF) == SMALL
    scores = score_points(make_table(), SMALL, "total", settings, TRAIN)
    assert scores.settings["network"]["width"] == 8
    assert scores.settings["network"]["depth"] == 1
    own = score_points(make_table(), replace(SMALL, width=8, depth=1), "total", BRIEF, TRAIN)
    assert np.array_equal(scores.grand, own.grand)


class NoWidth:
    """Settings of a network that has neither width nor depth, nor linear layers."""

    name = "flat"
    positive = False

    def build(self, n_inputs: int, generator: torch.Generator | None = None) -> torch.nn.Module:
        return torch.nn.Linear(n_inputs, 1)

    def as_dict(self) -> dict[str, object]:
        return {"network": self.name}


def test_refusals() -> None:
    with pytest.raises(InputError, match="'flat' has no width"):
        score_points(make_table(), NoWidth(), "total", replace(BRIEF, proxy_width=8), TRAIN)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="linear layers"):
        score_points(make_table(), NoWidth(), "total", BRIEF, TRAIN)  # type: ignore[arg-type]
    wild = replace(TRAIN, learning_rate=1e30)
    with pytest.raises(ConvergenceError, match="diverged"):
        score_points(make_table(), SMALL, "total", BRIEF, wild)


@pytest.mark.slow
def test_the_network_of_the_papers_scores_and_trains() -> None:
    network = MLPSettings(width=900, depth=12)
    table = make_table(128)
    train = replace(TRAIN, batch=64, learning_rate=1e-4)
    settings = ScoreSettings(initialisations=2, steps=2, checks=2, window=2, precision="float32", proxy=None)
    scores = score_points(table, network, "total", settings, train, kinds=KINDS)
    assert all(np.isfinite(column).all() and column.std() > 0 for column in scores.columns.values())
    target = Target.fit("total", table.density, None)
    data = TrainingData(table, FeatureScaler.fit(table.features), target, torch.device("cpu"))
    trainer = Trainer(network.build(4, torch_generator(0, "network")), data, replace(train, steps=20), seed=0)
    losses = [float(trainer.step()) for _ in range(trainer.total)]
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])
