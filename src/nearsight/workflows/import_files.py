"""From density files of any code to a data set."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nearsight.atomic.fit import fit_radial
from nearsight.atomic.radial import RadialDensity
from nearsight.errors import InputError, NearsightError, StoreError
from nearsight.field import ScalarField
from nearsight.io import read_snapshot
from nearsight.neighbours import require_separated_atoms
from nearsight.progress import Progress, silent
from nearsight.provenance import generator
from nearsight.snapshot import Snapshot
from nearsight.store.dataset import Dataset
from nearsight.store.info import content_digest, require_split
from nearsight.structure import Structure

#: every so many loose files, one is kept for validation
_VALIDATION_EVERY = 10
#: what files are called whatever they hold
_NAMELESS = {"chgcar", "chg", "aeccar0", "aeccar1", "aeccar2", "charge-density"}
#: so many snapshots are enough to fit spherical atoms to
_FITTED = 20


@dataclass(frozen=True)
class ImportResult:
    """What `import_files` did.

    Attributes
    ----------
    output : Path
    done : list of int
        Numbers of the snapshots added.
    skipped : list of str
        Files whose content the data set holds already.
    failed : dict of str to str
        Files that could not be imported and why (with `keep_going`).
    counted : list of str
        Files that state no electron count: it was taken from the integral.
    notes : dict of str to list of str
        What is special about a file (spin-polarised, a pseudo-density, atoms put right), by note.
    seconds : float
    """

    output: Path
    done: list[int]
    skipped: list[str]
    failed: dict[str, str]
    counted: list[str]
    notes: dict[str, list[str]]
    seconds: float


def import_files(
    files: Sequence[str | Path],
    output: str | Path,
    *,
    split: str | None = None,
    trajectory: str | None = None,
    n_electrons: float | None = None,
    keep_going: bool = False,
    progress: Progress = silent,
) -> ImportResult:
    """Add density files to a data set, each checked on reading.

    Loose files count as independent: each is a trajectory of its own, every tenth snapshot of the
    data set goes to validation and the others to training. A file whose content is in the data set
    already is skipped, so that an interrupted import can be run again. Where every snapshot brings its
    superposed atoms (``rho_saed`` of an ``.npz``), radial tables are fitted to them, so that the
    difference density can be learned.

    Parameters
    ----------
    files : sequence of path
    output : path
        Data set to make or to add to.
    split : str, optional
        ``train``, ``validation`` or ``test`` for all files; with `trajectory` alone, ``train``.
    trajectory : str, optional
        The one trajectory that all files come from.
    n_electrons : float, optional
        Electron count of every file, where they do not state it.
    keep_going : bool
        Note files that cannot be read and go on, rather than stop at the first.
    progress : Progress

    Raises
    ------
    FileFormatError, ChargeError, StructureError
        A file that cannot be used; the data set holds the files before it.
    StoreError
        The data set came from an engine, or a trajectory is in another split.
    NearsightError
        With `keep_going`, when no file at all could be used.
    """
    start = time.perf_counter()
    paths = [Path(file) for file in files]
    if not paths:
        raise InputError("there are no files to import")
    if split is not None:
        require_split(split)
    importer = _Importer(Path(output), split, trajectory)
    failed: dict[str, str] = {}
    for i, path in enumerate(paths):
        progress("importing", i, len(paths))
        try:
            snapshot = _read(path, n_electrons)
        except NearsightError as error:
            if not keep_going:
                raise
            failed[str(path)] = str(error)
        else:
            importer.add(path, snapshot)
    progress("importing", len(paths), len(paths))
    importer.fit_atoms()
    if len(failed) == len(paths):
        raise InputError(
            f"none of the {len(paths)} files could be imported; the first: {next(iter(failed.values()))}"
        )
    seconds = time.perf_counter() - start
    return ImportResult(
        output=Path(output),
        done=importer.done,
        skipped=importer.skipped,
        failed=failed,
        counted=importer.counted,
        notes=importer.notes,
        seconds=seconds,
    )


class _Importer:
    """Adds snapshots to a data set, which is made when the first good one is there."""

    def __init__(self, output: Path, split: str | None, trajectory: str | None) -> None:
        self._output = output
        self._split = split if split is not None or trajectory is None else "train"
        self._trajectory = trajectory
        self._dataset = _open(output) if output.exists() else None
        self._present = {} if self._dataset is None else _digests(self._dataset)
        self.done: list[int] = []
        self.skipped: list[str] = []
        self.counted: list[str] = []
        self.notes: dict[str, list[str]] = {}

    def add(self, path: Path, snapshot: Snapshot) -> None:
        """Store one snapshot unless it is there."""
        if self._dataset is None:
            self._dataset = Dataset.create(self._output, attributes={"source": "files"})
        content = content_digest(snapshot)
        if content in self._present:
            self.skipped.append(str(path))
            return
        number = max(self._present.values(), default=-1) + 1
        last = number % _VALIDATION_EVERY == _VALIDATION_EVERY - 1
        self._dataset.write(
            number,
            snapshot,
            label=_stem(path),
            trajectory=self._trajectory or f"{_stem(path)}-{content[:8]}",
            split=self._split or ("validation" if last else "train"),
        )
        self._present[content] = number
        self.done.append(number)
        if snapshot.provenance["electron_count_from"] == "integral":
            self.counted.append(str(path))
        for note in snapshot.provenance.get("notes", []):
            self.notes.setdefault(note, []).append(str(path))

    def fit_atoms(self) -> None:
        """Radial tables from the superposed atoms that came with the data, if all of it has them.

        With tables, the difference density can be learned, and superposed for structures to come.
        """
        dataset = self._dataset
        if dataset is None or dataset.radial:
            return
        snapshots = [dataset.snapshot(n) for n in dataset.numbers()[:_FITTED]]
        fields = [s.rho_saed for s in snapshots if s.rho_saed is not None]
        if fields and len(fields) == len(snapshots):
            dataset.set_radial(_radial_tables([s.structure for s in snapshots], fields))


def _radial_tables(structures: list[Structure], fields: list[ScalarField]) -> dict[int, RadialDensity]:
    """Spherical atoms whose superposition is `fields`; whole numbers of electrons where they are near."""
    tables = fit_radial(structures, fields, rng=generator(0, "fit atoms"))
    whole = {z: float(round(table.n_electrons)) for z, table in tables.items()}
    near = all(abs(whole[z] - t.n_electrons) < 0.02 * max(whole[z], 1) for z, t in tables.items())
    if near and min(whole.values()) > 0:
        tables = fit_radial(structures, fields, whole, rng=generator(0, "fit atoms"))
    return tables


def _read(path: Path, n_electrons: float | None) -> Snapshot:
    """One file, its atoms apart from each other."""
    snapshot = read_snapshot(path, n_electrons)
    try:
        require_separated_atoms(snapshot.structure)
    except NearsightError as error:
        raise type(error)(f"{path}: {error}") from error
    return snapshot


def _open(output: Path) -> Dataset:
    """A data set of files, to add to."""
    dataset = Dataset.open(output, "a")
    if dataset.engine is not None:
        raise StoreError(
            f"{output} holds densities of the engine '{dataset.engine.get('engine')}'; import files into "
            "another data set, whose densities share one origin"
        )
    return dataset


def _digests(dataset: Dataset) -> dict[str, int]:
    return {dataset.info(n).digest: n for n in dataset.numbers()}


def _stem(path: Path) -> str:
    """A name for people; of files that all have one name (``CHGCAR``), with their folder's."""
    stem = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    return f"{path.absolute().parent.name}/{stem}" if stem.lower() in _NAMELESS else stem
