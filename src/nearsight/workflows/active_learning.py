"""`active_learning`: the loop acquire → label → train over candidates, resumable at any point."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nearsight.coreset.design import covering_groups
from nearsight.descriptors import descriptor_from_settings
from nearsight.engines.protocol import Engine
from nearsight.errors import IncompleteError, InputError
from nearsight.io.extxyz import Frame, read_frames, write_frames
from nearsight.model.file import load_model
from nearsight.progress import Progress, silent
from nearsight.provenance import digest, generator
from nearsight.store import Dataset
from nearsight.workflows.acquire import acquire, usable
from nearsight.workflows.acquisition_rules import COVER_POINTS, offered
from nearsight.workflows.acquisition_scores import random_features
from nearsight.workflows.acquisition_survey import by_new_elements, survey
from nearsight.workflows.evaluate import evaluate
from nearsight.workflows.label import label
from nearsight.workflows.loop_settings import LoopConfig
from nearsight.workflows.loop_state import LoopFolder, Round
from nearsight.workflows.train import train

#: info key of a chosen frame: its number among the candidates
_NUMBER = "candidate"


@dataclass(frozen=True)
class LoopResult:
    """What a loop came to.

    Attributes
    ----------
    folder : Path
    rounds : list of Round
        All that are complete.
    stopped : str
        Why it ended.
    """

    folder: Path
    rounds: list[Round]
    stopped: str

    @property
    def model(self) -> Path:
        """The last model."""
        return LoopFolder(self.folder).file(len(self.rounds) - 1, "model.nst")


def active_learning(
    candidates: Path | str | Sequence[Frame],
    folder: Path | str,
    engine: Engine,
    config: LoopConfig | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
    on_round: Callable[[Round], None] | None = None,
) -> LoopResult:
    """Label, train and choose, round after round; the same call after an interruption carries on.

    Candidates for validation and test are labelled at the start and never chosen. The folder holds
    ``candidates.extxyz``, ``data.zarr``, ``progress.json`` and, in ``rounds/NN`` for each round,
    ``chosen.extxyz``, ``model.nst`` and ``round.json``.

    Parameters
    ----------
    candidates : path or sequence of Frame
        Kept in the folder as they are at the start.
    folder : path
    engine : Engine
        Labels.
    config : LoopConfig, optional
    seed : int
    device : {"auto", "cpu", "cuda"}
    progress : Progress
    on_round : callable, optional
        Told of every complete round, those of earlier runs included.

    Raises
    ------
    InputError
        No candidates for training; a folder that was begun with other candidates or settings.
    StoreError
        The folder's data set was made with another engine.
    IncompleteError
        Not one training structure of the first round could be labelled.
    """
    config = config or LoopConfig()
    place = LoopFolder(Path(folder))
    given = read_frames(candidates) if isinstance(candidates, str | Path) else list(candidates)
    if not any(frame.split == "train" for frame in given):
        raise InputError("none of the candidates is meant for training; there is nothing to choose from")
    made_with = {**config.binding(), "seed": digest(seed), "candidates": _digest(given)}
    place.begin({**made_with, "engine": digest(engine.fingerprint())})
    place.keep_candidates(given)
    return _Loop(place, engine, config, seed, device, progress).run(on_round or (lambda done: None))


def _digest(frames: Sequence[Frame]) -> str:
    """Hash of candidates as a file would hold them: to a millionth of a bohr."""
    return digest(
        [
            (
                (f.label, f.trajectory, f.split, f.structure.numbers),
                np.round(np.vstack([f.structure.cell, f.structure.positions]), 6) + 0.0,
            )
            for f in frames
        ]
    )


@dataclass(frozen=True, eq=False)
class _Loop:
    """A loop at work in its folder."""

    place: LoopFolder
    engine: Engine
    config: LoopConfig
    seed: int
    device: str
    progress: Progress

    def run(self, on_round: Callable[[Round], None]) -> LoopResult:
        """Rounds until something says stop."""
        frames = self.place.frames()
        rounds = self.place.rounds()
        for done in rounds:
            on_round(done)
        while (stopped := self._stop(rounds)) is None:
            done = self._round(frames, rounds)
            self.place.close(done)
            rounds.append(done)
            self.place.report(rounds, None)
            on_round(done)
        self.place.report(rounds, stopped)
        return LoopResult(self.place.path, rounds, stopped)

    def _stop(self, rounds: Sequence[Round]) -> str | None:
        """Why no further round is due, if none is."""
        if not rounds:
            return None
        last, limits = rounds[-1], self.config
        if limits.until_error is not None and (last.validation_nrmse_percent or np.inf) <= limits.until_error:
            return f"the validation error is {last.validation_nrmse_percent:.3f} %"
        if last.n_left == 0:
            return "no candidates are left"
        if limits.until_sigma is not None and (last.sigma_max or np.inf) <= limits.until_sigma:
            return f"the largest σ left is {last.sigma_max:.2g} e/bohr³"
        if limits.dft_seconds is not None and last.dft_seconds_total >= limits.dft_seconds:
            return f"{last.dft_seconds_total:.0f} s of calculations are spent"
        if limits.rounds is not None and last.round >= limits.rounds:
            return f"{limits.rounds} rounds are done"
        return None

    def _round(self, frames: list[Frame], rounds: Sequence[Round]) -> Round:
        """Choose, label, train, measure; what an earlier run did of it is not done again."""
        before = rounds[-1] if rounds else Round(-1, [], [])
        number = before.round + 1
        chosen = self._chosen(frames, before, number)
        slots = filled(before.slots, set(before.failed), chosen)
        failed = self._label(frames, slots)
        dataset = Dataset.open(self.place.data)
        model = self.place.file(number, "model.nst")
        if not model.exists():
            train(
                dataset, model, self.config.train, seed=self.seed, device=self.device, progress=self.progress
            )
        spent = sum(
            float(dataset.snapshot(n).provenance["seconds"])
            for n, candidate in enumerate(slots)
            if candidate in chosen and dataset.has(n)
        )
        done = Round(
            number,
            chosen,
            slots,
            {**before.failed, **failed},
            len(dataset.snapshots("train")),
            spent,
            before.dft_seconds_total + spent,
        )
        return self._measured(frames, dataset, model, done)

    def _label(self, frames: list[Frame], slots: list[int]) -> dict[int, str]:
        """Label what is not labelled yet; the candidates that failed, and why."""
        config = self.config
        result = label(
            [frames[i] for i in slots],
            self.place.data,
            self.engine,
            jobs=config.jobs,
            threads=config.threads,
            retries=config.retries,
            timeout=config.timeout,
            progress=self.progress,
        )
        failed = {slots[number]: why for number, why in result.failed.items()}
        if not any(frames[i].split == "train" and i not in failed for i in slots):
            why = next(iter(failed.values()))
            raise IncompleteError(
                "not one training structure of the first round could be labelled; the same command tries "
                f"them again; the first: {why}"
            )
        return failed

    def _measured(self, frames: list[Frame], dataset: Dataset, model: Path, done: Round) -> Round:
        """The round with its validation error, and what the model says of the candidates left."""
        if dataset.snapshots("validation"):
            errors = evaluate(model, dataset, split="validation", device=self.device, progress=self.progress)
            done = replace(done, validation_nrmse_percent=errors["nrmse_percent"])
        left = self._left(frames, dataset, done)
        if not left:
            return done
        loaded = load_model(model).to(self.device)
        structures = [frames[i].structure for i in left]
        found = survey(loaded, structures, [], self.config.points, seed=self.seed, progress=self.progress)
        if found.offer is not None and found.offer.uncertainty is not None:
            rms = found.offer.uncertainty.rms
            done = replace(done, sigma_mean=float(rms.mean()), sigma_max=float(rms.max()))
        return replace(done, n_left=len(left))

    def _left(self, frames: list[Frame], dataset: Dataset, done: Round) -> list[int]:
        """Candidates that can still be chosen."""
        return [i for i in usable(frames, dataset)[0] if i not in done.failed]

    def _chosen(self, frames: list[Frame], before: Round, number: int) -> list[int]:
        """The candidates of a round, chosen once."""
        path = self.place.file(number, "chosen.extxyz")
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            named = [replace(f, info={**f.info, _NUMBER: i}) for i, f in enumerate(frames)]
            if number == 0:
                fixed = [f for f in named if f.split != "train"]
                write_frames(path, fixed + self._first([named[i] for i in usable(named, None)[0]]))
            else:
                left = self._left(frames, Dataset.open(self.place.data), before)
                config = self.config
                acquire(
                    self.place.file(number - 1, "model.nst"),
                    [named[i] for i in left],
                    path,
                    n=min(config.per_round, len(left)),
                    by=config.by,
                    points=config.points,
                    data=self.place.data,
                    seed=self.seed,
                    device=self.device,
                    progress=self.progress,
                )
        return [int(frame.info[_NUMBER]) for frame in read_frames(path)]

    def _first(self, free: list[Frame]) -> list[Frame]:
        """The training structures of the first round, which no model can choose."""
        n = min(self.config.initial, len(free))
        rng = generator(self.seed, "active-learn", "first")
        if self.config.initial_by == "random":
            return [free[i] for i in rng.choice(len(free), n, replace=False)]
        structures = [frame.structure for frame in free]
        species = sorted({z for s in structures for z in s.species})
        descriptor = descriptor_from_settings({"species": species, **self.config.train.descriptor})
        features = random_features(
            descriptor, structures, COVER_POINTS, seed=self.seed, progress=self.progress
        )
        groups = offered(features, features[:0]).groups
        picked = [row for row, _ in by_new_elements(structures, ())][:n]
        rest = [row for row in range(len(free)) if row not in picked]
        if n > len(picked):
            known = groups[picked].reshape(-1, groups.shape[2])
            picked += [rest[k] for k in covering_groups(groups[rest], n - len(picked), known=known).order]
        return [free[row] for row in picked]


def filled(slots: Sequence[int], failed: set[int], chosen: Sequence[int]) -> list[int]:
    """The candidate behind each number of the data set once `chosen` are added: first where others failed."""
    waiting = list(chosen)
    kept = [waiting.pop(0) if candidate in failed and waiting else candidate for candidate in slots]
    return kept + waiting
