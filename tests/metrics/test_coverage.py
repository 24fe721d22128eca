"""Coverage against brute force, its invariances and limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nearsight.errors import InputError
from nearsight.metrics.coverage import coverage_distance, estimate_coverage, nearest_distances


def brute_force(held_out: np.ndarray, coreset: np.ndarray) -> np.ndarray:
    """Every distance, from differences in float64."""
    wide = held_out[:, None].astype(np.float64) - coreset[None].astype(np.float64)
    return np.linalg.norm(wide, axis=2).min(axis=1)


def cloud(seed: int, n: int, d: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def small_floats(n: int) -> st.SearchStrategy[np.ndarray]:
    """Points with many ties, repetitions and very different sizes."""
    numbers = st.sampled_from([0.0, 1e-20, 1e-7, 0.5, 1.0, 1.0 + 2.0**-22, -3.0, 400.0])
    return st.integers(2, n).flatmap(lambda m: hnp.arrays(np.float64, (m, 3), elements=numbers))


@given(held_out=small_floats(12), coreset=small_floats(15), block=st.integers(1, 20))
@settings(max_examples=200, deadline=None)
def test_every_distance_is_that_of_brute_force(held_out: np.ndarray, coreset: np.ndarray, block: int) -> None:
    found, expected = nearest_distances(held_out, coreset, block=block), brute_force(held_out, coreset)
    # centring rounds the points themselves, by 1e-16 of the largest
    assert np.abs(found - expected).max() <= 1e-12
    assert coverage_distance(held_out, coreset, block=block).mean == pytest.approx(
        expected.mean(), rel=1e-12, abs=1e-12
    )


@pytest.mark.parametrize("shift", [0.0, 3e3])
def test_cancellation_costs_nothing(shift: float) -> None:
    """Neighbours 1e-4 apart far from the origin: |x|² − 2 x·c + |c|² in float32 knows nothing of them."""
    rng = np.random.default_rng(0)
    centres = 30 * rng.standard_normal((40, 20))
    coreset = np.repeat(centres, 5, axis=0) + 1e-4 * rng.standard_normal((200, 20))
    held_out = centres + 1e-4 * rng.standard_normal(centres.shape)
    expected = brute_force(held_out, coreset)
    assert expected.max() < 1e-3
    found = nearest_distances(held_out + shift, coreset + shift, block=64)
    assert np.allclose(found, expected, rtol=1e-6 if shift else 1e-9)


def test_blocks_do_not_matter_and_float32_is_welcome() -> None:
    held_out, coreset = cloud(1, 100), cloud(2, 300)
    coreset[::50] *= 30  # norms that differ much: some blocks are out of reach
    expected = brute_force(held_out, coreset)
    for block in (1, 17, 64, 5000):
        assert np.allclose(nearest_distances(held_out, coreset, block=block), expected, rtol=1e-12)


def test_a_point_of_the_coreset_is_covered() -> None:
    coreset = cloud(3, 200, d=64)
    assert coverage_distance(coreset[::3], coreset, block=50).mean == 0.0


def test_one_dimension_has_its_analytic_value() -> None:
    """Coreset points 1 apart on a line cover uniform points at a mean distance of 1/4."""
    held_out = np.linspace(0, 10, 4001)[:-1, None]
    found = coverage_distance(held_out, np.arange(11.0)[:, None])
    assert found.mean == pytest.approx(0.25, rel=1e-3)
    # uniform on 0 … ½
    assert found.standard_error == pytest.approx(0.5 / np.sqrt(12 * 4000), rel=1e-3)
    assert found.n_held_out == 4000


def test_it_is_the_area_under_the_radius_that_covers_a_share() -> None:
    """AUC_pr as the paper defines it: r(p) integrated over the share p."""
    held_out, coreset = cloud(4, 400), cloud(5, 30)
    radii, distances = np.linspace(0, 10, 20001), brute_force(held_out, coreset)
    covered = np.array([(distances <= r).mean() for r in radii])
    assert covered[-1] == 1.0
    area = np.trapezoid(1 - covered, radii)  # ∫ r dp = ∫ (1 − p) dr
    assert coverage_distance(held_out, coreset).mean == pytest.approx(area, rel=1e-4)


@given(seed=st.integers(0, 500), factor=st.floats(0.01, 100))
@settings(max_examples=25, deadline=None)
def test_symmetries(seed: int, factor: float) -> None:
    held_out, coreset = cloud(seed, 40).astype(float), cloud(seed + 1, 30).astype(float)
    one = coverage_distance(held_out, coreset).mean
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((7, 7)))[0]
    assert one > 0
    assert coverage_distance(factor * held_out @ rotation, factor * coreset @ rotation).mean == (
        pytest.approx(factor * one)
    )
    more = np.concatenate([coreset, cloud(seed + 2, 10)])
    assert coverage_distance(held_out, more).mean <= one
    assert coverage_distance(held_out, coreset[::-1]).mean == pytest.approx(one, rel=1e-12)


def test_the_estimate_agrees_within_its_error() -> None:
    held_out, coreset = cloud(6, 20_000), cloud(7, 100)
    exact = coverage_distance(held_out, coreset)
    off = [
        (e.mean - exact.mean) / e.standard_error
        for seed in range(20)
        if (e := estimate_coverage(held_out, coreset, np.random.default_rng(seed), 500)).n_held_out == 500
    ]
    assert len(off) == 20
    assert 0.5 < np.sqrt(np.mean(np.square(off))) < 1.6
    all_of_them = estimate_coverage(held_out[:300], coreset, np.random.default_rng(0), 500)
    assert all_of_them == coverage_distance(held_out[:300], coreset)


def test_the_estimate_is_settled_by_the_seed() -> None:
    held_out, coreset = cloud(8, 3000), cloud(9, 50)
    one, two, other = (estimate_coverage(held_out, coreset, np.random.default_rng(s), 200) for s in (1, 1, 2))
    assert one == two
    assert one.mean != other.mean


def test_memory_maps_are_read(tmp_path) -> None:
    held_out, coreset = cloud(10, 500), cloud(11, 700)
    paths = [tmp_path / "held.npy", tmp_path / "core.npy"]
    for path, values in zip(paths, (held_out, coreset), strict=True):
        np.save(path, values)
    mapped = [np.load(path, mmap_mode="r") for path in paths]
    assert coverage_distance(*mapped, block=64) == coverage_distance(held_out, coreset, block=64)


@pytest.mark.parametrize(
    ("held_out", "coreset", "words"),
    [
        (np.ones((3, 2)), np.ones((3, 4)), "compares features"),
        (np.ones(3), np.ones((3, 1)), "compares features"),
        (np.ones((1, 2)), np.ones((3, 2)), "two held-out points"),
        (np.ones((3, 2)), np.ones((0, 2)), "a coreset point"),
        (np.array([[1.0, np.nan], [0, 0]]), np.ones((3, 2)), "held-out points are not all finite"),
        (np.ones((3, 2)), np.array([[1.0, np.inf]]), "coreset are not all finite"),
    ],
)
def test_what_cannot_be_covered_is_refused(held_out: np.ndarray, coreset: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        coverage_distance(held_out, coreset)


def test_settings_out_of_range() -> None:
    with pytest.raises(InputError, match="block"):
        coverage_distance(cloud(0, 3), cloud(0, 3), block=0)
    with pytest.raises(InputError, match="at least two points"):
        estimate_coverage(cloud(0, 3), cloud(0, 3), np.random.default_rng(0), 1)
