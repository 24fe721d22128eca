"""`Workspace`: what the runs of a study share, described once and mapped from files by every process.

It lies in ``.work/`` of the study's folder while runs are left to do, and goes when they are done::

    table/         features, density, superposed atoms of all training points
    validation/    the same of the validation points
    standard/      standardised features (where a method, or the coverage, needs them)
    gradient/      |∇ρ|
    held-out/      standardised features of points of test snapshots, for the coverage alone
    scores-<key>/  a column a kind of score
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nearsight.io.atomic import atomic_folder
from nearsight.model.scaler import FeatureScaler
from nearsight.points import PointSet
from nearsight.progress import Progress, silent
from nearsight.provenance import digest, generator, software, to_plain
from nearsight.store import Dataset, PointTable
from nearsight.training import ScoreSettings, TrainSettings, describe_points, score_points
from nearsight.training.score_kinds import TRAJECTORY
from nearsight.training.tables import described_blocks
from nearsight.workflows.candidates import Columns, gradient_at, standardise
from nearsight.workflows.material import Material, from_dataset, training_points, validation_points
from nearsight.workflows.plan import Plan

#: bytes of features up to which they are handled as if they were in memory
IN_MEMORY = 4 << 30

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Workspace:
    """Shared files of one study; cheap to make and to send to other processes.

    Parameters
    ----------
    folder : Path
        The study's, absolute.
    dataset : Dataset
    plan : Plan
    seed : int
        Settles the validation points and the points held out.
    held_out : tuple of (int, int)
        Snapshots that points are held out from for the coverage, and how many points.
    """

    folder: Path
    dataset: Dataset
    plan: Plan
    seed: int
    held_out: tuple[tuple[int, ...], int] = ((), 0)

    @property
    def work(self) -> Path:
        """The folder of what is shared."""
        return self.folder / ".work"

    @cached_property
    def key(self) -> str:
        """What settles the described points."""
        plan = self.plan
        return digest(
            self.dataset.digest(), plan.descriptor.settings(), plan.validation_points, self.seed, _version()
        )

    # -- described points -------------------------------------------------------------------

    def table(self, progress: Progress = silent) -> PointTable:
        """All training points, described; mapped from a file, and written first where it is missing."""
        points = training_points(self.dataset)
        return self._described("table", points, progress)

    def validation(self) -> PointTable | None:
        """The validation points, the same for all runs; None where the data has none."""
        points = validation_points(self.dataset, self.plan.validation_points, self.seed)
        return None if points is None else self._described("validation", points, silent)

    @cached_property
    def table_shape(self) -> tuple[int, int]:
        """Training points, and length of a feature vector."""
        return len(training_points(self.dataset)), self.plan.descriptor.n_features

    @property
    def describe_seconds(self) -> float:
        """What describing all training points took."""
        return float(self._note("table")["seconds"])

    def material(self, training: PointTable) -> Material:
        """What a model is trained from, on these training points."""
        return from_dataset(self.dataset, training, self.validation())

    # -- columns for the methods ------------------------------------------------------------

    def standardised(self) -> np.ndarray:
        """Standardised features of all training points, (n, d) float32, mapped."""
        table = self.table()

        def make(folder: Path) -> dict[str, Any]:
            scaler = self._scaler(table)
            out = _new(folder / "features.npy", table.features.shape)
            standardise(table.features, scaler, out)
            out.flush()
            _save(folder, {"mean": scaler.mean, "std": scaler.std})
            return {}

        return _opened(self._made("standard", make) / "features.npy", resident=table.in_memory)

    def scaler(self) -> FeatureScaler:
        """Standardisation of all training points."""
        self.standardised()
        arrays = _load(self.work / "standard", ("mean", "std"))
        return FeatureScaler(arrays["mean"], arrays["std"])

    def gradient(self) -> np.ndarray:
        """|∇ρ| of all training points, (n,)."""

        def make(folder: Path) -> dict[str, Any]:
            _save(folder, {"gradient": gradient_at(self.dataset, training_points(self.dataset))})
            return {}

        return np.load(self._made("gradient", make) / "gradient.npy")

    def held_out_features(self) -> np.ndarray:
        """Standardised features of random points of the snapshots held out, (m, d) float32."""
        numbers, n_points = self.held_out

        def make(folder: Path) -> dict[str, Any]:
            every = PointSet.all_of(numbers, [int(np.prod(self.dataset.info(n).shape)) for n in numbers])
            rng = generator(self.seed, "coverage")
            chosen = every.take(np.sort(rng.choice(len(every), min(n_points, len(every)), replace=False)))
            features = describe_points(self.dataset, self.plan.descriptor, chosen).features
            _save(folder, {"features": standardise(features, self.scaler(), features)})
            return {}

        return np.load(self._made("held-out", make, numbers, n_points) / "features.npy")

    def columns(self, needs: frozenset[str], scores: Mapping[str, np.ndarray]) -> Columns:
        """All columns among `needs`, with the scores given."""
        table = self.table()
        return Columns(
            table.points,
            scores,
            features=self.standardised() if "features" in needs else None,
            density=table.density,
            gradient=self.gradient() if "gradient" in needs else None,
        )

    def seconds_of(self, needs: frozenset[str]) -> float:
        """What making the columns took that a method needs beside scores."""
        names = {"features": "standard", "gradient": "gradient"}
        return sum(float(self._note(name)["seconds"]) for need, name in names.items() if need in needs)

    # -- scores -----------------------------------------------------------------------------

    def score(self, job: "ScoreJob", progress: Progress = silent) -> None:
        """Make the scores of a job, unless they are there."""

        def make(folder: Path) -> dict[str, Any]:
            plan = self.plan
            found = score_points(
                self.table(),
                plan.scoring_network,
                plan.target,
                job.settings,
                _without_epochs(plan.training),
                kinds=sorted(job.kinds),
                seed=job.seed,
                progress=progress,
            )
            _save(folder, found.columns)
            return {
                "kinds": sorted(found.columns),
                "scoring_seconds": found.seconds,
                "steps": found.optimiser_steps,
            }

        self._made(f"scores-{self._score_key(job)}", make)

    def scores(self, job: "ScoreJob") -> tuple[Arrays, dict[str, Any]]:
        """The columns of a job, and a note with ``scoring_seconds`` and ``steps``."""
        name = f"scores-{self._score_key(job)}"
        return _load(self.work / name, sorted(job.kinds)), self._note(name)

    def has_scores(self, job: "ScoreJob") -> bool:
        """Whether the scores of a job are there."""
        return (self.work / f"scores-{self._score_key(job)}").exists()

    def _score_key(self, job: "ScoreJob") -> str:
        plan = self.plan
        training = replace(plan.training, threads=None)
        return digest(
            self.key,
            plan.scoring_network.as_dict(),
            plan.target,
            training,
            job.settings,
            sorted(job.kinds),
            job.seed,
        )

    # -- inside -----------------------------------------------------------------------------

    def _scaler(self, table: PointTable) -> FeatureScaler:
        return FeatureScaler.fit(table.features)

    def _described(self, name: str, points: PointSet, progress: Progress) -> PointTable:
        n, d = len(points), self.plan.descriptor.n_features

        def make(folder: Path) -> dict[str, Any]:
            features = _new(folder / "features.npy", (n, d))
            density, rho_saed = np.empty(n), np.empty(n) if self.dataset.radial else None
            done = 0
            for rows, part in described_blocks(self.dataset, self.plan.descriptor, points):
                features[rows], density[rows] = part.features, part.density
                if rho_saed is not None:
                    rho_saed[rows] = part.rho_saed
                done += len(part)
                progress("describing points", done, n)
            features.flush()
            _save(folder, {"density": density} | ({} if rho_saed is None else {"rho_saed": rho_saed}))
            return {}

        folder = self._made(name, make)
        features = _opened(folder / "features.npy", resident=4 * n * d <= IN_MEMORY)
        saed = np.load(folder / "rho_saed.npy") if (folder / "rho_saed.npy").exists() else None
        return PointTable(points, features, np.load(folder / "density.npy"), saed)

    def _made(self, name: str, make: Callable[[Path], dict[str, Any]], *keys: Any) -> Path:
        """The folder of that name, made first where it is missing or of other data."""
        folder, key = self.work / name, digest(self.key, to_plain(keys))
        if folder.exists() and self._note(name).get("key") == key:
            return folder
        self.work.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        with atomic_folder(folder, replace=True) as temporary:
            note = make(temporary)
            note |= {"key": key, "seconds": time.perf_counter() - began}
            (temporary / "note.json").write_text(json.dumps(note), encoding="utf-8")
        return folder

    def _note(self, name: str) -> dict[str, Any]:
        note: dict[str, Any] = json.loads((self.work / name / "note.json").read_text(encoding="utf-8"))
        return note


@dataclass(frozen=True)
class ScoreJob:
    """Scores that are made together: which, how, and with which seed."""

    kinds: frozenset[str]
    settings: ScoreSettings
    seed: int


def score_groups(kinds: frozenset[str]) -> list[frozenset[str]]:
    """Kinds that are made together: those that watch a whole training cost several times the others."""
    return [group for group in (kinds - TRAJECTORY, kinds & TRAJECTORY) if group]


def _version() -> str:
    return software()["nearsight"]


def _without_epochs(training: TrainSettings) -> TrainSettings:
    return replace(training, epochs=None)


def _new(path: Path, shape: tuple[int, ...]) -> np.memmap:
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)


def _opened(path: Path, *, resident: bool) -> np.ndarray:
    """A mapped array; `resident` hides the mapping, so that rows are shuffled freely.

    Processes share the pages of the file. They may write to their own copies only ("c"), which spares
    PyTorch, who takes no read-only memory, a copy of everything.
    """
    mapped = np.load(path, mmap_mode="c")
    return np.asarray(mapped) if resident else mapped


def _save(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def _load(folder: Path, names: Any) -> Arrays:
    return {name: np.load(folder / f"{name}.npy") for name in names}
