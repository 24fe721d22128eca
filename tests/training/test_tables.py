"""Describing points: rows that belong together, in blocks, from memory or from a mapped file."""

from pathlib import Path

import numpy as np
import pytest

from nearsight.atomic.radial import RadialDensity
from nearsight.atomic.superposition import superpose
from nearsight.descriptors import PowerSpectrum
from nearsight.errors import InputError, UnknownElementError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.networks import MLPSettings
from nearsight.points import PointSet
from nearsight.structure import Structure
from nearsight.training import PointTable, TrainSettings, describe_points, train_model


def free_atom() -> RadialDensity:
    r = np.linspace(0, 5, 60)
    return RadialDensity(13, r, np.exp(-r) * (1 - r / 5) ** 2, 3.0, {})


class Source:
    """Three small snapshots on different grids."""

    def __init__(self, radial: dict[int, RadialDensity]) -> None:
        self.radial = radial
        rng = np.random.default_rng(0)
        self.fields = {}
        self.structures = {}
        for number, shape in ((2, (6, 5, 4)), (5, (5, 5, 5)), (9, (4, 6, 7))):
            cell = np.diag([7.0, 8.0, 7.5]) + rng.normal(size=(3, 3)) * 0.3
            self.structures[number] = Structure(cell, rng.random((4, 3)) @ cell, np.full(4, 13))
            grid = UniformGrid(cell, shape)
            self.fields[number] = ScalarField(grid, rng.random(shape))

    def structure(self, number: int) -> Structure:
        return self.structures[number]

    def density(self, number: int) -> ScalarField:
        return self.fields[number]


DESCRIPTOR = PowerSpectrum((13,), cutoff=5.0, channels=(3, 2))


def scattered_points() -> PointSet:
    """Points of all three snapshots in random order."""
    every = PointSet.all_of([9, 2, 5], [168, 120, 125])
    return every.take(np.random.default_rng(1).permutation(len(every))[:300])


def test_rows_belong_together_whatever_their_order() -> None:
    source, points = Source({13: free_atom()}), scattered_points()
    table = describe_points(source, DESCRIPTOR, points, block=7, threads=1)
    assert table.features.dtype == np.float32
    assert table.features.std() > 0
    assert table.rho_saed is not None
    for row in (0, 17, 211, 299):
        number, index = int(points.snapshot[row]), points.index[row : row + 1]
        structure, field = source.structure(number), source.density(number)
        expected = DESCRIPTOR.prepare(structure)(field.grid.points_at(index))[0]
        np.testing.assert_allclose(table.features[row], expected, rtol=1e-4, atol=1e-5)
        assert table.density[row] == field.values.ravel()[index[0]]
        atoms = superpose(structure, field.grid, source.radial).values.ravel()[index[0]]
        assert atoms > 0
        assert table.rho_saed[row] == pytest.approx(atoms, rel=1e-6)


def test_the_block_changes_nothing() -> None:
    source, points = Source({13: free_atom()}), scattered_points()
    one = describe_points(source, DESCRIPTOR, points, block=1000, threads=1)
    two = describe_points(source, DESCRIPTOR, points, block=13, threads=2)
    np.testing.assert_allclose(one.features, two.features, rtol=1e-4, atol=1e-5)
    assert np.array_equal(one.density, two.density)


def test_a_mapped_table_trains_the_same_and_leaves_nothing(tmp_path: Path) -> None:
    source, points = Source({13: free_atom()}), scattered_points()
    memory = describe_points(source, DESCRIPTOR, points, threads=1)
    mapped = describe_points(source, DESCRIPTOR, points, threads=1, memory_limit=100, folder=tmp_path)
    assert memory.in_memory
    assert not mapped.in_memory
    assert np.array_equal(memory.features, mapped.features)
    assert len(list(tmp_path.iterdir())) == 1
    result = train_model(
        mapped,
        memory,
        DESCRIPTOR,
        MLPSettings(width=8, depth=1),
        "difference",
        TrainSettings(steps=30, batch=32, threads=1),
        radial=source.radial,
        valence={13: 3.0},
        engine={},
        spacing=0.5,
    )
    assert result.steps == 30
    subset = mapped.take(np.array([3, 4]))
    assert subset.in_memory
    assert np.array_equal(subset.features, memory.features[3:5])
    del mapped
    assert list(tmp_path.iterdir()) == []


def test_without_radial_tables_there_is_no_superposition() -> None:
    table = describe_points(Source({}), DESCRIPTOR, scattered_points())
    assert table.rho_saed is None


def test_progress_counts_every_point() -> None:
    seen: list[tuple[int, int]] = []
    points = scattered_points()

    def progress(stage: str, done: int, total: int) -> None:
        seen.append((done, total))

    describe_points(Source({}), DESCRIPTOR, points, block=50, progress=progress)
    assert seen[0] == (0, 300)
    assert seen[-1] == (300, 300)


def test_refusals() -> None:
    source = Source({})
    outside = PointSet(np.array([2]), np.array([120]), np.ones(1))
    with pytest.raises(InputError, match="point 120 of snapshot 2"):
        describe_points(source, DESCRIPTOR, outside)
    with pytest.raises(UnknownElementError):
        describe_points(source, PowerSpectrum((29,)), scattered_points())
    points = scattered_points()
    with pytest.raises(InputError, match="one row a point"):
        PointTable(points, np.zeros((3, 2), np.float32), np.zeros(300), None)
    with pytest.raises(InputError, match="at least one point"):
        describe_points(source, DESCRIPTOR, points.take(np.empty(0, int)))
