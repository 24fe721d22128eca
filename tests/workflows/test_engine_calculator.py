from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr, Hartree

from nearsight.errors import InputError
from nearsight.io import read_frames
from nearsight.sampling import Recipe, make_calculator
from nearsight.structure import Structure
from nearsight.workflows.engine_calculator import EngineCalculator, engine_calculators
from nearsight.workflows.sample import sample


class Springs:
    """An engine whose atoms hang on springs of 0.3 Ha/bohr² at the origin."""

    def ground_state(self, structure: Structure, *, forces: bool) -> Any:
        assert forces
        r = structure.positions
        return SimpleNamespace(free_energy=0.15 * (r**2).sum(), forces=-0.3 * r)


def test_units() -> None:
    atoms = Atoms("AlAl", positions=[[0.1, 0, 0], [2.0, 0.3, 0]], cell=[6] * 3, pbc=True)
    atoms.calc = EngineCalculator(Springs())  # type: ignore[arg-type]
    energy = 0.15 * (atoms.positions**2).sum() / Bohr**2 * Hartree
    assert atoms.get_potential_energy() == pytest.approx(energy)
    forces = atoms.get_forces()
    step = 1e-4
    moved = atoms.copy()
    moved.positions[1, 0] += step
    moved.calc = atoms.calc
    slope = (moved.get_potential_energy() - energy) / step
    assert forces[1, 0] == pytest.approx(-slope, rel=1e-3)
    assert abs(forces[1, 0]) > 1.0


def test_every_engine_is_a_calculator() -> None:
    known = engine_calculators()
    assert "engine:lcao" in known
    made = make_calculator("engine:lcao", {"smearing_kelvin": 300.0}, known)
    assert isinstance(made, EngineCalculator)
    assert made.engine.fingerprint()["smearing_kelvin"] == 300.0
    with pytest.raises(InputError, match="unknown lcao setting 'smear'"):
        make_calculator("engine:lcao", {"smear": 1.0}, known)


def test_dynamics_on_the_embedded_engine(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Hydrogen, a few steps from rest near its bond length: it moves, and stays a molecule."""
    recipe = Recipe.model_validate(
        {
            "name": "aimd",
            "structure": {"kind": "molecule", "name": "H2", "vacuum": 1.6},
            "dynamics": {
                "calculator": "engine:lcao",
                "calculator_settings": {"spacing": 0.3, "threads": 1},
                "temperature_kelvin": 300,
                "timestep_fs": 0.5,
                "equilibration": 2,
                "interval": 2,
            },
            "trajectories": [{"name": "run", "split": "train", "frames": 2}],
        }
    )
    result = sample(recipe, tmp_path / "h2.extxyz")
    first, second = (f.structure.to_ase().get_distance(0, 1, mic=True) for f in read_frames(result.output))
    assert first != second
    assert 0.6 < min(first, second) < max(first, second) < 0.95
    assert result.decorrelation.consecutive is not None
    assert result.decorrelation.consecutive > 0
    assert len(result.warnings) == 1
    np.testing.assert_array_equal([t.n_atoms for t in result.trajectories], [2])
