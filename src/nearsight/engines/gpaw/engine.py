"""`GpawEngine`: GPAW as a source of densities, energies and forces.

The density is PAW's pseudo-density with its compensation charges: it integrates to the valence electrons
and is the true valence density outside the augmentation spheres, but not inside them. Its fingerprint says
so, and energies of other engines are refused for models of it. Energies are GPAW's own, relative to free
spherical atoms. A density alone has no PAW energy, so there are no Harris energies.
"""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from ase.data import chemical_symbols

from nearsight.atomic.radial import RadialDensity
from nearsight.engines.atom_tables import atomic_density as tabulated_density
from nearsight.engines.checks import require_cell, require_right_handed
from nearsight.engines.external import run_program, workspace
from nearsight.engines.gpaw.settings import GpawSettings, gpaw_python
from nearsight.engines.kpoints import KPoints
from nearsight.engines.potential_resolution import spacing_of_cutoff
from nearsight.engines.protocol import GroundState, NonSelfConsistent
from nearsight.engines.registered import ENGINES
from nearsight.errors import ConvergenceError, InputError, UnknownElementError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure
from nearsight.units import ANGSTROM, BOHR_IN_ANGSTROM, EV, HARTREE_IN_EV, KELVIN

_WORKER = Path(__file__).with_name("worker.py")


@ENGINES.register("gpaw")
class GpawEngine:
    """Projector augmented waves by GPAW, which is looked for when it is first needed.

    Parameters
    ----------
    settings : GpawSettings, optional
    """

    name = "gpaw"

    def __init__(self, settings: GpawSettings | None = None) -> None:
        self.settings = settings or GpawSettings()
        self._atoms: dict[int, RadialDensity] = {}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """An engine with the settings of a file; see `GpawSettings` for the keys."""
        return cls(GpawSettings.from_mapping(settings))

    @classmethod
    def from_fingerprint(cls, fingerprint: Mapping[str, Any]) -> Self:
        """An engine of the same physics as the one whose `fingerprint` this is."""
        return cls(
            GpawSettings(
                functional=str(fingerprint["functional"]),
                ecut=float(fingerprint["ecut"]),
                k_points=fingerprint.get("k_points", "gamma"),
                smearing_kelvin=float(fingerprint["smearing_kelvin"]),
            )
        )

    def fingerprint(self) -> dict[str, Any]:
        """What defines the physics, JSON-ready; ``density`` flags the pseudo-density."""
        return {
            "engine": self.name,
            "functional": self.settings.functional,
            "pseudopotentials": "gpaw-paw",
            "basis": "plane waves",
            "ecut": self.settings.ecut,
            "smearing_kelvin": self.settings.smearing_kelvin,
            "spin": "unpolarised",
            "k_points": self.settings.k_points.fingerprint(),
            "density": "PAW pseudo-density with compensation charges",
            "pseudo_density": True,
        }

    def n_electrons(self, structure: Structure) -> float:
        """Valence electrons of the neutral cell; raises `UnknownElementError`."""
        self._load_atoms(structure.species)
        return float(sum(self._atoms[int(z)].n_electrons for z in structure.numbers))

    def default_grid(self, structure: Structure) -> UniformGrid:
        """The coarsest grid that holds the density of the plane waves without loss."""
        return UniformGrid.with_spacing(structure.cell, spacing_of_cutoff(self.settings.ecut))

    def atomic_density(self, number: int) -> RadialDensity:
        """Pseudo-density of the setup's free atom, with its compensation charge."""
        self._load_atoms([number])
        return self._atoms[number]

    def ground_state(
        self, structure: Structure, grid: UniformGrid | None = None, *, forces: bool = True
    ) -> GroundState:
        """Solve self-consistently; `residual` is the tolerance that GPAW met.

        Raises
        ------
        ConvergenceError
            The cycle did not converge.
        InputError
            GPAW is not here.
        NearsightError
            The program failed; the message ends with its own words.
        """
        began = time.perf_counter()
        n_electrons = self.n_electrons(structure)
        grid = grid or self.default_grid(structure)
        require_cell(structure, grid)
        require_right_handed(structure, "GPAW")
        system = {
            "cell": structure.cell * BOHR_IN_ANGSTROM,
            "positions": structure.positions * BOHR_IN_ANGSTROM,
            "numbers": structure.numbers,
        }
        found, arrays = self._run("solve", self._task(structure, grid, forces=forces), system)
        if not found["converged"]:
            raise ConvergenceError(
                f"GPAW did not converge in {self.settings.max_iterations} iterations; raise max_iterations, "
                "smearing_kelvin or density_tolerance"
            )
        entropy = EV * found["entropy"]
        weights = arrays["weights"]
        return GroundState(
            density=ScalarField(grid, arrays["density"] * BOHR_IN_ANGSTROM**3),
            free_energy=EV * found["free"],
            terms={"internal": EV * found["free"] - entropy, "entropy": entropy},
            eigenvalues=EV * arrays["eigenvalues"],
            occupations=arrays["occupations"] / weights[:, None],
            fermi_level=EV * found["fermi_level"],
            n_electrons=n_electrons,
            forces=_without_net(arrays["forces"] * EV / ANGSTROM) if forces else None,
            n_iterations=found["iterations"],
            residual=self.settings.density_tolerance,
            seconds=time.perf_counter() - began,
            k_points=KPoints(arrays["k_points"], weights / weights.sum()),
        )

    def harris(
        self, structure: Structure, density: ScalarField, *, output_density: bool = False
    ) -> NonSelfConsistent:
        """Refused: raises `InputError`."""
        raise InputError(
            "GPAW cannot give the energy of a density: PAW needs the atomic density matrices that belong to "
            "it; use the engine planewave, lcao or quantum_espresso, and its own data"
        )

    def _task(self, structure: Structure, grid: UniformGrid, *, forces: bool) -> dict[str, Any]:
        return {
            "ecut": HARTREE_IN_EV * self.settings.ecut,
            "functional": self.settings.functional,
            "shape": list(grid.shape),
            "mesh": list(self.settings.k_points.mesh_for(structure.cell)),
            "width": HARTREE_IN_EV * KELVIN * self.settings.smearing_kelvin,
            "density_tolerance": self.settings.density_tolerance,
            "max_iterations": self.settings.max_iterations,
            "forces": forces,
        }

    def _load_atoms(self, numbers: Sequence[int]) -> None:
        """Ask GPAW for the free atoms that are not known yet."""
        unknown = sorted({int(z) for z in numbers} - set(self._atoms))
        if not unknown:
            return
        task = {"symbols": [chemical_symbols[z] for z in unknown], "functional": self.settings.functional}
        found, arrays = self._run("atoms", task, {})
        if found["missing"]:
            raise UnknownElementError(
                f"GPAW has no {self.settings.functional} setup for {', '.join(found['missing'])}; "
                "install gpaw-data, or choose other elements"
            )
        for z in unknown:
            symbol = chemical_symbols[z]
            r, rho = arrays[f"r_{symbol}"], arrays[f"rho_{symbol}"]
            self._atoms[z] = tabulated_density(z, r, rho, found["valence"][symbol], f"GPAW setup {symbol}")

    def _run(
        self, work: str, task: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Let the worker do something; its result and arrays."""
        settings = self.settings
        command = [gpaw_python(settings), str(_WORKER), work]
        with workspace(settings.folder) as folder:
            (folder / "input.json").write_text(json.dumps(dict(task)), encoding="ascii")
            np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
            run_program(command, folder, name="GPAW", threads=settings.threads, timeout=settings.timeout)
            result = json.loads((folder / "result.json").read_text(encoding="ascii"))
            output = folder / "output.npz"
            if not output.exists():
                return result, {}
            with np.load(output) as file:
                return result, dict(file)


def _without_net(forces: np.ndarray) -> np.ndarray:
    return np.asarray(forces - forces.mean(axis=0))
