"""An engine for tests of how labelling runs: no physics, but it can die, hang, fail and take notes.

It is a module of its own so that processes started by the tests can import it (its folder is on their
path), and registers itself as ``probe``.
"""

import json
import os
import secrets
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from ase import Atoms
from ase.build import bulk

from nearsight.atomic.radial import RadialDensity
from nearsight.engines import ENGINES
from nearsight.engines.protocol import GroundState, NonSelfConsistent
from nearsight.errors import ConvergenceError, UnknownElementError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.structure import Structure


@dataclass(frozen=True)
class ProbeSettings:
    """What befalls structures, by formula.

    Parameters
    ----------
    notes : str
        Folder for one file a call: when, in which process, with how many threads.
    fate : dict of str to str
        ``die``, ``exit``, ``hang``, ``raise``, ``unconverged``, ``kill parent``, ``warn``; the first time
        only with `` once`` after it.
    seconds : float
        That every calculation takes.
    megabytes : float
        That each says it needs.
    threads : int, optional
    note_torch : bool
        Note torch's threads too; importing it takes seconds.
    """

    notes: str
    fate: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    megabytes: float = 1.0
    threads: int | None = None
    note_torch: bool = False


@ENGINES.register("probe")
@dataclass(frozen=True)
class ProbeEngine:
    """Three electrons an atom, in waves around it."""

    settings: ProbeSettings
    name = "probe"

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        return cls(ProbeSettings(**settings))

    @classmethod
    def from_fingerprint(cls, fingerprint: Mapping[str, Any]) -> Self:
        return cls(ProbeSettings("."))

    def fingerprint(self) -> dict[str, Any]:
        return {"engine": self.name, "functional": "none"}

    def n_electrons(self, structure: Structure) -> float:
        return 3.0 * structure.n_atoms

    def default_grid(self, structure: Structure) -> UniformGrid:
        return UniformGrid(structure.cell, (6, 7, 8))

    def memory_estimate_mb(self, structure: Structure, grid: UniformGrid) -> float:
        return self.settings.megabytes

    def atomic_density(self, number: int) -> RadialDensity:
        if number == 92:
            raise UnknownElementError("no pseudopotential for U in probe; choose another family")
        r = np.linspace(0, 10, 200)
        rho = 3 * (np.pi * 4) ** -1.5 * np.exp(-((r / 2) ** 2))
        return RadialDensity(number, r, np.where(r < 10, rho, 0.0), 3.0, self.fingerprint())

    def ground_state(
        self, structure: Structure, grid: UniformGrid | None = None, *, forces: bool = True
    ) -> GroundState:
        self.atomic_density(int(structure.species[-1]))
        began = time.time()
        before = len([note for note in self.notes() if note["formula"] == structure.formula])
        note = self._note(structure.formula, began)
        self._befall(structure.formula, before)
        time.sleep(self.settings.seconds)
        note.write_text(json.dumps({**json.loads(note.read_text()), "ended": time.time()}))
        grid = grid or self.default_grid(structure)
        g = np.moveaxis(grid.g_vectors(), 0, -1)
        spectrum = np.exp(-1j * g @ structure.positions.T).sum(-1) * np.exp(-grid.g_squared)
        density = ScalarField(grid, grid.ifft(3 * spectrum / grid.dv))
        warned = ("the grid is coarse",) if self.settings.fate.get(structure.formula) == "warn" else ()
        return GroundState(
            density=density,
            free_energy=-float((density.values**2).sum() * grid.dv),
            terms={"all": 0.0},
            eigenvalues=np.zeros(1),
            occupations=np.zeros(1),
            fermi_level=0.1,
            n_electrons=3.0 * structure.n_atoms,
            forces=np.sin(structure.positions),
            n_iterations=1,
            residual=0.0,
            seconds=time.time() - began,
            warnings=warned,
        )

    def harris(
        self, structure: Structure, density: ScalarField, *, output_density: bool = False
    ) -> NonSelfConsistent:
        return NonSelfConsistent(0.0, None, np.zeros(1), np.zeros(1), 0.0)

    def notes(self) -> list[dict[str, Any]]:
        """What was noted so far, one entry a call, those in progress without ``ended``."""
        return [json.loads(path.read_text()) for path in Path(self.settings.notes).glob("*.json")]

    def _note(self, formula: str, began: float) -> Path:
        # late, as their threads are settled when they are imported
        import numba
        from threadpoolctl import threadpool_info

        entry = {
            "formula": formula,
            "pid": os.getpid(),
            "began": began,
            "pools": [pool["num_threads"] for pool in threadpool_info()],
            "numba": numba.get_num_threads(),
            "own": self.settings.threads,
        }
        if self.settings.note_torch:
            import torch

            entry["torch"] = torch.get_num_threads()
        target = Path(self.settings.notes) / f"{secrets.token_hex(6)}.json"
        target.with_suffix(".tmp").write_text(json.dumps(entry))
        return target.with_suffix(".tmp").rename(target)

    def _befall(self, formula: str, before: int) -> None:
        fate = self.settings.fate.get(formula, "")
        if fate.endswith(" once"):
            fate = "" if before else fate.removesuffix(" once")
        if fate == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if fate == "kill parent":
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(1000)
        if fate == "exit":
            raise SystemExit("libfoo is missing")
        if fate == "hang":
            time.sleep(1000)
        if fate == "raise":
            raise OSError("the licence server does not answer")
        if fate == "unconverged":
            raise ConvergenceError("not converged after 3 iterations; try more mixing")


def ends(pid: int) -> bool:
    """Whether a process ends, within some seconds; one that nobody waits for (a zombie) has."""
    for _ in range(200):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def structures(*symbols: str) -> list[Atoms]:
    """A rattled cubic cell of four atoms for each symbol, all different."""
    found = []
    for i, symbol in enumerate(symbols):
        atoms = bulk(symbol, "fcc", a=4.05 + 0.01 * i, cubic=True)
        atoms.set_initial_magnetic_moments(None)
        atoms.rattle(0.05, seed=i)
        found.append(atoms)
    return found
