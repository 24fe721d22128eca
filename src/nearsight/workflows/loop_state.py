"""What a loop leaves on disk: its candidates, its rounds, and what it was begun with."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nearsight.errors import InputError
from nearsight.io.extxyz import Frame, read_frames, write_frames
from nearsight.progress import Progress, silent
from nearsight.provenance import digest
from nearsight.sampling.recipe import read_recipe
from nearsight.workflows.records import read_json, write_json
from nearsight.workflows.sample import sample

#: key of the records of a loop
_KEY = "active-learn"


@dataclass(frozen=True)
class Round:
    """One round of a loop; round 0 is the first model.

    Attributes
    ----------
    round : int
    chosen : list of int
        Candidates that were labelled in it, validation and test ones included.
    slots : list of int
        The candidate behind each number of the data set.
    failed : dict of int to str
        Candidates that could not be labelled so far, and why; none is tried again.
    n_train : int
        Training snapshots.
    dft_seconds, dft_seconds_total : float
        Of the calculations of this round, and of all.
    validation_nrmse_percent : float or None
        None without validation snapshots.
    sigma_mean, sigma_max : float or None
        Over the candidates left, of the root of each one's mean epistemic variance, e/bohr³.
    n_left : int
        Candidates left.
    """

    round: int
    chosen: list[int]
    slots: list[int]
    failed: dict[int, str] = field(default_factory=dict)
    n_train: int = 0
    dft_seconds: float = 0.0
    dft_seconds_total: float = 0.0
    validation_nrmse_percent: float | None = None
    sigma_mean: float | None = None
    sigma_max: float | None = None
    n_left: int = 0

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Round":
        """What `LoopFolder.close` wrote."""
        known = {name: value for name, value in record.items() if name != "key"}
        return cls(**{**known, "failed": {int(n): why for n, why in known["failed"].items()}})


class LoopFolder:
    """The files of a loop.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def candidates(self) -> Path:
        """All structures of the loop."""
        return self.path / "candidates.extxyz"

    @property
    def data(self) -> Path:
        """What is labelled so far."""
        return self.path / "data.zarr"

    def file(self, number: int, name: str) -> Path:
        """A file of a round."""
        return self.path / "rounds" / f"{number:02d}" / name

    def begin(self, made_with: Mapping[str, str]) -> None:
        """Note what the loop is made with, or check that it is the same.

        Raises
        ------
        InputError
            The folder was begun with something else.
        """
        path = self.path / "settings.json"
        known = read_json(path, _KEY)
        if known is None:
            if path.exists():
                raise InputError(f"{path} is not of an active-learning loop; use another folder")
            write_json(path, {"key": _KEY, "made_with": dict(made_with)})
            return
        before = known["made_with"]
        if differ := [n for n in sorted({*before, *made_with}) if before.get(n) != made_with.get(n)]:
            raise InputError(
                f"{self.path} was begun with other settings ({', '.join(differ)} differ); use those, or "
                "another folder"
            )

    def keep_candidates(self, frames: Sequence[Frame]) -> None:
        """Write the candidates, once."""
        if not self.candidates.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            write_frames(self.candidates, frames)

    def frames(self) -> list[Frame]:
        """The candidates, always as the file has them, whose digits are fewer than memory's."""
        return read_frames(self.candidates)

    def rounds(self) -> list[Round]:
        """The rounds that are complete."""
        found: list[Round] = []
        while record := read_json(self.file(len(found), "round.json"), _KEY):
            found.append(Round.from_record(record))
        return found

    def close(self, done: Round) -> None:
        """Complete a round."""
        write_json(self.file(done.round, "round.json"), {"key": _KEY, **asdict(done)})

    def report(self, rounds: Sequence[Round], stopped: str | None) -> None:
        """All rounds in one file, and why the loop ended, if it did."""
        kept = [{k: v for k, v in asdict(r).items() if k != "slots"} for r in rounds]
        write_json(self.path / "progress.json", {"key": _KEY, "rounds": kept, "stopped": stopped})


def loop_candidates(
    source: str | Path,
    folder: Path,
    *,
    size: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Frame]:
    """The candidates of a loop: structures of a file, or of a recipe, which is followed once.

    Raises
    ------
    InputError
        A recipe that cannot be read or followed; another one than the folder was begun with.
    FileFormatError, StructureError
        Structures that cannot be read.
    """
    path = Path(source)
    if path.exists() and path.suffix not in (".yaml", ".yml"):
        if size is not None:
            raise InputError(f"{path} holds structures, which come in no sizes; leave out --size")
        return read_frames(path)
    recipe = read_recipe(source, size)
    own = {"recipe": digest(recipe.model_dump()), "seed": seed}
    place = LoopFolder(folder)
    known = read_json(folder / "recipe.json", _KEY)
    if known is None and place.candidates.exists():
        raise InputError(f"{folder} was begun with a file of structures; give that again, or another folder")
    if known is not None and {name: known[name] for name in own} != own:
        raise InputError(f"{folder} was begun with another recipe or seed; use that, or another folder")
    write_json(folder / "recipe.json", {"key": _KEY, **own})
    if not place.candidates.exists():
        sample(recipe, place.candidates, seed=seed, progress=progress)
    return place.frames()
