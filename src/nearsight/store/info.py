"""`SnapshotInfo`: what a store says of a snapshot without reading its density."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from nearsight.errors import StoreError
from nearsight.io.zarr_groups import structure_arrays
from nearsight.provenance import digest
from nearsight.snapshot import Snapshot

Split = Literal["train", "validation", "test"]
#: the three parts of a data set
SPLITS: tuple[str, ...] = get_args(Split)


@dataclass(frozen=True)
class SnapshotInfo:
    """One snapshot's entry.

    Attributes
    ----------
    number : int
        Its number in the data set.
    label : str
        A name for people, such as ``train-300K/0002``.
    trajectory : str
        The independent trajectory, or structure family, it comes from.
    split : str
        ``train``, ``validation`` or ``test``.
    formula : str
    n_atoms : int
    shape : tuple of three int
        Its grid.
    n_electrons : float
    energy : float or None
        Free energy of the cell in hartree.
    structure_digest, digest : str
        Hashes of the structure, and of everything that is data.
    """

    number: int
    label: str
    trajectory: str
    split: str
    formula: str
    n_atoms: int
    shape: tuple[int, int, int]
    n_electrons: float
    energy: float | None
    structure_digest: str
    digest: str


def require_split(split: str) -> None:
    """Raise `StoreError` unless `split` is one of `SPLITS`."""
    if split not in SPLITS:
        raise StoreError(f"a split is one of {', '.join(SPLITS)}, not '{split}'")


def info_of(number: int, snapshot: Snapshot, label: str, trajectory: str, split: str) -> SnapshotInfo:
    """The entry of a snapshot that is about to be stored."""
    return SnapshotInfo(
        number=number,
        label=label,
        trajectory=trajectory,
        split=split,
        formula=snapshot.structure.formula,
        n_atoms=snapshot.structure.n_atoms,
        shape=snapshot.density.grid.shape,
        n_electrons=float(snapshot.n_electrons),
        energy=None if snapshot.energy is None else float(snapshot.energy),
        structure_digest=snapshot.structure.digest(),
        digest=content_digest(snapshot),
    )


def snapshot_arrays(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """Everything of a snapshot that is an array, in atomic units."""
    arrays = structure_arrays(snapshot.structure) | {"density": snapshot.density.values}
    if snapshot.forces is not None:
        arrays["forces"] = np.asarray(snapshot.forces, dtype=np.float64)
    if snapshot.rho_saed is not None:
        arrays["rho_saed"] = snapshot.rho_saed.values
    return arrays


def content_digest(snapshot: Snapshot) -> str:
    """Hash of what a snapshot holds, its provenance left out."""
    named = [part for item in sorted(snapshot_arrays(snapshot).items()) for part in item]
    return digest(
        *named, float(snapshot.n_electrons), None if snapshot.energy is None else float(snapshot.energy)
    )
