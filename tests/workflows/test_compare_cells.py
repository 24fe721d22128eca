import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from ase.build import bulk

sys.path.insert(0, str(Path(__file__).parent))

from synthetic_study import make_data  # type: ignore[import-not-found]

from nearsight.cli.compare_cells import compare_cells as command
from nearsight.errors import InputError, UnknownElementError
from nearsight.io.extxyz import Frame, write_frames
from nearsight.structure import Structure
from nearsight.workflows.compare_cells import compare_cells
from nearsight.workflows.compare_cells_figure import cell_figure


def cells(repeat, n, seed, *, shake=0.15, formula="Al"):
    found = []
    for k in range(n):
        atoms = bulk(formula, "fcc", a=4.05, cubic=True) * ((repeat,) * 3)
        atoms.rattle(shake, seed=seed + k)
        found.append(Structure.from_ase(atoms))
    return found


def test_cells_alike_are_covered_but_for_chance():
    """The same independent displacements in small and large cells: neighbourhoods do not differ."""
    found = compare_cells(cells(2, 8, 0), cells(3, 3, 100), n_points=3000)
    assert 0.002 < found.outside.share < 0.025
    assert found.mean_ratio == pytest.approx(1.0, abs=0.05)
    for group in found.groups:
        assert group.mean < 1.5 * group.own_mean
    assert "1 % would be chance" in found.verdict


def test_hotter_cells_lie_outside():
    found = compare_cells(cells(2, 8, 0), cells(3, 3, 100, shake=0.5), n_points=3000)
    assert found.outside.share > 0.05
    assert found.mean_ratio > 1.1
    for group in found.groups:
        assert group.mean > 1.5 * group.own_mean
    assert found.standard_error is not None
    assert found.large_shares.mean() == pytest.approx(found.outside.share)


def test_groups_and_names_of_a_descriptor():
    settings = {"name": "scalar_products", "n_neighbours": 5, "n_angular": 2, "n_partners": 3}
    found = compare_cells(cells(2, 2, 0), cells(2, 2, 9), settings, n_points=200)
    assert [(g.name, g.n_features) for g in found.groups] == [("distances", 5), ("cosines", 6)]
    assert found.names[0] == "distance to Al 1 (bohr)"
    other = compare_cells(cells(2, 2, 0), cells(2, 2, 9), {"name": "local_frame"}, n_points=200)
    assert [(g.name, g.n_features) for g in other.groups] == [("features", 80)]


def test_the_same_seed_repeats_a_comparison():
    one, two = (
        compare_cells(cells(2, 3, 0), cells(2, 2, 9), n_points=300, seed=4).as_json() for _ in range(2)
    )
    assert one == two
    assert json.loads(json.dumps(one)) == one


def test_files_and_data_sets_without_their_test_snapshots(tmp_path):
    data = make_data(tmp_path / "data.zarr")
    frames = [Frame(s, f"f{i}", f"t{i}", split) for i, (s, split) in enumerate(
        zip(cells(2, 3, 0), ("train", "validation", "test"), strict=True)
    )]  # fmt: skip
    write_frames(tmp_path / "large.extxyz", frames)
    found = compare_cells(data.path, tmp_path / "large.extxyz", n_points=300)
    assert (found.small_snapshots, found.large_snapshots) == (3, 2)
    command(
        data.path, tmp_path / "large.extxyz", descriptor="local_frame", points=300,
        figure=tmp_path / "cells.svg", json=str(tmp_path / "cells.json"), quiet=True,
    )  # fmt: skip
    written = json.loads((tmp_path / "cells.json").read_text())
    assert written["descriptor"]["name"] == "local_frame"
    assert 0 <= written["share_outside"] <= 1
    ElementTree.parse(tmp_path / "cells.svg")


def test_the_figure_is_plain_svg_with_named_axes():
    found = compare_cells(cells(2, 2, 0), cells(2, 2, 9), n_points=400)
    text = cell_figure(found)
    root = ElementTree.fromstring(text)
    words = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert found.verdict in words
    assert words.count("probability density (1/bohr)") == 3
    assert words.count("probability density") == 3
    assert sum("cosine" in (word or "") for word in words) == 3
    assert "href" not in text
    # each histogram holds all but a few points of its set
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 12


def test_a_constant_feature_can_be_drawn():
    """Species that never occur make constant features."""
    settings = {"name": "scalar_products", "species": [6, 13], "n_neighbours": 2, "n_angular": 1}
    found = compare_cells(cells(2, 2, 0), cells(2, 2, 9), settings, n_points=200)
    assert np.isfinite(found.outside.large).all()
    ElementTree.fromstring(cell_figure(found))


def test_what_cannot_be_compared_is_refused(tmp_path):
    with pytest.raises(InputError, match="at least two"):
        compare_cells(cells(2, 1, 0), cells(2, 2, 9))
    with pytest.raises(InputError, match="too few"):
        compare_cells(cells(2, 2, 0), cells(2, 2, 9), n_points=15)
    with pytest.raises(InputError, match="own descriptor"):
        compare_cells(cells(2, 2, 0), cells(2, 2, 9), {"name": "local_frame"}, model=tmp_path / "m.nst")
    with pytest.raises(UnknownElementError, match="Cu"):
        compare_cells(cells(2, 2, 0), cells(2, 2, 9, formula="Cu"), n_points=200)
