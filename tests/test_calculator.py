"""The ASE calculator over a trained model."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

import nearsight as ns
from nearsight.errors import CompatibilityError, UnknownElementError
from nearsight.units import HARTREE_IN_EV


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ns.LcaoEngine]:
    """A model of 4-atom aluminium, briefly trained, and its engine."""
    folder = tmp_path_factory.mktemp("calculator")
    frames = []
    for seed in range(3):
        atoms = bulk("Al", cubic=True, a=4.05)
        atoms.rattle(0.05, seed=seed)
        atoms.info.update(trajectory=f"run-{seed}", split="validation" if seed == 2 else "train")
        frames.append(atoms)
    engine = ns.LcaoEngine(ns.LcaoSettings(spacing=0.5))
    ns.label(frames, folder / "al.zarr", engine)
    config = ns.Config(network={"width": 32, "depth": 2}, training={"steps": 300, "threads": 1})
    ns.train(folder / "al.zarr", folder / "al.nst", config)
    return folder / "al.nst", engine


def test_energy_is_harris_foulkes_of_the_prediction(trained: tuple[Path, ns.LcaoEngine]) -> None:
    path, engine = trained
    atoms = bulk("Al", cubic=True, a=4.05)
    atoms.rattle(0.05, seed=9)
    atoms.calc = ns.NearsightCalculator(path, engine)
    energy = atoms.get_potential_energy()
    structure = ns.Structure.from_ase(atoms)
    density = ns.predict_density(ns.load_model(path), structure, engine.default_grid(structure)).density
    np.testing.assert_allclose(
        energy, engine.harris(structure, density).free_energy * HARTREE_IN_EV, rtol=1e-12
    )
    truth = engine.ground_state(structure, forces=False).free_energy * HARTREE_IN_EV
    assert abs(energy - truth) / 4 < 0.03  # eV per atom, under chemical accuracy even for so small a model
    assert atoms.calc.results["density"].integrate() == pytest.approx(12)


def test_refuses_other_physics(trained: tuple[Path, ns.LcaoEngine]) -> None:
    path, _ = trained
    other = ns.LcaoEngine(ns.LcaoSettings(functional="LDA", pseudopotential="gth-pade"))
    with pytest.raises(CompatibilityError, match="pseudopotentials"):
        ns.NearsightCalculator(path, other)
    assert ns.NearsightCalculator(path, other, force=True).engine is other


def test_refuses_elements_it_never_saw(trained: tuple[Path, ns.LcaoEngine]) -> None:
    path, engine = trained
    atoms = bulk("Si", cubic=True)
    atoms.calc = ns.NearsightCalculator(path, engine)
    with pytest.raises(UnknownElementError, match="Si"):
        atoms.get_potential_energy()
