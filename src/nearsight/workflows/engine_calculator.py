"""Kohn–Sham engines as ASE calculators, for ab-initio dynamics."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from nearsight.engines import ENGINES, Engine
from nearsight.sampling.calculators import CalculatorFactory
from nearsight.structure import Structure
from nearsight.units import BOHR_IN_ANGSTROM, HARTREE_IN_EV


class EngineCalculator(Calculator):
    """Energies and forces of an engine's ground state, one self-consistent solution a step.

    Parameters
    ----------
    engine : Engine

    Notes
    -----
    ``results`` holds ``energy`` and ``free_energy`` (eV; both are E − TS, which the forces differentiate)
    and ``forces`` (eV/Å).
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces"]

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Solve for `atoms`; fills ``results``."""
        super().calculate(atoms, properties, system_changes)
        state = self.engine.ground_state(Structure.from_ase(self.atoms), forces=True)
        energy = state.free_energy * HARTREE_IN_EV
        results: dict[str, Any] = {"energy": energy, "free_energy": energy}
        if state.forces is not None:
            results["forces"] = state.forces * HARTREE_IN_EV / BOHR_IN_ANGSTROM
        self.results = results


def engine_calculators() -> dict[str, CalculatorFactory]:
    """A calculator for every registered engine: ``engine:lcao`` and so on, with the engine's settings."""
    return {f"engine:{name}": _factory(name) for name in ENGINES}


def _factory(name: str) -> CalculatorFactory:
    def make(settings: Mapping[str, Any]) -> Calculator:
        return EngineCalculator(ENGINES[name].from_settings(settings))

    return make
