"""`Material`: all that a model is trained from, whether it comes from a data set or a coreset."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from nearsight.atomic.radial import RadialDensity
from nearsight.descriptors.evaluator import evaluate
from nearsight.descriptors.protocol import Descriptor
from nearsight.errors import StoreError
from nearsight.points import PointSet
from nearsight.progress import Progress, silent
from nearsight.provenance import generator
from nearsight.store import Coreset, Dataset, PointTable
from nearsight.structure import Structure
from nearsight.training import describe_points

#: volume (bohr³) that holds one independent value of a model's error. What a model gets wrong in aluminium is
#: alike over 1.35 bohr, so that 522 values tell all of the 91,125 of a 32-atom snapshot: one in 7 bohr³
#: (docs/coresets.md); rounded up, as counting a value twice makes a model too sure of itself. In water and
#: CrFeCoNi errors are alike over less, and the count is on the careful side.
INDEPENDENT_VOLUME: Final = 9.0


@dataclass(frozen=True, eq=False)
class Material:
    """Described points with what the model must remember of their origin.

    Attributes
    ----------
    training : PointTable
    validation : PointTable or None
        Points of held-out snapshots; None where the data has no validation snapshots.
    radial : dict of int to RadialDensity
    valence : dict of int to float
        Valence electrons by atomic number.
    engine : dict or None
        Fingerprint of the engine behind the data.
    spacing : float
        Grid spacing in bohr.
    digest : str
        Hash of the data set behind it.
    volumes : dict of int to float
        Cell volume, bohr³, of each snapshot that training points come from; others may be in it.
    """

    training: PointTable
    validation: PointTable | None
    radial: dict[int, RadialDensity]
    valence: dict[int, float]
    engine: dict[str, Any] | None
    spacing: float
    digest: str
    volumes: Mapping[int, float] = field(default_factory=dict)

    @property
    def independent_values(self) -> float | None:
        """How many of the training points' values are no repetition of their neighbours'.

        One in `INDEPENDENT_VOLUME` of each snapshot that a training point comes from, and no more than there
        are points; None where a volume is not known.
        """
        numbers = np.unique(self.training.points.snapshot)
        if not all(int(n) in self.volumes for n in numbers):
            return None
        volume = sum(self.volumes[int(n)] for n in numbers)
        return float(min(volume / INDEPENDENT_VOLUME, len(self.training)))


def species_of(dataset: Dataset) -> tuple[int, ...]:
    """The elements of the training snapshots, ascending."""
    return tuple(sorted({z for n in training_snapshots(dataset) for z in dataset.structure(n).species}))


def training_snapshots(dataset: Dataset) -> list[int]:
    """Numbers of the training snapshots; raises `StoreError` where there are none."""
    numbers = dataset.snapshots("train")
    if not numbers:
        raise StoreError(f"{dataset.path} has no training snapshots; label or import some with split 'train'")
    return numbers


def training_points(dataset: Dataset) -> PointSet:
    """Every grid point of every training snapshot."""
    numbers = training_snapshots(dataset)
    return PointSet.all_of(numbers, [int(np.prod(dataset.info(n).shape)) for n in numbers])


def validation_points(dataset: Dataset, n_points: int, seed: int) -> PointSet | None:
    """A fixed random set of points of the validation snapshots; None where there are none."""
    numbers = dataset.snapshots("validation")
    if not numbers:
        return None
    every = PointSet.all_of(numbers, [int(np.prod(dataset.info(n).shape)) for n in numbers])
    n = min(n_points, len(every))
    chosen = generator(seed, "validation points").choice(len(every), n, replace=False)
    return every.take(np.sort(chosen))


def describe_validation(
    dataset: Dataset, descriptor: Descriptor, n_points: int, seed: int
) -> PointTable | None:
    """Describe the validation points of a data set."""
    points = validation_points(dataset, n_points, seed)
    return None if points is None else describe_points(dataset, descriptor, points)


def from_dataset(
    dataset: Dataset,
    training: PointTable,
    validation: PointTable | None,
) -> Material:
    """Material of a data set whose points have been described."""
    numbers = training_snapshots(dataset)
    structures = {n: dataset.structure(n) for n in numbers}
    counts = {n: dataset.info(n).n_electrons for n in numbers}
    radial = dataset.radial
    return Material(
        training,
        validation,
        radial,
        valence_electrons(structures, counts, radial),
        dataset.engine,
        float(dataset.grid(numbers[0]).spacing.max()),
        dataset.digest(),
        {n: structure.volume for n, structure in structures.items()},
    )


def from_coreset(coreset: Coreset, descriptor: Descriptor, progress: Progress = silent) -> Material:
    """Material of a coreset; its points are described anew where `descriptor` is not the one stored."""
    training, validation = (
        _table(coreset, part, descriptor, progress) for part in (coreset.training, coreset.validation)
    )
    if training is None:
        raise StoreError(f"{coreset!r} holds no training points; prune again")
    counts = {n: info.n_electrons for n, info in coreset.infos.items()}
    first = min(coreset.grids)
    return Material(
        training,
        validation,
        coreset.radial,
        valence_electrons(coreset.structures, counts, coreset.radial),
        coreset.engine,
        float(coreset.grids[first].spacing.max()),
        coreset.dataset_digest,
        {n: structure.volume for n, structure in coreset.structures.items()},
    )


def valence_electrons(
    structures: Mapping[int, Structure], counts: Mapping[int, float], radial: Mapping[int, RadialDensity]
) -> dict[int, float]:
    """Valence electrons by element: from the radial tables, else from the electron counts.

    Without tables the counts of all snapshots are solved for the elements by least squares; the
    shortest solution is taken where compositions do not tell the elements apart, which still gives the
    right count for such compositions.
    """
    species = sorted({z for s in structures.values() for z in s.species})
    if all(z in radial for z in species):
        return {z: radial[z].n_electrons for z in species}
    composition = np.array([[(s.numbers == z).sum() for z in species] for s in structures.values()], float)
    electrons = np.array([counts[n] for n in structures])
    solution = np.linalg.lstsq(composition, electrons, rcond=None)[0]
    return {z: float(n) for z, n in zip(species, solution, strict=True)}


def _table(
    coreset: Coreset, data: PointTable, descriptor: Descriptor, progress: Progress
) -> PointTable | None:
    """The table of one part of a coreset, None if the part is empty."""
    if len(data) == 0:
        return None
    if coreset.descriptor == descriptor.settings():
        return data
    features = np.empty((len(data), descriptor.n_features), dtype=np.float32)
    done = 0
    for number, rows in data.points.by_snapshot():
        positions = coreset.grids[number].points_at(data.points.index[rows])
        features[rows] = evaluate(descriptor.prepare(coreset.structures[number]), positions)
        done += len(rows)
        progress("describing points", done, len(data))
    return replace(data, features=features)
