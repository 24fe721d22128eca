"""``nearsight predict`` with a model that knows its uncertainty, and one that does not."""

from pathlib import Path

import ase.build
import ase.io
import numpy as np
import pytest
import torch

from nearsight.descriptors import PowerSpectrum
from nearsight.io import read_uncertainty
from nearsight.model import DensityModel, FeatureScaler, Target, save_model
from nearsight.networks import EnsembleSettings


def save(path: Path, members: int) -> None:
    descriptor = PowerSpectrum((13,), cutoff=6.0, channels=(3, 2))
    n = descriptor.n_features
    network = EnsembleSettings(members, {"width": 8, "depth": 1}).build(n, torch.Generator().manual_seed(0))
    scaler, target = FeatureScaler(np.zeros(n), np.ones(n)), Target("total", 0.05, 0.02)
    save_model(DensityModel(descriptor, network, scaler, target, {}, {13: 3.0}, {}, 0.9), path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ase.io.write(tmp_path / "al.xyz", ase.build.bulk("Al", cubic=True), format="extxyz")
    save(tmp_path / "two.nst", 2)
    save(tmp_path / "one.nst", 1)
    return tmp_path


def test_the_table_and_the_json_tell_them(folder: Path, nearsight) -> None:  # type: ignore[no-untyped-def]
    arguments = ("predict", folder / "two.nst", folder / "al.xyz", "-o", folder / "rho.cube")
    ran = nearsight(*arguments, "--json", folder / "found.json")
    assert ran.code == 0, ran.err
    assert "epistemic σ" in ran.out
    assert "% of the" in ran.out
    assert "rho.epistemic.cube" in ran.out
    assert (folder / "rho.epistemic.cube").exists()
    told = nearsight(*arguments[:-1], folder / "rho.zarr", "--uncertainty", "--json", "-").json
    fields = read_uncertainty(folder / "rho.zarr")
    assert fields is not None
    assert told["uncertainty"]["epistemic"]["mean"] == pytest.approx(fields["epistemic"].values.mean())
    assert told["files"] == [str(folder / "rho.zarr")]


def test_it_can_be_left_out_and_cannot_be_asked_of_everyone(folder: Path, nearsight) -> None:  # type: ignore[no-untyped-def]
    arguments = (folder / "al.xyz", "-o", folder / "rho.cube")
    ran = nearsight("predict", folder / "two.nst", *arguments, "--no-uncertainty")
    assert ran.code == 0, ran.err
    assert "epistemic" not in ran.out
    assert not (folder / "rho.epistemic.cube").exists()
    refused = nearsight("predict", folder / "one.nst", *arguments, "--uncertainty")
    assert "states no uncertainty" in refused.error
    assert nearsight("predict", folder / "one.nst", *arguments).code == 0
