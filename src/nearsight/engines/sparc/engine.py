"""`SparcEngine`: SPARC as an engine."""

import shlex
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from nearsight.engines.checks import require_cell, require_charge, require_right_handed
from nearsight.engines.external import run_program, workspace
from nearsight.engines.protocol import GroundState, NonSelfConsistent
from nearsight.engines.pseudopotential_engine import PseudopotentialEngine, recorded_source
from nearsight.engines.registered import ENGINES
from nearsight.engines.sparc.input_files import NAME, order_of_atoms, write_inputs
from nearsight.engines.sparc.output import SparcEnergies, read_eigen, read_out, read_static
from nearsight.engines.sparc.settings import SparcSettings
from nearsight.errors import ConvergenceError, InputError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io.sparc import read_dens
from nearsight.structure import Structure


@ENGINES.register("sparc")
class SparcEngine(PseudopotentialEngine[SparcSettings]):
    """Finite differences and norm-conserving pseudopotentials by the program SPARC.

    The program is looked for when it is first needed; `InputError` says in one line what to do.

    Parameters
    ----------
    settings : SparcSettings, optional
    """

    name = "sparc"

    def __init__(self, settings: SparcSettings | None = None) -> None:
        self.settings = settings or SparcSettings()

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """An engine with the settings of a file; see `SparcSettings` for the keys."""
        return cls(SparcSettings.from_mapping(settings))

    @classmethod
    def from_fingerprint(cls, fingerprint: Mapping[str, Any]) -> Self:
        """An engine of the same physics as the one whose `fingerprint` this is."""
        return cls(
            SparcSettings(
                pseudopotential=recorded_source(fingerprint),
                functional=str(fingerprint["functional"]),
                spacing=fingerprint.get("spacing"),
                order=int(fingerprint.get("order", 12)),
                k_points=fingerprint.get("k_points", "gamma"),
                smearing_kelvin=float(fingerprint["smearing_kelvin"]),
            )
        )

    def fingerprint(self) -> dict[str, Any]:
        """What defines the physics, JSON-ready."""
        return {
            "engine": self.name,
            "functional": self.settings.functional,
            **self.potentials_fingerprint(),
            "basis": "finite differences",
            "order": self.settings.order,
            "spacing": self.settings.spacing,
            "smearing_kelvin": self.settings.smearing_kelvin,
            "spin": "unpolarised",
            "k_points": self.settings.k_points.fingerprint(),
        }

    def default_grid(self, structure: Structure) -> UniformGrid:
        """The grid that the hardest element needs, unless a spacing is set."""
        spacing = self.settings.spacing or self._required_spacing(structure)
        return UniformGrid.with_spacing(structure.cell, spacing)

    def ground_state(
        self, structure: Structure, grid: UniformGrid | None = None, *, forces: bool = True
    ) -> GroundState:
        """Solve self-consistently.

        Raises
        ------
        ConvergenceError
            The cycle did not converge.
        InputError
            SPARC is not here.
        NearsightError
            The program failed; the message ends with its own words.
        """
        began = time.perf_counter()
        grid = grid or self.default_grid(structure)
        n_electrons = self._check(structure, grid)
        with workspace(self.settings.folder) as folder:
            write_inputs(folder, structure, grid, self.settings, forces=forces)
            found = self._run(folder)
            if not found.converged:
                raise ConvergenceError(
                    f"SPARC did not converge in {found.n_iterations} iterations (last change "
                    f"{found.residual:.1e}); raise max_iterations or smearing_kelvin, or lower mixing"
                )
            density = _density(folder, grid, n_electrons)
            pulls = _forces(folder, structure) if forces else None
            eigenvalues, occupations, points = read_eigen(folder / f"{NAME}.eigen")
        return GroundState(
            density=density,
            free_energy=found.free_energy,
            terms=found.terms,
            eigenvalues=eigenvalues,
            occupations=occupations,
            fermi_level=found.fermi_level,
            n_electrons=n_electrons,
            forces=pulls,
            n_iterations=found.n_iterations,
            residual=found.residual,
            seconds=time.perf_counter() - began,
            k_points=points,
        )

    def harris(
        self, structure: Structure, density: ScalarField, *, output_density: bool = False
    ) -> NonSelfConsistent:
        """Harris–Foulkes free energy of any density, on the grid it comes on: SPARC's first iteration.

        Raises
        ------
        GridMismatchError
            The density's cell is not the structure's.
        ChargeError
            The density's integral is more than 1 % off the electron count.
        InputError
            SPARC is not here.
        """
        n_electrons = self._check(structure, density.grid)
        require_charge(density, n_electrons)
        with workspace(self.settings.folder) as folder:
            write_inputs(folder, structure, density.grid, self.settings, forces=False, start=density)
            found = self._run(folder)
            eigenvalues, occupations, points = read_eigen(folder / f"{NAME}.eigen")
            output = _density(folder, density.grid, n_electrons) if output_density else None
        return NonSelfConsistent(
            free_energy=found.free_energy,
            density=output,
            eigenvalues=eigenvalues,
            occupations=occupations,
            fermi_level=found.fermi_level,
            terms=found.terms,
            k_points=points,
        )

    def _check(self, structure: Structure, grid: UniformGrid) -> float:
        """Refuse what SPARC cannot compute; the number of electrons of what it can."""
        n_electrons = self.n_electrons(structure)
        require_cell(structure, grid)
        require_right_handed(structure, "SPARC")
        return n_electrons

    def _run(self, folder: Path) -> SparcEnergies:
        words = shlex.split(self.settings.command)
        if not words or shutil.which(words[0]) is None:
            raise InputError(
                f"SPARC is not here: '{self.settings.command}' starts no program; install SPARC "
                "(github.com/SPARC-X/SPARC) and give the setting 'command', such as 'mpirun -n 2 sparc'"
            )
        settings = self.settings
        command = [*words, "-name", NAME]
        run_program(command, folder, name="SPARC", threads=settings.threads, timeout=settings.timeout)
        return read_out(folder / f"{NAME}.out")


def _density(folder: Path, grid: UniformGrid, n_electrons: float) -> ScalarField:
    """The printed density, on our grid: the file has the cell with six digits only."""
    return ScalarField(grid, read_dens(folder / f"{NAME}.dens", n_electrons).density.values)


def _forces(folder: Path, structure: Structure) -> np.ndarray:
    """Forces in the structure's own order, the net force removed."""
    forces = np.empty((structure.n_atoms, 3))
    forces[order_of_atoms(structure)] = read_static(folder / f"{NAME}.static")
    return forces - forces.mean(axis=0)
