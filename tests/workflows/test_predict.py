"""`predict` writes the two uncertainties where the model knows them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nearsight.descriptors import PowerSpectrum
from nearsight.errors import InputError
from nearsight.io import read_snapshot, read_uncertainty
from nearsight.model import DensityModel, FeatureScaler, Target
from nearsight.networks import EnsembleSettings
from nearsight.structure import Structure
from nearsight.workflows.predict import predict

CELL = np.array([[9.0, 0, 0], [1.5, 8.0, 0], [0.5, -1, 8.5]])
STRUCTURE = Structure(CELL, np.array([[0.0, 0, 0], [4.5, 4, 4]]), np.full(2, 13))


def make_model(members: int = 2) -> DensityModel:
    descriptor = PowerSpectrum((13,), cutoff=6.0, channels=(3, 2))
    n = descriptor.n_features
    settings = EnsembleSettings(members, {"width": 8, "depth": 1})
    return DensityModel(
        descriptor=descriptor,
        network=settings.build(n, torch.Generator().manual_seed(0)),
        scaler=FeatureScaler(np.zeros(n), np.ones(n)),
        target=Target("total", 0.05, 0.02),
        radial={},
        valence={13: 3.0},
        engine={},
        spacing=0.9,
        calibration={"noise": 0.04},
    )


def test_written_whenever_they_are_known(tmp_path: Path) -> None:
    found = predict(make_model(), STRUCTURE, tmp_path / "rho.npz")
    assert found["files"] == [str(tmp_path / "rho.npz")]
    fields = read_uncertainty(tmp_path / "rho.npz")
    assert fields is not None
    density = read_snapshot(tmp_path / "rho.npz").density
    assert density.integrate() == pytest.approx(6.0)
    for kind in ("aleatoric", "epistemic"):
        told, values = found["uncertainty"][kind], fields[kind].values
        assert told["mean"] == pytest.approx(values.mean())
        assert told["max"] == pytest.approx(values.max())
        assert told["share_of_mean_density"] == pytest.approx(values.mean() / density.values.mean())
        assert told["mean"] > 0
    assert found["uncertainty"]["aleatoric"]["mean"] == pytest.approx(0.02 * 0.2 * found["factor"])
    plain = predict(make_model(), STRUCTURE, tmp_path / "rho.npz", uncertainty=False)
    assert plain["uncertainty"] is None
    assert read_uncertainty(tmp_path / "rho.npz") is None
    np.testing.assert_array_equal(read_snapshot(tmp_path / "rho.npz").density.values, density.values)


def test_files_beside_the_density_and_what_is_left_of_them(tmp_path: Path) -> None:
    found = predict(make_model(), STRUCTURE, tmp_path / "rho.cube")
    names = ["rho.cube", "rho.aleatoric.cube", "rho.epistemic.cube"]
    assert [Path(file).name for file in found["files"]] == names
    assert found["notes"] == []
    later = predict(make_model(1), STRUCTURE, tmp_path / "rho.cube")
    assert later["files"] == [str(tmp_path / "rho.cube")]
    assert [note.split()[0] for note in later["notes"]] == [str(tmp_path / name) for name in names[1:]]


def test_a_vasp_file_says_that_it_holds_deviation_times_volume(tmp_path: Path) -> None:
    notes = predict(make_model(), STRUCTURE, tmp_path / "CHGCAR")["notes"]
    assert any("times the cell volume" in note for note in notes)


def test_asking_a_model_that_does_not_know_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leave out --uncertainty"):
        predict(make_model(1), STRUCTURE, tmp_path / "rho.cube", uncertainty=True)
    assert list(tmp_path.iterdir()) == []
