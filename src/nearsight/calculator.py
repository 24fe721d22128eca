"""`NearsightCalculator`: energies of predicted densities as an ASE calculator."""

from pathlib import Path
from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from nearsight.engines.protocol import Engine
from nearsight.inference.predictor import predict_density
from nearsight.model.density_model import DensityModel
from nearsight.model.file import load_model
from nearsight.structure import Structure
from nearsight.units import HARTREE_IN_EV
from nearsight.workflows.compatibility import require_same_physics


class NearsightCalculator(Calculator):
    """Harris–Foulkes free energy of the predicted density: no self-consistency, one diagonalisation.

    Parameters
    ----------
    model : DensityModel or path
        The density model.
    engine : Engine
        Diagonalises once in the potential of the predicted density.
    force : bool
        Go on although model and engine differ in pseudopotentials or functional.

    Notes
    -----
    ``results`` holds ``energy`` and ``free_energy`` (eV; both are the Harris–Foulkes free energy E − TS,
    as the engine's smearing gives it) and ``density`` (a `ScalarField`, e/bohr³, on the engine's grid).
    Forces are not given: the Harris–Foulkes energy is second order in the density's error, its
    derivative is first order, and a force of that quality would mislead.

    Raises
    ------
    CompatibilityError
        Model and engine differ in their physics and `force` is off.
    UnknownElementError
        The structure holds an element that the model never saw.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy"]

    def __init__(self, model: DensityModel | Path | str, engine: Engine, *, force: bool = False) -> None:
        super().__init__()
        self.model = model if isinstance(model, DensityModel) else load_model(Path(model))
        self.engine = engine
        if not force:
            require_same_physics(self.model.engine, engine.fingerprint())

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Predict the density of `atoms` and take its Harris–Foulkes energy; fills ``results``."""
        super().calculate(atoms, properties, system_changes)
        structure = Structure.from_ase(self.atoms)
        density = predict_density(self.model, structure, self.engine.default_grid(structure)).density
        energy = self.engine.harris(structure, density).free_energy * HARTREE_IN_EV
        results: dict[str, Any] = {"energy": energy, "free_energy": energy, "density": density}
        self.results = results
