"""`EspressoEngine`: Quantum ESPRESSO as an engine."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any, Self

import numpy as np

from nearsight.engines.checks import require_cell, require_charge
from nearsight.engines.espresso.input_file import INPUT, PREFIX, write_input
from nearsight.engines.espresso.output import EspressoOutput, read_output
from nearsight.engines.espresso.program import pw_command, qepy_python
from nearsight.engines.espresso.settings import EspressoSettings
from nearsight.engines.external import run_program, workspace
from nearsight.engines.kpoints import KPoints
from nearsight.engines.potential_resolution import cutoff_of_spacing, spacing_of_cutoff
from nearsight.engines.protocol import GroundState, NonSelfConsistent
from nearsight.engines.pseudopotential_engine import PseudopotentialEngine, recorded_source
from nearsight.engines.registered import ENGINES
from nearsight.errors import ConvergenceError, GridMismatchError, InputError, NearsightError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io.espresso import read_espresso
from nearsight.structure import Structure

#: one rydberg in hartree
_RYDBERG = 0.5
_NAME = "Quantum ESPRESSO"
#: empty bands at least; occupation below which the highest one is empty; how often bands are added
_FEWEST_EMPTY, _EMPTY, _ATTEMPTS = 4, 1e-6, 5
_SAVED = Path("out") / f"{PREFIX}.save"


@ENGINES.register("quantum_espresso")
class EspressoEngine(PseudopotentialEngine[EspressoSettings]):
    """Plane waves and norm-conserving pseudopotentials by Quantum ESPRESSO.

    Ground states come from pw.x (or QEpy's copy of it), Harris energies from QEpy. The program is looked
    for when it is first needed; `InputError` says in one line how to get it.

    Parameters
    ----------
    settings : EspressoSettings, optional
    """

    name = "quantum_espresso"

    def __init__(self, settings: EspressoSettings | None = None) -> None:
        self.settings = settings or EspressoSettings()

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """An engine with the settings of a file; see `EspressoSettings` for the keys."""
        return cls(EspressoSettings.from_mapping(settings))

    @classmethod
    def from_fingerprint(cls, fingerprint: Mapping[str, Any]) -> Self:
        """An engine of the same physics as the one whose `fingerprint` this is."""
        return cls(
            EspressoSettings(
                pseudopotential=recorded_source(fingerprint),
                functional=str(fingerprint["functional"]),
                ecut=fingerprint.get("ecut"),
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
            "basis": "plane waves",
            "ecut": self.settings.ecut,
            "smearing_kelvin": self.settings.smearing_kelvin,
            "spin": "unpolarised",
            "k_points": self.settings.k_points.fingerprint(),
        }

    def cutoff(self, structure: Structure) -> float:
        """Kinetic energy of the plane waves, hartree: as set, or what the hardest element needs."""
        if self.settings.ecut is not None:
            return self.settings.ecut
        return cutoff_of_spacing(self._required_spacing(structure))

    def default_grid(self, structure: Structure) -> UniformGrid:
        """The coarsest grid that holds the density of the plane waves without loss."""
        return UniformGrid.with_spacing(structure.cell, spacing_of_cutoff(self.cutoff(structure)))

    def ground_state(
        self, structure: Structure, grid: UniformGrid | None = None, *, forces: bool = True
    ) -> GroundState:
        """Solve self-consistently.

        `residual` is the program's estimate of the energy's error per electron, in hartree.

        Raises
        ------
        ConvergenceError
            The cycle did not converge.
        InputError
            Quantum ESPRESSO is not here, or cannot use the input.
        NearsightError
            The program failed; the message ends with its own words.
        """
        began = time.perf_counter()
        grid = self._checked(structure, grid)
        command = pw_command(self.settings)
        n_electrons = self.n_electrons(structure)
        for n_bands in _band_counts(n_electrons):
            with workspace(self.settings.folder) as folder:
                symmetry = self.settings.k_points.symmetry
                self._write(folder, structure, grid, n_bands=n_bands, forces=forces, symmetry=symmetry)
                found = self._solve(command, folder)
                density = _density(folder / _SAVED, grid)
            if _enough(found.occupations):
                break
        return GroundState(
            density=density,
            free_energy=sum(found.terms.values()),
            terms=found.terms,
            eigenvalues=found.eigenvalues,
            occupations=found.occupations,
            fermi_level=found.fermi_level,
            n_electrons=n_electrons,
            forces=None if found.forces is None else found.forces - found.forces.mean(axis=0),
            n_iterations=found.n_iterations,
            residual=found.energy_error / n_electrons,
            seconds=time.perf_counter() - began,
            k_points=found.k_points,
        )

    def harris(
        self, structure: Structure, density: ScalarField, *, output_density: bool = False
    ) -> NonSelfConsistent:
        """Harris–Foulkes free energy of any density, on the grid it comes on; needs QEpy.

        Raises
        ------
        GridMismatchError
            The density's cell is not the structure's.
        ChargeError
            The density's integral is more than 1 % off the electron count.
        InputError
            QEpy is not here.
        """
        grid = self._checked(structure, density.grid)
        n_electrons = self.n_electrons(structure)
        require_charge(density, n_electrons)
        python = qepy_python(self.settings)
        for n_bands in _band_counts(n_electrons):
            with workspace(self.settings.folder) as folder:
                self._write(folder, structure, grid, n_bands=n_bands, forces=False, symmetry=False)
                np.save(folder / "density.npy", density.values)
                self._run([python, str(Path(__file__).with_name("worker.py")), "."], folder)
                summary = json.loads((folder / "harris.json").read_text())
                with np.load(folder / "output.npz") as file:
                    arrays = dict(file)
            found = _harris_result(structure, grid, summary, arrays, self.settings.smearing_kelvin > 0)
            if _enough(found.occupations):
                break
        return found if output_density else replace(found, density=None)

    def _checked(self, structure: Structure, grid: UniformGrid | None) -> UniformGrid:
        n_electrons = self.n_electrons(structure)
        if self.settings.smearing_kelvin == 0 and round(n_electrons) % 2:
            raise InputError(
                f"{structure.formula} has an odd number of electrons ({n_electrons:g}), which fixed "
                "occupations cannot hold; give smearing_kelvin"
            )
        grid = grid or self.default_grid(structure)
        require_cell(structure, grid)
        return grid

    def _write(
        self,
        folder: Path,
        structure: Structure,
        grid: UniformGrid,
        *,
        n_bands: int,
        forces: bool,
        symmetry: bool,
    ) -> None:
        write_input(
            folder,
            structure,
            grid,
            self.settings,
            self.cutoff(structure),
            n_bands=n_bands,
            forces=forces,
            symmetry=symmetry,
        )

    def _solve(self, command: list[str], folder: Path) -> EspressoOutput:
        """Run pw.x; it fails with code 2, its output written, where it did not converge."""
        summary = folder / _SAVED / "data-file-schema.xml"
        try:
            self._run([*command, "-i", INPUT], folder)
        except NearsightError:
            if not summary.exists() or read_output(summary).converged:
                raise
        found = read_output(summary)
        if not found.converged:
            raise ConvergenceError(
                f"{_NAME} did not converge in {found.n_iterations} iterations (estimated error "
                f"{found.energy_error:.1e} Ha); raise max_iterations or smearing_kelvin, or lower mixing"
            )
        return found

    def _run(self, command: list[str], folder: Path) -> None:
        settings = self.settings
        try:
            run_program(command, folder, name=_NAME, threads=settings.threads, timeout=settings.timeout)
        except InputError:
            raise
        except NearsightError as error:
            crash = folder / "CRASH"
            if not crash.exists():
                raise
            lines = [line.strip() for line in crash.read_text(errors="replace").splitlines()]
            said = "; ".join(line for line in lines if line.strip(" %"))
            raise NearsightError(f"{_NAME} stopped: {said[:300]}") from error


def _band_counts(n_electrons: float) -> Iterator[int]:
    """Bands to compute with: some empty ones, then more if the highest is still occupied."""
    n_bands = ceil(n_electrons / 2)
    n_bands += max(_FEWEST_EMPTY, n_bands // 5)
    for _ in range(_ATTEMPTS):
        yield n_bands
        n_bands = ceil(1.4 * n_bands)


def _enough(occupations: np.ndarray) -> bool:
    """Whether the highest band is empty at all k-points."""
    return bool(occupations[:, -1].max() < _EMPTY)


def _density(saved: Path, grid: UniformGrid) -> ScalarField:
    """The density that pw.x left, which has to lie on the grid that it was given."""
    found = read_espresso(saved).density
    if found.grid.shape != grid.shape:
        raise GridMismatchError(
            f"{_NAME} computed on the grid {found.grid.shape} in place of {grid.shape}; give one whose "
            "numbers are products of 2, 3 and 5"
        )
    return ScalarField(grid, found.values)


def _harris_result(
    structure: Structure,
    grid: UniformGrid,
    summary: Mapping[str, float],
    arrays: Mapping[str, np.ndarray],
    smeared: bool,
) -> NonSelfConsistent:
    """The worker's files, in atomic units."""
    parts = {"ewald": _RYDBERG * summary["ewald"], "entropy": _RYDBERG * summary["entropy"]}
    terms = {"electrons": _RYDBERG * summary["harris"] - sum(parts.values()), **parts}
    weights = arrays["weights"]
    fractional = arrays["k_points"] @ structure.cell.T / summary["alat"]
    occupations = 2 * arrays["occupations"] / weights[:, None]
    # with fixed occupations there is no Fermi level
    level = summary["fermi_level"] if smeared else float(arrays["eigenvalues"][occupations > 1].max())
    return NonSelfConsistent(
        free_energy=sum(terms.values()),
        density=ScalarField(grid, arrays["density"]),
        eigenvalues=_RYDBERG * arrays["eigenvalues"],
        occupations=occupations,
        fermi_level=_RYDBERG * level,
        terms=terms,
        k_points=KPoints(fractional, weights / weights.sum()),
    )
