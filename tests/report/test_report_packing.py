"""Fields on their way into the page keep their values, their integral and their place."""

import base64
import json
import shutil
import subprocess
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nearsight.grid import UniformGrid
from nearsight.report import packing, read_field, read_study

CELL = np.array([[8.0, 0, 0], [3.0, 7.0, 0], [-1.0, 2.0, 9.0]])


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=3), elements=st.floats(-1e3, 1e3)))
def test_packing_loses_less_than_a_65000th_of_the_range(values):
    packed = packing.pack(values)
    error = np.abs(packing.unpack(packed) - values).max()
    assert error <= 0.51 * packed["step"] + 1e-9
    assert packed["step"] <= max((values.max() - values.min()) / 65000, 1.0 if np.ptp(values) == 0 else 0)
    assert len(base64.b64decode(packed["data"])) == 2 * values.size


@pytest.mark.parametrize("count", [1, 5, 42, 200, 1000])
def test_volumes_keep_to_their_budget(count):
    edge = packing.volume_edge(count)
    assert packing.FEWEST_POINTS <= edge <= packing.MOST_POINTS
    if edge > packing.FEWEST_POINTS:
        assert count * edge**3 * 8 / 3 <= packing.VOLUME_BUDGET


@pytest.mark.parametrize("shape", [(48, 48, 48), (20, 30, 90), (10, 12, 8)])
def test_coarse_volumes_keep_the_mean(shape):
    grid = UniformGrid(CELL, shape)
    fractional = grid.points() @ np.linalg.inv(CELL)
    values = (1.5 + np.cos(2 * np.pi * (fractional[:, 0] - fractional[:, 2]))).reshape(shape)
    small = packing.coarse(grid, values, 24)
    assert small.size <= 24**3
    assert small.shape == shape or small.size < values.size
    assert small.mean() == pytest.approx(1.5, abs=1e-9)
    assert small.max() == pytest.approx(2.5, abs=0.05)


def test_slices_of_an_ordinary_snapshot_pass_through_an_atom(with_fields):
    _, folder = with_fields
    study = read_study(folder)
    for entry in study.fields[:2]:
        data = read_field(folder, entry)
        truth = data.densities["truth"]
        grid = UniformGrid(data.cell, truth.shape)
        index, where = packing.anchor(data, grid)
        assert "atom" in where
        point = np.array(index) / grid.shape
        away = (data.positions @ np.linalg.inv(data.cell) - point + 0.5) % 1.0 - 0.5
        assert np.linalg.norm(away @ data.cell, axis=1).min() <= np.linalg.norm(grid.spacing)
        parts = [packing.unpack(part) for part in packing.slices(truth, index)]
        expected = (truth[:, :, index[2]], truth[:, index[1], :], truth[index[0], :, :])
        for part, right in zip(parts, expected, strict=True):
            assert np.ptp(right) > 0
            assert np.allclose(part, right, atol=1e-4 * np.ptp(truth))


def test_slices_of_a_vacancy_pass_through_it(with_fields):
    _, folder = with_fields
    data = read_field(folder, read_study(folder).fields[2])
    index, where = packing.anchor(data, UniformGrid(data.cell, data.densities["truth"].shape))
    assert "farthest" in where
    site = np.array([0.25, 0.75, 0.5])  # atom 13 of the perfect crystal, which the fixture removes
    away = (np.array(index) / data.densities["truth"].shape - site + 0.5) % 1.0 - 0.5
    assert np.linalg.norm(away @ data.cell) < 2.0


@pytest.mark.skipif(shutil.which("node") is None, reason="runs the page's JavaScript with node")
def test_surface_net_of_a_sphere_in_a_skewed_cell():
    n, radius = 24, 2.5
    grid = UniformGrid(CELL, (n, n, n))
    distance = np.linalg.norm(grid.points() - CELL.sum(0) / 2, axis=1)
    script = files("nearsight.report").joinpath("surface.js").read_text(encoding="utf-8")
    given = json.dumps({"values": (-distance).tolist(), "cell": CELL.tolist()})
    code = f"{script}\nconst d = {given};\nconst v = Float32Array.from(d.values);"
    code += f"console.log(JSON.stringify(surfaceNet(v, [{n}, {n}, {n}], {-radius}, d.cell)));"
    done = subprocess.run(["node", "-"], input=code, capture_output=True, text=True, check=True, timeout=60)
    mesh = json.loads(done.stdout)
    vertices = np.stack([mesh[k] for k in "xyz"], axis=1) - CELL.sum(0) / 2
    triangles = np.stack([mesh[k] for k in "ijk"], axis=1)
    assert len(vertices) > 300
    assert triangles.min() >= 0
    assert np.abs(np.linalg.norm(vertices, axis=1) - radius).max() < 0.15
    edges = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
    )
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert (counts == 2).all()  # closed
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6
    assert abs(volume) == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.05)


def test_a_vacancy_comes_to_the_middle_with_its_atoms():
    shape, index = (6, 8, 5), (1, 7, 4)
    fractional = np.array([index, (0, 0, 0), (5, 2, 3)]) / shape
    field = np.zeros(shape)
    field[index], field[5, 2, 3] = 1.0, 2.0
    moved, atoms, middle = packing.centred({"truth": field}, fractional, index)
    assert middle == (3, 4, 2)
    at = np.round(atoms * shape).astype(int) % shape
    assert tuple(at[0]) == middle
    assert [moved["truth"][tuple(a)] for a in at] == [1.0, 0.0, 2.0]
