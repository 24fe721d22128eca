"""What every engine must do; plug-ins inherit the suite and pytest runs it.

>>> class TestMyEngine(EngineConformance):
...     @classmethod
...     def make_engine(cls):
...         return MyEngine()
"""

import json
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from nearsight.engines.protocol import Engine, GroundState
from nearsight.engines.self_consistency import superposed_atoms
from nearsight.errors import ChargeError, GridMismatchError, StructureError, UnknownElementError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure

#: keys that every fingerprint has
FINGERPRINT_KEYS = (
    "engine", "functional", "pseudopotentials", "basis", "smearing_kelvin", "spin", "k_points",
)  # fmt: skip
#: oganesson: an element that no engine has
_STRANGER = 118


class EngineConformance:
    """Suite of one engine: subclass it, name the subclass ``Test…`` and give `make_engine`.

    One ground state, of `make_structure` on the engine's default grid, serves all tests. Override the
    tolerances for an engine that converges less tightly.
    """

    #: agreement of energies that ought to be equal, hartree per atom
    energy_tolerance: ClassVar[float] = 1e-8
    #: effect of moving all atoms by a grid vector, hartree per atom
    translation_tolerance: ClassVar[float] = 1e-7
    #: integral of densities relative to the electron count
    charge_tolerance: ClassVar[float] = 1e-4

    engine: ClassVar[Engine]
    structure: ClassVar[Structure]
    state: ClassVar[GroundState]

    @classmethod
    def make_engine(cls) -> Engine:
        """The engine under test."""
        raise NotImplementedError("an engine's suite says how to make the engine")

    @classmethod
    def make_structure(cls) -> Structure:
        """Two unlike displacements of aluminium in a small skewed cell: an even, metallic case."""
        cell = np.array([[5.4, 0.0, 0.0], [2.7, 4.8, 0.0], [0.3, 0.2, 8.9]])
        return Structure(cell, np.array([[0.1, 0.0, 0.2], [2.9, 1.8, 4.3]]), np.array([13, 13]))

    @classmethod
    def setup_class(cls) -> None:
        """Solve once for all tests of the suite."""
        cls.engine = cls.make_engine()
        cls.structure = cls.make_structure()
        cls.state = cls.engine.ground_state(cls.structure)

    # -- what it says of itself -----------------------------------------------------------------

    def test_keeps_the_protocol(self) -> None:
        """All attributes and methods are there."""
        assert isinstance(self.engine, Engine)

    def test_fingerprint_is_complete_and_json(self) -> None:
        """Every key, and nothing that JSON would change."""
        fingerprint = self.engine.fingerprint()
        assert set(FINGERPRINT_KEYS) <= set(fingerprint)
        assert fingerprint["engine"] == self.engine.name
        assert json.loads(json.dumps(fingerprint)) == fingerprint

    def test_fingerprint_makes_the_same_engine(self) -> None:
        """A data set's engine can be made again."""
        fingerprint = self.engine.fingerprint()
        assert type(self.engine).from_fingerprint(fingerprint).fingerprint() == fingerprint

    def test_settings_are_optional(self) -> None:
        """An engine has defaults for everything."""
        assert type(self.engine).from_settings({}).name == self.engine.name

    def test_default_grid_has_the_structures_cell(self) -> None:
        """And it is what `ground_state` uses."""
        grid = self.engine.default_grid(self.structure)
        np.testing.assert_allclose(grid.cell, self.structure.cell)
        assert self.state.density.grid.matches(grid)

    def test_free_atoms_hold_the_valence_electrons(self) -> None:
        """As many as the engine counts for the element."""
        for number in self.structure.species:
            atom = Structure(20 * np.eye(3), np.zeros((1, 3)), np.array([number]))
            table = self.engine.atomic_density(number)
            assert abs(table.integrate() - self.engine.n_electrons(atom)) < 1e-3

    # -- the ground state -----------------------------------------------------------------------

    def test_density_holds_the_electrons(self) -> None:
        """Without any rescaling."""
        n = self.engine.n_electrons(self.structure)
        assert self.state.n_electrons == n > 0
        assert abs(self.state.density.integrate() - n) < self.charge_tolerance * n

    def test_terms_add_up(self) -> None:
        """To the free energy, which is negative for bound electrons."""
        assert abs(sum(self.state.terms.values()) - self.state.free_energy) < 1e-9
        assert self.state.free_energy < 0

    def test_occupations_hold_the_electrons(self) -> None:
        """States ascend, and none holds more than two."""
        occupations, points = self.state.occupations, self.state.k_points
        assert occupations.shape == self.state.eigenvalues.shape == (len(points), occupations.shape[1])
        assert (np.diff(self.state.eigenvalues, axis=1) >= -1e-10).all()
        assert occupations.min() >= 0
        assert occupations.max() <= 2
        assert abs(points.weights.sum() - 1) < 1e-12
        assert abs(points.weights @ occupations.sum(axis=1) - self.state.n_electrons) < 1e-6

    def test_forces_are_there_and_add_up_to_nothing(self) -> None:
        """The net force is removed."""
        forces = self.state.forces
        assert forces is not None
        assert forces.shape == self.structure.positions.shape
        assert np.abs(forces).max() > 1e-4, "the structure is not at rest"
        np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-8)

    def test_moving_by_a_grid_vector_changes_nothing(self) -> None:
        """The grid's own symmetry."""
        step = (self.structure.cell / np.array(self.state.density.grid.shape)[:, None]).sum(axis=0)
        moved = Structure(self.structure.cell, self.structure.positions + 3 * step, self.structure.numbers)
        energy = self.engine.ground_state(moved, self.state.density.grid, forces=False).free_energy
        assert abs(energy - self.state.free_energy) / moved.n_atoms < self.translation_tolerance

    # -- the energy of any density --------------------------------------------------------------

    def test_harris_energy_of_the_ground_state_is_its_energy(self) -> None:
        """And its output density is the input."""
        found = self.engine.harris(self.structure, self.state.density, output_density=True)
        difference = abs(found.free_energy - self.state.free_energy) / self.structure.n_atoms
        assert difference < self.energy_tolerance
        assert abs(sum(found.terms.values()) - found.free_energy) < 1e-9
        assert found.density is not None
        error = np.abs(found.density.values - self.state.density.values).sum() * found.density.grid.dv
        assert error < 1e-3 * self.state.n_electrons

    def test_harris_error_is_second_order(self) -> None:
        """Half the deviation, a quarter of the error."""
        rho = self.state.density
        away = self._superposition() - rho
        errors = [
            self.engine.harris(self.structure, rho + away * factor).free_energy - self.state.free_energy
            for factor in (0.1, 0.05)
        ]
        assert abs(errors[0]) > 1e-7, "the deviation is too small to show anything"
        assert 3.4 < errors[0] / errors[1] < 4.6

    def test_harris_works_on_the_grid_the_density_comes_on(self) -> None:
        """Not only on the default one."""
        n1, n2, n3 = self.state.density.grid.shape
        finer = self.state.density.resampled((n1 + 4, n2 + 4, n3 + 4))
        energy = self.engine.harris(self.structure, finer).free_energy
        assert abs(energy - self.state.free_energy) / self.structure.n_atoms < 1e-3

    # -- refusals -------------------------------------------------------------------------------

    def test_refuses_a_density_of_another_cell(self) -> None:
        """`GridMismatchError`."""
        other = ScalarField(
            UniformGrid(self.structure.cell * 1.1, self.state.density.grid.shape),
            self.state.density.values / 1.1**3,
        )
        _refuses(GridMismatchError, lambda: self.engine.harris(self.structure, other))

    def test_refuses_a_density_of_another_charge(self) -> None:
        """`ChargeError`."""
        _refuses(ChargeError, lambda: self.engine.harris(self.structure, self.state.density * 1.2))

    def test_refuses_unknown_elements(self) -> None:
        """`UnknownElementError`."""
        alien = Structure(self.structure.cell, np.zeros((1, 3)), np.array([_STRANGER]))
        _refuses(UnknownElementError, lambda: self.engine.n_electrons(alien))
        _refuses(UnknownElementError, lambda: self.engine.ground_state(alien))

    def test_refuses_atoms_on_top_of_each_other(self) -> None:
        """`StructureError`."""
        positions = np.repeat(self.structure.positions[:1], 2, axis=0) + np.array([[0.0] * 3, [0.1] * 3])
        pair = Structure(self.structure.cell, positions, self.structure.numbers[:1].repeat(2))
        _refuses(StructureError, lambda: self.engine.ground_state(pair))

    def _superposition(self) -> ScalarField:
        return superposed_atoms(self.engine, self.structure, self.state.density.grid)


def _refuses(error: type[Exception], call: Callable[[], Any]) -> None:
    """Assert that a call raises an error whose message is one line."""
    message = None
    try:
        call()
    except error as refusal:
        message = str(refusal)
    assert message is not None, f"no {error.__name__} was raised"
    assert message, "an error says what is wrong"
    assert "\n" not in message, "a message is one line"
