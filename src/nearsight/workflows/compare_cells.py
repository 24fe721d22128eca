"""`compare_cells`: whether the points of a small cell cover those of a large one.

Distributions of descriptors in small and large cells say which cell is large enough to learn from
(S. Pathrudkar et al., npj Comput. Mater. 10, 175 (2024)). They need no density: structures are enough.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearsight.descriptors import Descriptor, descriptor_from_settings
from nearsight.errors import InputError
from nearsight.io.extxyz import read_frames
from nearsight.metrics.distributions import Outside, ks_distances, outside
from nearsight.model.file import load_model
from nearsight.model.scaler import FeatureScaler
from nearsight.progress import Progress, silent
from nearsight.provenance import generator, to_plain
from nearsight.store import Dataset
from nearsight.structure import Structure

#: random cuts of the small set's snapshots into halves, over which its distance from itself is averaged
_CUTS = 5


@dataclass(frozen=True)
class GroupDistance:
    """Kolmogorov–Smirnov distances of a group of features.

    Attributes
    ----------
    name : str
    n_features : int
    mean, largest : float
        Between small and large cells, over the features.
    own_mean, own_largest : float
        Between two halves of the small set's snapshots, mean over several cuts.
    """

    name: str
    n_features: int
    mean: float
    largest: float
    own_mean: float
    own_largest: float


@dataclass(frozen=True, eq=False)
class CellComparison:
    """What `compare_cells` found.

    Attributes
    ----------
    descriptor : dict
        Settings.
    n_points : int
        Of each of the two sets.
    small_snapshots, large_snapshots : int
    groups : list of GroupDistance
    ks, own_ks : ndarray (n_features,)
        Distance of each feature small against large, and between halves of the small set.
    outside : Outside
    large_shares : ndarray (large_snapshots,)
        Share outside, snapshot by snapshot.
    names : tuple of str
        Of the features.
    small_features, large_features : ndarray (n_points, n_features), float32
    """

    descriptor: dict[str, Any]
    n_points: int
    small_snapshots: int
    large_snapshots: int
    groups: list[GroupDistance]
    ks: np.ndarray
    own_ks: np.ndarray
    outside: Outside
    large_shares: np.ndarray
    names: tuple[str, ...]
    small_features: np.ndarray
    large_features: np.ndarray

    @property
    def standard_error(self) -> float | None:
        """Of the share outside, over the large set's snapshots; None with one."""
        n = len(self.large_shares)
        return float(self.large_shares.std(ddof=1) / np.sqrt(n)) if n > 1 else None

    @property
    def mean_ratio(self) -> float:
        """Mean nearest distance of the large cell's points over that of the small one's own."""
        return float(self.outside.large.mean() / max(self.outside.small.mean(), 1e-300))

    @property
    def verdict(self) -> str:
        """One line for a person."""
        error = "" if self.standard_error is None else f" ± {100 * self.standard_error:.1f}"
        return (
            f"{100 * self.outside.share:.1f}{error} % of the large cell's points lie outside what the small "
            f"cell covers; {100 * self.outside.chance:.0f} % would be chance"
        )

    def as_json(self) -> dict[str, Any]:
        """Machine-readable result."""
        found: dict[str, Any] = {
            "verdict": self.verdict,
            "share_outside": self.outside.share,
            "share_outside_standard_error": self.standard_error,
            "share_outside_by_snapshot": self.large_shares.tolist(),
            "chance": self.outside.chance,
            "threshold": self.outside.threshold,
            "mean_distance_small": float(self.outside.small.mean()),
            "mean_distance_large": float(self.outside.large.mean()),
            "groups": [asdict(group) for group in self.groups],
            "features": [
                {"name": name, "ks": float(a), "ks_within_small": float(b)}
                for name, a, b in zip(self.names, self.ks, self.own_ks, strict=True)
            ],
            "descriptor": self.descriptor,
            "n_points": self.n_points,
            "small_snapshots": self.small_snapshots,
            "large_snapshots": self.large_snapshots,
        }
        return dict(to_plain(found))


def compare_cells(
    small: Path | str | Sequence[Structure],
    large: Path | str | Sequence[Structure],
    descriptor: Mapping[str, Any] | None = None,
    *,
    model: Path | str | None = None,
    n_points: int = 10_000,
    seed: int = 0,
    progress: Progress = silent,
) -> CellComparison:
    """Describe random points of small and large cells and compare.

    Parameters
    ----------
    small, large : path or structures
        Data set or extended-XYZ file. Of data sets the test snapshots are left out, and of the small
        one the validation snapshots too: what a model learns from is what can cover. At least two small ones.
    descriptor : mapping, optional
        Name and settings; the scalar products' defaults unless given. Species are those of the small set.
    model : path, optional
        Take its descriptor and its standardisation instead.
    n_points : int
        Points of each set, uniform in space, evenly from its structures.
    seed : int
    progress : Progress

    Raises
    ------
    InputError
        Both a descriptor and a model, fewer than two small structures, too few points.
    UnknownElementError
        The large cells hold an element that the descriptor does not know.
    """
    parts = (_structures(small, ("train",)), _structures(large, ("train", "validation")))
    if len(parts[0]) < 2:
        raise InputError(f"{small} gives one structure; the spread between snapshots needs at least two")
    if n_points < 10 * max(len(part) for part in parts):
        raise InputError(f"--points {n_points} is too few for {len(parts[0])} and {len(parts[1])} structures")
    chosen, scaler = _descriptor(parts[0], descriptor, model)
    rng = generator(seed, "compare cells")
    features, owner = [], []
    for name, part in zip(("small", "large"), parts, strict=True):
        described = _described(part, chosen, n_points, rng, lambda d, t, n=name: progress(f"{n} cells", d, t))
        features.append(described[0])
        owner.append(described[1])
    scaler = scaler or FeatureScaler.fit(features[0])
    standard = [(x - scaler.mean) / scaler.std for x in features]
    folds = rng.permutation(np.resize(np.arange(len(parts[0])), n_points))
    found = outside(standard[0], owner[0], standard[1], folds)
    ks = ks_distances(features[0], features[1])
    own = _own_distances(features[0], owner[0], rng)
    return CellComparison(
        descriptor=chosen.settings(),
        n_points=n_points,
        small_snapshots=len(parts[0]),
        large_snapshots=len(parts[1]),
        groups=[_group(name, columns, ks, own) for name, columns in _groups(chosen).items()],
        ks=ks,
        own_ks=own.mean(axis=0),
        outside=found,
        large_shares=np.array(
            [(found.large[owner[1] == n] > found.threshold).mean() for n in range(len(parts[1]))]
        ),
        names=_names(chosen),
        small_features=features[0],
        large_features=features[1],
    )


def _structures(source: Path | str | Sequence[Structure], splits: tuple[str, ...]) -> list[Structure]:
    """Structures of a file or of some parts of a data set."""
    if not isinstance(source, Path | str):
        return list(source)
    path = Path(source)
    if path.is_dir() or path.suffix == ".zarr":
        dataset = Dataset.open(path)
        found = [dataset.structure(n) for split in splits for n in dataset.snapshots(split)]
    else:
        found = [frame.structure for frame in read_frames(path) if frame.split in splits]
    if not found:
        raise InputError(f"{path} holds no structures of the {' or '.join(splits)} part to compare")
    return found


def _descriptor(
    structures: Sequence[Structure], settings: Mapping[str, Any] | None, model: Path | str | None
) -> tuple[Descriptor, FeatureScaler | None]:
    """The descriptor, and its standardisation where a model brings one."""
    if model is not None:
        if settings is not None:
            raise InputError("a model brings its own descriptor; give one of the two")
        loaded = load_model(model)
        return loaded.descriptor, loaded.scaler
    species = tuple(sorted({z for s in structures for z in s.species}))
    return descriptor_from_settings({"species": species, "name": "scalar_products", **(settings or {})}), None


def _described(
    structures: Sequence[Structure],
    descriptor: Descriptor,
    n_points: int,
    rng: np.random.Generator,
    report: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d) of points uniform in space, and the number of each one's structure (n,)."""
    owner = np.sort(np.resize(np.arange(len(structures)), n_points))
    features = np.empty((n_points, descriptor.n_features), dtype=np.float32)
    for number, structure in enumerate(structures):
        rows = owner == number
        points = rng.random((int(rows.sum()), 3)) @ structure.cell
        features[rows] = descriptor.prepare(structure)(points)
        report(number + 1, len(structures))
    return features, owner


def _own_distances(features: np.ndarray, owner: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Distances between halves of the snapshots, (cuts, d)."""
    n = int(owner.max()) + 1
    found = []
    for _ in range(_CUTS):
        first = np.isin(owner, rng.permutation(n)[: n // 2])
        found.append(ks_distances(features[first], features[~first]))
    return np.array(found)


def _group(name: str, columns: np.ndarray, ks: np.ndarray, own: np.ndarray) -> GroupDistance:
    return GroupDistance(
        name,
        len(columns),
        float(ks[columns].mean()),
        float(ks[columns].max()),
        float(own[:, columns].mean()),
        float(own[:, columns].max(axis=1).mean()),
    )


def _groups(descriptor: Descriptor) -> Mapping[str, np.ndarray]:
    """What kinds of features there are; one kind where the descriptor does not say."""
    every = {"features": np.arange(descriptor.n_features)}
    return getattr(descriptor, "feature_groups", every)


def _names(descriptor: Descriptor) -> tuple[str, ...]:
    """The features in words; numbers where the descriptor has none."""
    numbered = tuple(f"feature {i + 1}" for i in range(descriptor.n_features))
    return getattr(descriptor, "feature_names", numbered)
