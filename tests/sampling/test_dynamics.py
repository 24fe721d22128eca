import sys
from importlib.util import find_spec

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, all_changes

from nearsight.errors import InputError, NearsightError, UnknownNameError
from nearsight.sampling import Dynamics, make_calculator, run_dynamics
from nearsight.sampling.calculators import require_forces
from nearsight.sampling.dynamics import draw_momenta


class Wells(Calculator):
    """Every atom in its own harmonic well: the canonical averages are known exactly."""

    implemented_properties = ("energy", "forces")

    def __init__(self, sites: np.ndarray, stiffness: float) -> None:
        super().__init__()
        self.sites, self.stiffness = sites, stiffness

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        away = self.atoms.positions - self.sites
        self.results = {"energy": self.stiffness * (away**2).sum() / 2, "forces": -self.stiffness * away}


def _wells(n: int = 4) -> Atoms:
    atoms = bulk("Al", cubic=True).repeat((n, n, n))
    atoms.calc = Wells(atoms.positions.copy(), 2.0)
    return atoms


def test_momenta_follow_maxwell_and_boltzmann() -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.6).repeat((10, 10, 10))
    draw_momenta(atoms, 400.0, np.random.default_rng(1))
    energies = atoms.get_momenta() ** 2 / atoms.get_masses()[:, None]
    for symbol in ("Na", "Cl"):
        assert energies[atoms.symbols == symbol].mean() == pytest.approx(units.kB * 400.0, rel=0.05)


def test_equipartition_in_wells() -> None:
    """⟨u²⟩ = kT/k per coordinate, up to the few that the resting centre of mass takes."""
    settings = Dynamics(
        temperature_kelvin=500.0, timestep_fs=2.0, friction_per_fs=0.02, equilibration=300, interval=30
    )
    atoms = _wells()
    sites = atoms.positions.copy()
    frames = list(run_dynamics(atoms, settings, 12, np.random.default_rng(2)))
    spread = np.mean([((f.atoms.positions - sites) ** 2).mean() for f in frames])
    assert spread == pytest.approx(units.kB * 500.0 / 2.0, rel=0.05)
    assert np.mean([f.kinetic_kelvin for f in frames]) == pytest.approx(500.0, rel=0.05)
    assert frames[0].equilibration.temperature_kelvin == pytest.approx(500.0, rel=0.1)
    assert frames[0].equilibration.equilibrated, frames[0].equilibration.failure
    for frame in frames:
        np.testing.assert_allclose((frame.atoms.positions - sites).mean(axis=0), 0.0, atol=1e-10)


def test_frames_repeat_with_the_seed() -> None:
    settings = Dynamics(temperature_kelvin=300.0, equilibration=20, interval=5)

    def run(seed: int) -> list[np.ndarray]:
        atoms = bulk("Al", cubic=True)
        atoms.calc = make_calculator("emt")
        return [f.atoms.positions for f in run_dynamics(atoms, settings, 3, np.random.default_rng(seed))]

    first, again, other = run(1), run(1), run(2)
    np.testing.assert_array_equal(first, again)
    assert np.abs(np.array(first) - np.array(other)).max() > 0.01
    assert np.abs(first[1] - first[0]).max() > 1e-3


def test_a_chain_keeps_the_temperature_of_few_atoms() -> None:
    """With the centre of mass at rest, 3N − 3 degrees of freedom share the energy, not 3N."""
    settings = Dynamics(
        temperature_kelvin=300.0, thermostat="nose-hoover", damping_fs=30.0, equilibration=1000
    )
    atoms = bulk("Al", cubic=True)
    atoms.calc = make_calculator("emt")
    (frame,) = run_dynamics(atoms, settings, 1, np.random.default_rng(4))
    assert frame.equilibration.temperature_kelvin == pytest.approx(300.0, rel=0.15)  # 3N would give 400 K


def test_relaxation_comes_first() -> None:
    atoms = bulk("Al", cubic=True).repeat((2, 2, 2))
    atoms.rattle(0.3, seed=3)
    atoms.calc = make_calculator("emt")
    before = atoms.get_potential_energy()
    settings = Dynamics(temperature_kelvin=1.0, relaxation=200, equilibration=0)
    (frame,) = run_dynamics(atoms, settings, 1, np.random.default_rng(0))
    frame.atoms.calc = make_calculator("emt")
    assert np.abs(frame.atoms.get_forces()).max() < 0.06
    assert frame.atoms.get_potential_energy() < before - 1.0
    assert "too few steps" in frame.equilibration.failure


def test_the_global_generator_is_untouched() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    atoms = _wells(1)
    list(
        run_dynamics(atoms, Dynamics(temperature_kelvin=300.0, equilibration=3), 1, np.random.default_rng(0))
    )
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_a_run_that_blows_up() -> None:
    atoms = _wells(1)
    settings = Dynamics(temperature_kelvin=300.0, timestep_fs=1e4, equilibration=200)
    with pytest.raises(NearsightError, match="shorter timestep_fs"), np.errstate(all="ignore"):
        list(run_dynamics(atoms, settings, 1, np.random.default_rng(0)))


def test_calculators_by_name() -> None:
    assert type(make_calculator("emt")).__name__ == "EMT"
    assert make_calculator("lj", {"epsilon": 2.0}).parameters["epsilon"] == 2.0
    with pytest.raises(UnknownNameError, match=r"no calculator 'magic'; known: chgnet.*emt"):
        make_calculator("magic")
    with pytest.raises(InputError, match="'gpaw' cannot be started"):
        make_calculator("gpaw", {"mode": "pw"})
    with pytest.raises(InputError, match="'tip3p' cannot be started"):
        make_calculator("tip3p", {"no_such_setting": 1})


def test_calculators_that_a_caller_brings() -> None:
    atoms = _wells(1)
    made = make_calculator("wells", {"stiffness": 3.0}, {"wells": lambda s: Wells(atoms.positions, **s)})
    assert isinstance(made, Wells)
    assert made.stiffness == 3.0


@pytest.mark.parametrize("name", ["mace", "matgl"])
def test_models_come_by_path(name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' needs calculator_settings: {{path: your model}}"):
        make_calculator(name)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tblite", None)
    monkeypatch.setitem(sys.modules, "tblite.ase", None)
    with pytest.raises(InputError, match="'tblite': the package tblite"):
        make_calculator("tblite")


@pytest.mark.skipif(find_spec("mace") is not None, reason="mace is installed")
def test_a_package_outside_the_extra_goes_by_its_own_name() -> None:
    with pytest.raises(InputError, match="the package mace-torch is missing; pip install mace-torch"):
        make_calculator("mace", {"path": "model"})


@pytest.mark.parametrize(("name", "formula"), [("chgnet", "SiGe"), ("tblite", "H2O")])
def test_optional_calculators_give_forces(name: str, formula: str) -> None:
    pytest.importorskip(name, reason=f"{name} is not installed")
    atoms = molecule("H2O", vacuum=3.0) if formula == "H2O" else bulk("SiGe", "zincblende", a=5.54)
    atoms.pbc = True
    atoms.rattle(0.05, seed=1)
    atoms.calc = make_calculator(name)
    forces = atoms.get_forces()
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-3)
    step = 1e-3 if name == "tblite" else 1e-2
    energies = []
    for sign in (1, -1):
        atoms.positions[0, 0] += sign * step
        energies.append(atoms.get_potential_energy())
        atoms.positions[0, 0] -= sign * step
    assert abs(forces[0, 0]) > 0.05
    assert (energies[1] - energies[0]) / (2 * step) == pytest.approx(forces[0, 0], rel=0.02)


def test_elements_that_a_calculator_lacks() -> None:
    atoms = bulk("Fe")
    atoms.calc = make_calculator("emt")
    with pytest.raises(InputError, match="'emt' gives no forces for Fe"):
        require_forces(atoms, "emt")
