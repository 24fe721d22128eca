"""`survey`: what a model and the labelled data say of structures that could be labelled next."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import psutil
from ase.data import chemical_symbols

from nearsight.coreset.design import group_distances
from nearsight.errors import InputError
from nearsight.model.density_model import DensityModel
from nearsight.progress import Progress, silent
from nearsight.structure import Structure
from nearsight.workflows.acquisition_rules import COVER_POINTS, By, Offer, choose, offered
from nearsight.workflows.acquisition_scores import random_features, uncertainty_at

#: quantile of σ at labelled points, and multiple of its median where none are known, above which σ is large
_QUANTILE, _MULTIPLE = 0.95, 2.0


class Pick(NamedTuple):
    """A structure that was chosen: its row, why, and what it was worth."""

    row: int
    reason: str
    score: float


class Known(NamedTuple):
    """What is known of a structure before it is labelled; see `nearsight.workflows.acquire.Ranked`."""

    sigma: float | None = None
    share_above: float | None = None
    distance: float | None = None


@dataclass(frozen=True, eq=False)
class Survey:
    """Structures and what is known of those that can be described.

    Attributes
    ----------
    structures : sequence of Structure
    elements : tuple of int
        Those that the model knows.
    described : list of int
        Rows of the structures that hold no other element.
    offer : Offer or None
        Of the described; None where there are none.
    distance : ndarray or None
        Mean distance of each described structure's points to the nearest labelled one.
    threshold : float or None
        Epistemic σ above which a point counts as uncertain, e/bohr³.
    """

    structures: Sequence[Structure]
    elements: tuple[int, ...]
    described: list[int]
    offer: Offer | None
    distance: np.ndarray | None
    threshold: float | None

    @property
    def undescribed(self) -> list[int]:
        """Rows of the structures with an element that the model never saw."""
        return sorted(set(range(len(self.structures))) - set(self.described))

    def pick(self, by: By, n: int, rng: np.random.Generator) -> list[Pick]:
        """The batch: new elements first, then by the rule, and what cannot be described last."""
        covering = by_new_elements(self.structures, self.elements)[:n]
        picks = [Pick(row, "new element", float(new)) for row, new in covering]
        if self.offer is not None and (left := min(n - len(picks), len(self.described))) > 0:
            design = choose(by, self.offer, left, rng)
            picks += [
                Pick(self.described[k], by, float(value))
                for k, value in zip(design.order, design.value, strict=True)
            ]
        spare = [row for row in self.undescribed if row not in {pick.row for pick in picks}]
        if missing := n - len(picks):
            picks += [
                Pick(int(row), "not described", 0.0) for row in rng.choice(spare, missing, replace=False)
            ]
        return picks

    def of(self, row: int) -> "Known":
        """What is known of a structure."""
        if self.offer is None or row not in self.described:
            return Known()
        k, uncertainty = self.described.index(row), self.offer.uncertainty
        distance = None if self.distance is None else float(self.distance[k])
        if uncertainty is None:
            return Known(distance=distance)
        above = float((uncertainty.sigma[k] > self.threshold).mean())
        return Known(float(uncertainty.rms[k]), above, distance)

    def notes(self, picks: Sequence[Pick]) -> list[str]:
        """What a person should know of elements that the model never saw."""
        if not self.undescribed:
            return []
        unseen = sorted({z for s in self.structures for z in s.species} - set(self.elements))
        taken = sum(pick.row in set(self.undescribed) for pick in picks)
        return [
            f"{len(self.undescribed)} candidates hold {', '.join(chemical_symbols[z] for z in unseen)}, "
            f"which the model never saw, and cannot be described; {taken} of them were chosen"
        ]


def by_new_elements(structures: Sequence[Structure], known: Collection[int]) -> list[tuple[int, int]]:
    """Few structures that hold all elements not known, greedily, each with how many it was first to bring.

    Among those that bring as many, the one in which the rarest of them has most atoms.
    """
    open_elements = {z for s in structures for z in s.species} - set(known)
    found: list[tuple[int, int]] = []
    while open_elements:
        news = [open_elements & set(s.species) for s in structures]
        rarest = [
            min(((s.numbers == z).mean() for z in new), default=0.0)
            for s, new in zip(structures, news, strict=True)
        ]
        best = max(range(len(structures)), key=lambda i: (len(news[i]), rarest[i], -i))
        found.append((best, len(news[best])))
        open_elements -= news[best]
    return found


def survey(
    model: DensityModel,
    structures: Sequence[Structure],
    labelled: Sequence[Structure],
    n_points: int,
    *,
    threshold: float | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Survey:
    """Describe structures by random points, and ask the model how sure it is there.

    Parameters
    ----------
    model : DensityModel
    structures, labelled : sequence of Structure
        Candidates, and what is labelled already; of these all that hold an element that the model never saw
        are passed over.
    n_points : int
        Points a candidate.
    threshold : float, optional
        See `nearsight.workflows.acquire.acquire`.
    seed : int
    progress : Progress

    Raises
    ------
    InputError
        More points than fit into memory.
    """
    described = [i for i, s in enumerate(structures) if set(s.species) <= set(model.elements)]
    if not described:
        return Survey(structures, model.elements, [], None, None, threshold)
    descriptor, width = model.descriptor, model.descriptor.n_features
    _require_room(len(described) * n_points * width * 4, len(described), n_points)
    mine = [structures[i] for i in described]
    features = random_features(descriptor, mine, n_points, seed=seed, progress=progress)
    old = [s for s in labelled if set(s.species) <= set(model.elements)]
    known = random_features(descriptor, old, COVER_POINTS, seed=seed)
    uncertainty = None
    if model.knows_uncertainty:
        uncertainty = uncertainty_at(model, features, np.array([s.volume for s in mine]))
        if threshold is None:
            volumes = np.array([s.volume for s in old])
            threshold = (
                float(np.quantile(uncertainty_at(model, known, volumes).sigma, _QUANTILE))
                if old
                else _MULTIPLE * float(np.median(uncertainty.sigma))
            )
    offer = offered(features, known, uncertainty)
    distance = group_distances(offer.groups[:, :COVER_POINTS], offer.labelled).mean(axis=1) if old else None
    return Survey(structures, model.elements, described, offer, distance, threshold)


def _require_room(needed: int, n_structures: int, n_points: int) -> None:
    free = psutil.virtual_memory().available
    if 2 * needed > free:
        raise InputError(
            f"{n_points} points of {n_structures} candidates take {2 * needed / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are free; give fewer --points, or fewer candidates"
        )
