"""The GPAW adapter: what it says without GPAW, and what it computes where GPAW is found."""

import os
import shutil
import sys

import numpy as np
import pytest

from nearsight.engines import ENGINES
from nearsight.engines.conformance import EngineConformance
from nearsight.engines.gpaw import GpawEngine, GpawSettings
from nearsight.engines.gpaw.settings import PYTHON_VARIABLE, gpaw_python
from nearsight.errors import ConvergenceError, InputError, NearsightError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

GPAW = pytest.mark.gpaw
SKIP = pytest.mark.skipif(
    not shutil.which(os.environ.get(PYTHON_VARIABLE, "")),
    reason=f"{PYTHON_VARIABLE} names no Python with GPAW",
)
ALUMINIUM = EngineConformance.make_structure()
FLAT = ScalarField(UniformGrid(ALUMINIUM.cell, (8, 8, 8)), np.full((8, 8, 8), 6.0 / ALUMINIUM.volume))


def test_it_is_registered_and_says_how_to_get_the_program(monkeypatch):
    assert ENGINES["gpaw"] is GpawEngine
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install gpaw") as told:
        GpawEngine().ground_state(ALUMINIUM)
    assert "\n" not in str(told.value)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert gpaw_python(GpawSettings()) == sys.executable
    with pytest.raises(InputError, match="does not exist"):
        gpaw_python(GpawSettings(python="absent-python"))


def test_harris_energies_are_refused():
    with pytest.raises(InputError, match="GPAW cannot give the energy of a density"):
        GpawEngine().harris(ALUMINIUM, FLAT)


def test_pseudo_densities_are_flagged():
    engine = GpawEngine.from_settings({"k_points": [2, 2, 1], "ecut": 10})
    fingerprint = engine.fingerprint()
    assert fingerprint["pseudo_density"] is True
    assert GpawEngine.from_fingerprint(fingerprint).fingerprint() == fingerprint


@pytest.mark.parametrize(
    "wrong", [{"ecut": 0}, {"max_iterations": 0}, {"k_points": "dense"}, {"mode": "lcao"}]
)
def test_wrong_settings_are_one_line(wrong):
    with pytest.raises(InputError) as told:
        GpawEngine.from_settings(wrong)
    assert "\n" not in str(told.value)


def test_a_python_without_gpaw_is_quoted(tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'gpaw'\" >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(NearsightError, match=r"Python for GPAW, .* No module named 'gpaw'"):
        GpawEngine(GpawSettings(python=str(program))).n_electrons(ALUMINIUM)


# -- with GPAW -------------------------------------------------------------------------------------


@GPAW
@SKIP
class TestGpawEngine(EngineConformance):
    """All but the energies of densities, which GPAW does not have."""

    translation_tolerance = 1e-5

    @classmethod
    def make_engine(cls):
        return GpawEngine(GpawSettings(ecut=10.0))

    def test_harris_energy_of_the_ground_state_is_its_energy(self):
        with pytest.raises(InputError):
            self.engine.harris(self.structure, self.state.density)

    test_harris_error_is_second_order = None
    test_harris_works_on_the_grid_the_density_comes_on = None
    test_refuses_a_density_of_another_cell = None
    test_refuses_a_density_of_another_charge = None

    def test_density_is_close_to_the_superposed_atoms(self):
        atoms = self._superposition()
        error = np.abs(self.state.density.values - atoms.values).sum() * atoms.grid.dv
        assert 0.01 < error / self.state.n_electrons < 0.3


@GPAW
@SKIP
def test_k_points_and_forces():
    engine = GpawEngine(GpawSettings(ecut=10.0, k_points=[2, 2, 1]))
    state = engine.ground_state(ALUMINIUM)
    assert state.k_points.weights.sum() == pytest.approx(1)
    assert (state.occupations.sum(axis=1) * state.k_points.weights).sum() == pytest.approx(6, abs=1e-6)
    step = np.array([[0.0, 0.0, 0.01], [0.0, 0.0, 0.0]])
    energies = [
        engine.ground_state(
            Structure(ALUMINIUM.cell, ALUMINIUM.positions + sign * step, ALUMINIUM.numbers),
            state.density.grid,
            forces=False,
        ).free_energy
        for sign in (1, -1)
    ]
    assert state.forces[0, 2] == pytest.approx(-(energies[0] - energies[1]) / 0.02, abs=5e-4)


@GPAW
@SKIP
def test_too_few_iterations_are_told():
    with pytest.raises(ConvergenceError, match="did not converge in 2"):
        GpawEngine(GpawSettings(ecut=8.0, max_iterations=2)).ground_state(ALUMINIUM)
