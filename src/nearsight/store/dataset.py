"""`Dataset`: labelled snapshots in a Zarr 3 store, written once each, by any number of writers.

Layout, all of it plain Zarr groups::

    data.zarr/                 engine, attributes of the data set
      radial/13/               r, rho: the free atoms' densities
      trajectories/<hash>/     which part (train, validation, test) a trajectory belongs to
      snapshots/000012/        cell, positions, numbers, density[, forces, rho_saed]
      failures/000013/         why a snapshot could not be labelled

No file is ever changed by two writers: a snapshot is a folder that appears complete, by a rename.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from nearsight.atomic.radial import RadialDensity
from nearsight.errors import StoreError
from nearsight.field import ScalarField
from nearsight.grid import UniformGrid
from nearsight.io.atomic import atomic_folder, remove_leftovers
from nearsight.io.zarr_groups import (
    read_array,
    read_attributes,
    read_structure,
    write_attributes,
    write_group,
)
from nearsight.io.zarr_header import make_header, read_header
from nearsight.provenance import digest
from nearsight.snapshot import Snapshot
from nearsight.store.info import SnapshotInfo, info_of, require_split, snapshot_arrays
from nearsight.store.radial import read_radial_tables, write_radial
from nearsight.store.trajectories import Trajectories
from nearsight.structure import Structure

_GROUPS = ("radial", "trajectories", "snapshots", "failures")


@dataclass(frozen=True)
class Failure:
    """A snapshot that could not be labelled.

    Attributes
    ----------
    number : int
    label : str
        Its name.
    message : str
        The error's one line.
    formula : str
    kind : str
        What kind of failure: ``input``, ``convergence``, ``timeout``, ``killed``, ``memory``, ``error``.
    tries : int
        How often it was begun in the last run.
    """

    number: int
    label: str
    message: str
    formula: str = ""
    kind: str = "error"
    tries: int = 1


class Dataset:
    """Snapshots of any structures and grids, each with its trajectory and its split.

    Use `create` or `open`. Objects are cheap, hold no open file and may be sent to other processes;
    several may write different snapshots of one store at the same time.

    Parameters
    ----------
    path : Path
    header : mapping
        What `nearsight.io.zarr_header.read_header` returned.
    writable : bool
    """

    def __init__(self, path: Path, header: Mapping[str, Any], writable: bool) -> None:
        self.path = path
        self.writable = writable
        self._header = header
        self._infos: dict[int, SnapshotInfo] = {}
        self._trajectories = Trajectories(path)

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        engine: Mapping[str, Any] | None = None,
        radial: Mapping[int, RadialDensity] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> "Dataset":
        """Make an empty data set.

        Parameters
        ----------
        path : path
            Must not exist yet.
        engine : mapping, optional
            Fingerprint of the engine that labels; None for data from files.
        radial : mapping of int to RadialDensity, optional
            Free-atom densities by atomic number.
        attributes : mapping, optional
            Anything else to record, JSON-ready.

        Raises
        ------
        StoreError
            Something is there already.
        """
        path = Path(path)
        header = {"engine": engine, "attributes": attributes or {}}
        remove_leftovers(path.parent, path.name)
        try:
            with atomic_folder(path) as folder:
                write_group(folder, make_header("dataset", header))
                for name in _GROUPS:
                    write_group(folder / name, {})
                for number, table in (radial or {}).items():
                    write_radial(folder / "radial" / str(number), table)
        except FileExistsError:
            raise StoreError(f"{path} exists already; choose another name or remove it") from None
        return cls.open(path, "a")

    @classmethod
    def open(cls, path: str | Path, mode: Literal["r", "a"] = "r") -> "Dataset":
        """Open a data set for reading, or for adding snapshots too (`a`).

        Raises
        ------
        StoreError
            Missing, foreign, of another kind, or of a newer format.
        """
        path = Path(path)
        header = read_header(path, "dataset")
        if mode == "a":
            remove_leftovers(path)
        return cls(path, header, mode == "a")

    # -- what is in it ----------------------------------------------------------------------

    @property
    def engine(self) -> dict[str, Any] | None:
        """Fingerprint of the engine that labelled it; None for data from files."""
        engine = self._header["engine"]
        return None if engine is None else dict(engine)

    @property
    def attributes(self) -> dict[str, Any]:
        """What was recorded at creation."""
        return dict(self._header["attributes"])

    @property
    def radial(self) -> dict[int, RadialDensity]:
        """Free-atom densities by atomic number, ascending."""
        return read_radial_tables(self.path / "radial")

    def numbers(self) -> list[int]:
        """Numbers of the complete snapshots, ascending."""
        return _numbered(self.path / "snapshots")

    def has(self, number: int) -> bool:
        """Whether that snapshot is complete."""
        return (self._folder(number) / "zarr.json").exists()

    def snapshots(self, split: str) -> list[int]:
        """Numbers of the complete snapshots of one split, ascending."""
        require_split(split)
        return [n for n in self.numbers() if self.info(n).split == split]

    def info(self, number: int) -> SnapshotInfo:
        """What is known of a snapshot, its arrays unread.

        Raises
        ------
        StoreError
            There is no such snapshot.
        """
        if number not in self._infos:
            entry = self._attributes_of(number)["info"]
            self._infos[number] = SnapshotInfo(**{**entry, "shape": tuple(entry["shape"])})
        return self._infos[number]

    def structure(self, number: int) -> Structure:
        """The structure of a snapshot."""
        self.info(number)
        return read_structure(self._folder(number))

    def grid(self, number: int) -> UniformGrid:
        """The grid of a snapshot."""
        shape = self.info(number).shape
        return UniformGrid(read_array(self._folder(number), "cell"), shape)

    def density(self, number: int) -> ScalarField:
        """The electron density of a snapshot, e/bohr³."""
        grid = self.grid(number)
        return ScalarField(grid, read_array(self._folder(number), "density"))

    def snapshot(self, number: int) -> Snapshot:
        """A snapshot with all that is known of it; its charge is checked again."""
        info = self.info(number)
        attributes = self._attributes_of(number)
        folder, grid = self._folder(number), self.grid(number)
        present = attributes["optional"]
        saed = read_array(folder, "rho_saed") if "rho_saed" in present else None
        return Snapshot(
            structure=read_structure(folder),
            density=ScalarField(grid, read_array(folder, "density")),
            n_electrons=info.n_electrons,
            energy=info.energy,
            forces=read_array(folder, "forces") if "forces" in present else None,
            rho_saed=None if saed is None else ScalarField(grid, saed),
            provenance=attributes["provenance"],
        )

    def failures(self) -> list[Failure]:
        """Snapshots that failed and have not succeeded since, by number."""
        folder = self.path / "failures"
        missing = sorted(set(_numbered(folder)) - set(self.numbers()))
        return [Failure(**read_attributes(folder / _name(n))) for n in missing]

    def trajectories(self) -> dict[str, str]:
        """The split of every trajectory, by name."""
        return self._trajectories.splits()

    def digest(self) -> str:
        """Hash of the data: changes exactly when snapshots, their splits, the radial tables or the
        engine do, whatever the order of writing.
        """
        infos = [self.info(n) for n in self.numbers()]
        snapshots = [(i.number, i.digest, i.trajectory, i.split) for i in infos]
        radial = [(z, table.digest()) for z, table in self.radial.items()]
        return digest(snapshots, radial, self.engine)

    # -- adding to it -----------------------------------------------------------------------

    def write(self, number: int, snapshot: Snapshot, *, label: str, trajectory: str, split: str) -> None:
        """Add a snapshot: it appears complete, or not at all.

        Parameters
        ----------
        number : int
            Its number, not taken yet.
        snapshot : Snapshot
        label, trajectory, split : str
            See `SnapshotInfo`.

        Raises
        ------
        StoreError
            The number is taken, the trajectory belongs to another split, or the store is open for
            reading.
        NearsightError
            The disk is full; the store stays whole.
        """
        self._require_writable()
        require_split(split)
        if number < 0:
            raise StoreError(f"a snapshot's number is not negative, as {number} is")
        self._trajectories.require(trajectory, split)
        info = info_of(number, snapshot, label, trajectory, split)
        arrays = snapshot_arrays(snapshot)
        optional = sorted(set(arrays) & {"forces", "rho_saed"})
        attributes = {"info": asdict(info), "optional": optional, "provenance": snapshot.provenance}
        try:
            with atomic_folder(self._folder(number), self.path) as folder:
                write_group(folder, attributes, arrays)
                self._trajectories.claim(trajectory, split)
        except FileExistsError:
            raise StoreError(f"{self.path} has a snapshot {number} already; nothing was changed") from None

    def record_failure(
        self, number: int, label: str, message: str, *, formula: str = "", kind: str = "error", tries: int = 1
    ) -> Failure:
        """Note why a snapshot could not be labelled; a later `write` of that number clears it."""
        self._require_writable()
        failure = Failure(number, label, message, formula, kind, tries)
        write_attributes(self.path / "failures" / _name(number), asdict(failure))
        return failure

    def set_radial(self, radial: Mapping[int, RadialDensity]) -> None:
        """Add free-atom densities of elements that have none yet.

        Raises
        ------
        StoreError
            An element has a different table already: what was learned from it must stay true.
        """
        self._require_writable()
        present = self.radial
        for number, table in radial.items():
            if number in present and present[number].digest() == table.digest():
                continue
            try:
                with atomic_folder(self.path / "radial" / str(number), self.path) as folder:
                    write_radial(folder, table)
            except FileExistsError:
                raise StoreError(
                    f"{self.path} has another radial density of element {number}; a data set keeps the one "
                    "that it was made with"
                ) from None

    # -- inside -----------------------------------------------------------------------------

    def _folder(self, number: int) -> Path:
        return self.path / "snapshots" / _name(number)

    def _attributes_of(self, number: int) -> dict[str, Any]:
        try:
            return read_attributes(self._folder(number))
        except FileNotFoundError:
            numbers = self.numbers()
            has = f"it has {len(numbers)}, from {numbers[0]} to {numbers[-1]}" if numbers else "it is empty"
            raise StoreError(f"{self.path} has no snapshot {number}; {has}") from None

    def _require_writable(self) -> None:
        if not self.writable:
            raise StoreError(f"{self.path} is open for reading; open it with mode 'a' to add to it")

    def __len__(self) -> int:
        return len(self.numbers())

    def __repr__(self) -> str:
        return f"Dataset({self.path}, {len(self)} snapshots)"


def _name(number: int) -> str:
    return f"{number:06d}"


def _numbered(folder: Path) -> list[int]:
    return sorted(int(p.parent.name) for p in folder.glob("*/zarr.json") if p.parent.name.isdigit())
