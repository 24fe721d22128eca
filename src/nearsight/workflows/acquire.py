"""`acquire`: which structures to label next, so that the next calculations teach most."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nearsight.errors import InputError, StructureError
from nearsight.io.extxyz import Frame, read_frames, write_frames
from nearsight.model.density_model import DensityModel
from nearsight.model.file import load_model
from nearsight.neighbours import require_separated_atoms
from nearsight.progress import Progress, silent
from nearsight.provenance import generator
from nearsight.store import Dataset
from nearsight.workflows.acquisition_rules import By, needs_uncertainty, require_rule
from nearsight.workflows.acquisition_scores import require_uncertainty
from nearsight.workflows.acquisition_survey import survey

#: the rule that did best on held-out trajectories of a pool (docs/active-learning.md)
DEFAULT_RULE: By = "coverage"
#: structures that a note names
_NAMED = 8


@dataclass(frozen=True)
class Ranked:
    """A candidate and what is known of it.

    Attributes
    ----------
    number : int
        Its place among the candidates given.
    label, formula : str
    rank : int or None
        1 for the first to label; None where it was not chosen.
    reason : str or None
        ``new element``, the rule that chose it, or None.
    score : float or None
        What the rule valued it by when it was chosen: elements that are new, the fall of the mean epistemic
        variance of all candidates ((e/bohr³)²), a distance, or a distance times σ (e/bohr³).
    sigma : float or None
        Root of the mean epistemic variance at its points, e/bohr³.
    share_above : float or None
        Share of its points whose epistemic σ lies above the threshold.
    distance : float or None
        Mean distance of its points to the nearest labelled one, in deviations of a feature.
    """

    number: int
    label: str
    formula: str
    rank: int | None = None
    reason: str | None = None
    score: float | None = None
    sigma: float | None = None
    share_above: float | None = None
    distance: float | None = None


@dataclass(frozen=True)
class AcquireResult:
    """What `acquire` chose.

    Attributes
    ----------
    output : Path or None
    by : str
        The rule.
    chosen : list of Ranked
        In the order to label them.
    others : list of Ranked
        The candidates that could have been chosen, by their numbers.
    n_points : int
        Random points a structure.
    threshold : float or None
        Of `Ranked.share_above`, e/bohr³.
    notes : list of str
        What a person should know, such as candidates that were left out.
    """

    output: Path | None
    by: str
    chosen: list[Ranked]
    others: list[Ranked]
    n_points: int
    threshold: float | None
    notes: list[str]

    @property
    def numbers(self) -> list[int]:
        """Places of the chosen among the candidates given."""
        return [ranked.number for ranked in self.chosen]


def acquire(
    model: Path | str | DensityModel,
    candidates: Path | str | Sequence[Frame],
    output: Path | str | None = None,
    *,
    n: int = 10,
    by: str = DEFAULT_RULE,
    points: int = 200,
    data: Path | str | Dataset | None = None,
    threshold: float | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> AcquireResult:
    """Choose structures to label from many, without labels; see `nearsight.workflows.acquisition_rules`.

    Structures with elements that the model never saw come first, as few of them as hold all such elements:
    they cannot be described, and nothing else teaches the element. Left out are candidates that `data` holds,
    repetitions, those whose atoms lie on top of each other, and those meant for validation or test.

    Parameters
    ----------
    model : path or DensityModel
    candidates : path or sequence of Frame
    output : path, optional
        Where to write the chosen (extxyz), in order: all that was known of them, with ``acquire_rank``,
        ``acquire_score`` and ``acquire_by``.
    n : int
        How many to choose.
    by : {"coverage", "both", "epistemic", "random"}
    points : int
        Random points that stand for a structure.
    data : path or Dataset, optional
        What is labelled already; its training snapshots are covered.
    threshold : float, optional
        Epistemic σ, e/bohr³, above which a point counts in `Ranked.share_above`; unless given that of 5 % of
        the labelled points, or without data twice the candidates' median.
    seed : int
        Settles the points.
    device : {"auto", "cpu", "cuda"}
    progress : Progress

    Raises
    ------
    InputError
        A model that states no uncertainty where the rule asks for it; more to choose than candidates; an
        option out of range.
    FileFormatError, StructureError, StoreError
        Files that cannot be read.
    """
    rule = require_rule(by)
    if points < 2:
        raise InputError(f"a structure needs at least 2 random points to be judged by, not {points}")
    loaded = (model if isinstance(model, DensityModel) else load_model(model)).to(device)
    if needs_uncertainty(rule):
        require_uncertainty(loaded)
    frames = read_frames(candidates) if isinstance(candidates, str | Path) else list(candidates)
    dataset = data if data is None or isinstance(data, Dataset) else Dataset.open(data)
    free, notes = usable(frames, dataset)
    if dataset is None and rule in ("coverage", "both"):
        notes.append("no labelled data was given (--data): the choice covers the candidates alone")
    if not 1 <= n <= len(free):
        raise InputError(
            f"cannot choose {n} of {len(free)} candidate structures ({len(frames)} given); ask for 1 to "
            f"{len(free)}, or give more candidates"
        )
    chosen_from = [frames[i] for i in free]
    labelled = [] if dataset is None else [dataset.structure(i) for i in dataset.snapshots("train")]
    found = survey(
        loaded,
        [frame.structure for frame in chosen_from],
        labelled,
        points,
        threshold=threshold,
        seed=seed,
        progress=progress,
    )
    picks = found.pick(rule, n, generator(seed, "acquire", rule))
    entries = [
        Ranked(i, frame.label, frame.structure.formula, **found.of(row)._asdict())
        for row, (i, frame) in enumerate(zip(free, chosen_from, strict=True))
    ]
    picked = [
        replace(entries[pick.row], rank=rank, reason=pick.reason, score=pick.score)
        for rank, pick in enumerate(picks, 1)
    ]
    rows = {pick.row for pick in picks}
    if output is not None:
        write_frames(output, [_marked(frames[ranked.number], ranked) for ranked in picked])
    return AcquireResult(
        None if output is None else Path(output),
        rule,
        picked,
        [entry for row, entry in enumerate(entries) if row not in rows],
        points,
        found.threshold,
        notes + found.notes(picks),
    )


def _marked(frame: Frame, ranked: Ranked) -> Frame:
    """The frame with its rank in its info; the rest of it as it was."""
    own = {"acquire_rank": ranked.rank, "acquire_score": ranked.score, "acquire_by": ranked.reason}
    return replace(frame, info=frame.info | own)


def usable(frames: Sequence[Frame], dataset: Dataset | None) -> tuple[list[int], list[str]]:
    """Places of the frames that could be labelled next, and a note on each kind of the others."""
    known = set() if dataset is None else {dataset.info(n).structure_digest for n in dataset.numbers()}
    seen: set[str] = set()
    free: list[int] = []
    left_out: dict[str, list[str]] = {}
    for number, frame in enumerate(frames):
        digest = frame.structure.digest()
        if why := _unusable(frame, digest, known, seen):
            left_out.setdefault(why, []).append(frame.label)
            continue
        seen.add(digest)
        free.append(number)
    return free, [_note(why, labels) for why, labels in left_out.items()]


def _unusable(frame: Frame, digest: str, labelled: set[str], seen: set[str]) -> str | None:
    """Why a frame is no candidate, if it is none."""
    if frame.split != "train":
        return f"meant for {frame.split}"
    if digest in labelled:
        return "labelled already"
    if digest in seen:
        return "given twice"
    try:
        require_separated_atoms(frame.structure)
    except StructureError:
        return "with atoms on top of each other"
    return None


def _note(why: str, labels: Sequence[str]) -> str:
    named = ", ".join(labels[:_NAMED]) + (", …" if len(labels) > _NAMED else "")
    return f"{len(labels)} candidates left out, {why}: {named}"
