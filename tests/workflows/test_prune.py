"""Pruning: every method gets what it needs, and streaming changes no choice."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from synthetic_study import TRAIN, make_data  # type: ignore[import-not-found]

from nearsight.coreset.protocol import METHODS, Candidates, Selection
from nearsight.store import Dataset, read_coreset
from nearsight.workflows.building import build_selection
from nearsight.workflows.candidates import density_at, gradient_at, score_kinds, standardise
from nearsight.workflows.config import Config
from nearsight.workflows.material import training_points
from nearsight.workflows.prune import prune

CONFIG = Config.model_validate(TRAIN)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_data(tmp_path_factory.mktemp("data") / "data.zarr")


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_prunes(data: Dataset, tmp_path: Path, name: str) -> None:
    method = build_selection(name, {})
    result = prune(data, tmp_path / "core.zarr", method, 0.02, CONFIG, seed=3)
    coreset = read_coreset(tmp_path / "core.zarr")
    points = coreset.points
    assert 0 < len(points) <= round(0.02 * result.n_available)
    assert set(np.unique(points.snapshot)) <= set(data.snapshots("train"))
    np.testing.assert_array_equal(coreset.density, density_at(data, points))
    assert (result.seconds["scoring"] > 0) == bool(score_kinds(method.needs))
    assert (coreset.method["scoring"] is None) == (not score_kinds(method.needs))


class Spy:
    """A method that keeps the first points and what it was offered."""

    name = "spy"

    def __init__(self, *needs: str) -> None:
        self.needs = frozenset(needs)

    def select(self, candidates: Candidates, n_keep: int, rng: np.random.Generator) -> Selection:
        self.offered = candidates
        # the features go when the choice is made
        self.features = None if candidates.features is None else np.array(candidates.features)
        return Selection(np.arange(n_keep))


def test_a_method_gets_what_it_needs_and_nothing_else(data: Dataset, tmp_path: Path) -> None:
    spy = Spy("gradient", "snapshot", "residual")
    prune(data, tmp_path / "core.zarr", spy, 0.1, CONFIG)
    offered, points = spy.offered, training_points(data)
    assert offered.features is None
    assert offered.density is None
    assert list(offered.scores) == ["residual"]
    np.testing.assert_array_equal(offered.snapshot, points.snapshot)
    np.testing.assert_allclose(offered.gradient, gradient_at(data, points))


def test_scores_are_the_same_with_and_without_a_table_of_features(data: Dataset, tmp_path: Path) -> None:
    streamed, held = Spy("grand", "leverage"), Spy("grand", "leverage", "features")
    for spy in (streamed, held):
        prune(data, tmp_path / "core.zarr", spy, 0.1, CONFIG)
    assert streamed.offered.features is None
    for kind in ("grand", "leverage"):
        scores = held.offered.scores[kind]
        assert scores.std() > 0.01 * scores.mean() > 0
        np.testing.assert_allclose(streamed.offered.scores[kind], scores, rtol=1e-3)
    assert held.features is not None
    varied = held.features.std(axis=0) > 0
    assert varied.sum() > 3
    np.testing.assert_allclose(held.features.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(held.features.std(axis=0)[varied], 1, atol=1e-3)


def test_the_gradient_is_that_of_a_wave(data: Dataset) -> None:
    points = training_points(data)
    some = points.take(np.array([5, 3000, 17]))
    number = int(some.snapshot[1])
    expected = np.linalg.norm(data.density(number).gradient(), axis=0).ravel()[some.index[1]]
    assert expected > 0
    assert gradient_at(data, some)[1] == expected


def test_standardising_in_place_is_standardising(data: Dataset) -> None:
    from nearsight.model.scaler import FeatureScaler

    features = np.random.default_rng(0).normal(2, 3, (1000, 4)).astype(np.float32)
    scaler = FeatureScaler.fit(features)
    copied = standardise(features, scaler, np.empty_like(features))
    assert standardise(features, scaler, features) is features
    np.testing.assert_array_equal(copied, features)
