"""Acquisition: what is chosen and why, what is left out, and the identities behind it."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk

sys.path.insert(0, str(Path(__file__).parent))

from probe_engine import ProbeEngine, ProbeSettings  # type: ignore[import-not-found]

from nearsight.errors import InputError
from nearsight.io.extxyz import Frame, read_frames, write_frames
from nearsight.model.density_model import DensityModel
from nearsight.networks.last_layer import LastLayer
from nearsight.store import Dataset
from nearsight.structure import Structure
from nearsight.workflows.acquire import acquire
from nearsight.workflows.acquisition_scores import (
    epistemic_factors,
    random_features,
    uncertainty_at,
)
from nearsight.workflows.acquisition_survey import by_new_elements
from nearsight.workflows.config import Config
from nearsight.workflows.label import label
from nearsight.workflows.material import INDEPENDENT_VOLUME
from nearsight.workflows.train import train

SMALL = {"width": 12, "depth": 2}
TRAINING = {"steps": 60, "batch": 256, "checks": 3, "threads": 1, "precision": "float32", "device": "cpu"}
DESCRIPTOR = {"name": "power_spectrum", "cutoff": 6.0, "channels": (3, 2, 2)}


def frame(symbol: str, a: float, seed: int, *, split: str = "train", name: str | None = None) -> Frame:
    atoms = bulk(symbol, "fcc", a=a, cubic=True)
    atoms.set_initial_magnetic_moments(None)
    atoms.rattle(0.05, seed=seed)
    name = name or f"{symbol}-{a}-{seed}"
    return Frame(Structure.from_ase(atoms), name, name, split, {"temperature_K": 300})


def config(**network: object) -> Config:
    return Config(descriptor=DESCRIPTOR, network=network, training=TRAINING, validation_points=200)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("acquire")
    (folder / "notes").mkdir()
    frames = [frame("Al", 4.05, seed) for seed in range(4)]
    frames += [frame("Cu", 4.05, 4), frame("Al", 4.05, 5, split="validation")]
    label(frames, folder / "data.zarr", ProbeEngine(ProbeSettings(str(folder / "notes"))))
    return folder / "data.zarr"


@pytest.fixture(scope="module")
def model(data: Path) -> DensityModel:
    return train(data, config=config(name="last_layer", inner=SMALL)).model


@pytest.fixture(scope="module")
def plain(data: Path) -> DensityModel:
    return train(data, config=config(name="mlp", **SMALL)).model


@pytest.fixture(scope="module")
def candidates() -> list[Frame]:
    """Near copies of what is labelled, and one that was pressed together."""
    pressed = frame("Al", 3.5, 30, name="pressed")
    return [frame("Al", 4.05, seed) for seed in range(20, 25)] + [pressed, frame("Al", 4.05, 25)]


@pytest.mark.parametrize("by", ["coverage", "both"])
def test_the_odd_one_comes_first(by: str, model: DensityModel, candidates: list[Frame], data: Path) -> None:
    result = acquire(model, candidates, n=3, by=by, points=60, data=data)
    first = result.chosen[0]
    assert (first.label, first.rank, first.reason, first.number) == ("pressed", 1, by, 5)
    assert len(set(result.numbers)) == 3
    assert [c.rank for c in result.chosen] == [1, 2, 3]
    assert sorted(result.numbers + [c.number for c in result.others]) == list(range(7))
    everyone = result.chosen + result.others
    assert max(everyone, key=lambda c: c.distance or 0.0).label == "pressed"
    assert all(c.share_above is not None and 0 <= c.share_above <= 1 for c in everyone)
    assert first.score is not None
    assert first.score > 0


def test_the_order_of_the_candidates_does_not_matter(
    model: DensityModel, candidates: list[Frame], data: Path
) -> None:
    for by in ("epistemic", "coverage", "both"):
        one = acquire(model, candidates, n=4, by=by, points=40, data=data)
        two = acquire(model, candidates[::-1], n=4, by=by, points=40, data=data)
        assert [c.label for c in one.chosen] == [c.label for c in two.chosen]


def test_the_file_keeps_all_that_was_known(
    model: DensityModel, candidates: list[Frame], tmp_path: Path
) -> None:
    write_frames(tmp_path / "all.extxyz", candidates)
    result = acquire(model, tmp_path / "all.extxyz", tmp_path / "chosen.extxyz", n=2, points=40)
    written = read_frames(tmp_path / "chosen.extxyz")
    assert [f.label for f in written] == [c.label for c in result.chosen]
    for rank, (found, chosen) in enumerate(zip(written, result.chosen, strict=True), 1):
        given = candidates[chosen.number]
        np.testing.assert_allclose(found.structure.positions, given.structure.positions, atol=1e-6)
        assert (found.trajectory, found.split) == (given.trajectory, given.split)
        assert found.info["temperature_K"] == 300
        assert found.info["acquire_rank"] == rank
        assert found.info["acquire_score"] == pytest.approx(chosen.score)
        assert found.info["acquire_by"] == result.by


def test_what_is_left_out(model: DensityModel, candidates: list[Frame], data: Path) -> None:
    dataset = Dataset.open(data)
    known = Frame(dataset.structure(1), "known", "elsewhere", "train")
    ghost = bulk("Al", "fcc", a=4.05, cubic=True)
    ghost.positions[1] = ghost.positions[0] + 0.01
    wrong = Frame(Structure.from_ase(ghost), "ghost", "ghost", "train")
    offered = [
        known,
        replace(candidates[0], split="test"),
        wrong,
        candidates[1],
        candidates[1],
        candidates[2],
    ]
    result = acquire(model, offered, n=2, points=20, data=dataset)
    assert sorted(result.numbers) == [3, 5]
    assert len(result.notes) == 4
    said = " ".join(result.notes)
    for word in ("labelled already: known", "meant for test", "on top of each other: ghost", "given twice"):
        assert word in said
    with pytest.raises(InputError, match=r"cannot choose 3 of 2 candidate structures \(6 given\)"):
        acquire(model, offered, n=3, points=20, data=dataset)


def test_new_elements_come_first(model: DensityModel, candidates: list[Frame]) -> None:
    silver, gold = frame("Ag", 4.1, 0), frame("Au", 4.1, 1)
    mixed = frame("Au", 4.1, 2, name="mixed")
    numbers = np.array([47, 79, 79, 13])
    mixed = replace(mixed, structure=replace(mixed.structure, numbers=numbers))
    result = acquire(model, [*candidates, silver, gold, mixed], n=3, by="epistemic", points=20)
    assert [c.label for c in result.chosen][:1] == ["mixed"]
    assert [c.reason for c in result.chosen] == ["new element", "epistemic", "epistemic"]
    assert result.chosen[0].score == 2
    assert result.chosen[0].sigma is None
    assert any("3 candidates hold Ag, Au, which the model never saw" in note for note in result.notes)
    only = acquire(model, [silver, gold, frame("Ag", 4.2, 5)], n=3, by="coverage", points=20)
    assert sorted(c.reason or "" for c in only.chosen) == ["new element", "new element", "not described"]


def test_few_structures_hold_all_new_elements() -> None:
    cell = 10.0 * np.eye(3)
    made = [
        Structure(cell, np.arange(3 * len(z)).reshape(-1, 3) * 1.5, np.array(z))
        for z in ([14, 14], [14, 32], [50], [32, 50, 14, 14], [32, 32, 50, 50])
    ]
    assert by_new_elements(made, (14,)) == [(4, 2)]
    assert by_new_elements(made, ()) == [(3, 3)]
    assert by_new_elements(made[:3], ()) == [(1, 2), (2, 1)]
    assert by_new_elements(made, (14, 32, 50)) == []


def test_a_model_without_uncertainty(plain: DensityModel, candidates: list[Frame]) -> None:
    with pytest.raises(
        InputError, match="'mlp' states no uncertainty to rank structures by; use --by coverage"
    ):
        acquire(plain, candidates, n=2, by="both")
    result = acquire(plain, candidates, n=7, by="coverage", points=40)
    assert result.numbers.index(5) <= 1  # the first lies in the middle of all
    assert all(c.sigma is None and c.distance is None for c in result.chosen)
    assert result.notes == ["no labelled data was given (--data): the choice covers the candidates alone"]


def test_rules_and_counts_that_are_not_there(model: DensityModel, candidates: list[Frame]) -> None:
    with pytest.raises(InputError, match="by coverage, both, epistemic, random, not by 'magic'"):
        acquire(model, candidates, by="magic")
    with pytest.raises(InputError, match="at least 2 random points"):
        acquire(model, candidates, points=1)


def test_factors_hold_the_variance_and_labels_lower_it(model: DensityModel, candidates: list[Frame]) -> None:
    network = model.network
    assert isinstance(network, LastLayer)
    structures = [f.structure for f in candidates]
    features = random_features(model.descriptor, structures, 30)
    groups = (features - model.scaler.mean) / model.scaler.std
    volumes = np.array([s.volume for s in structures])
    model = replace(model, calibration={"epistemic": 2.5, "aleatoric": 0.5})
    found = uncertainty_at(model, features, volumes)
    assert found.factors is not None
    x = torch.from_numpy(groups.reshape(-1, groups.shape[2]))
    stated = network.moments(x)
    scale = model.target.scale
    np.testing.assert_allclose(found.sigma.ravel() ** 2, 2.5 * scale**2 * stated.epistemic, rtol=1e-3)
    np.testing.assert_allclose((found.factors**2).sum(axis=2), found.sigma**2, rtol=0.1)

    # the fall that acquisition expects is what a last layer with these labels would state
    one = acquire(model, candidates, n=1, by="epistemic", points=30)
    mine = torch.from_numpy(groups[one.numbers[0]])
    learned = LastLayer(network.settings, network.inner)  # type: ignore[arg-type]
    phi = network.features(mine).double()
    share = volumes[one.numbers[0]] / INDEPENDENT_VOLUME / len(phi)
    noise = network.moments(mine).aleatoric.double()
    # calibrated: prior variance times 2.5, noise halved
    extra = share * phi.T @ (phi / noise[:, None]) * 2.5 / 0.5
    learned._tensors = dict(network._tensors)
    learned.set_precision(network.precision + extra)
    after = 2.5 * scale**2 * float(learned.moments(x).epistemic.mean())
    assert after < 0.999 * (found.sigma**2).mean()
    assert one.chosen[0].score == pytest.approx((found.sigma**2).mean() - after, rel=0.1)


def test_few_members_give_no_joint_distribution(
    data: Path, candidates: list[Frame], model: DensityModel
) -> None:
    ensemble = train(data, config=config(name="ensemble", members=2, member=SMALL)).model
    assert epistemic_factors(ensemble.network, torch.zeros(3, ensemble.descriptor.n_features)) is None
    one = acquire(ensemble, candidates, n=3, by="epistemic", points=40, data=data)
    two = acquire(ensemble, candidates, n=3, by="both", points=40, data=data)
    assert one.numbers == two.numbers
    assert one.chosen[0].label == "pressed"
