"""Rules that choose the structures of a batch: by epistemic uncertainty, by cover, by both, or at random."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from nearsight.coreset.design import Design, covering_groups, most_informative
from nearsight.errors import InputError
from nearsight.model.scaler import FeatureScaler
from nearsight.workflows.acquisition_scores import Uncertainty

By = Literal["coverage", "both", "epistemic", "random"]
#: the rules
RULES: tuple[str, ...] = get_args(By)
#: points of a structure that distances are taken of
COVER_POINTS = 100


@dataclass(frozen=True, eq=False)
class Offer:
    """What a rule chooses from; rows belong together.

    Attributes
    ----------
    groups : ndarray (n_structures, m, n_features)
        Features of each structure's points, standardised over all structures.
    labelled : ndarray (k, n_features)
        Those of points that are labelled already; may be empty.
    uncertainty : Uncertainty or None
        What the model knows of its own ignorance there; None where no rule asks for it.
    """

    groups: np.ndarray
    labelled: np.ndarray
    uncertainty: Uncertainty | None = None


def offered(features: np.ndarray, labelled: np.ndarray, uncertainty: Uncertainty | None = None) -> Offer:
    """An offer of raw features (n_structures, m, d) and those of labelled ones, standardised together."""
    width = features.shape[2]
    known = labelled.reshape(-1, width)
    scaler = FeatureScaler.fit(np.concatenate([features.reshape(-1, width), known]))
    return Offer((features - scaler.mean) / scaler.std, (known - scaler.mean) / scaler.std, uncertainty)


def require_rule(by: str) -> By:
    """The rule of that name.

    Raises
    ------
    InputError
        There is none.
    """
    for rule in get_args(By):
        if by == rule:
            return rule
    raise InputError(f"structures are chosen by {', '.join(RULES)}, not by '{by}'")


def needs_uncertainty(by: By) -> bool:
    """Whether the rule asks a model how sure it is."""
    return by in ("epistemic", "both")


def choose(by: By, offer: Offer, n: int, rng: np.random.Generator) -> Design:
    """The batch that a rule takes.

    Raises
    ------
    InputError
        More to choose than there are.
    """
    rules: dict[By, Callable[[Offer, int, np.random.Generator], Design]] = {
        "epistemic": _by_uncertainty,
        "coverage": _by_cover,
        "both": _by_both,
        "random": _at_random,
    }
    return rules[by](offer, n, rng)


def _known(offer: Offer) -> Uncertainty:
    assert offer.uncertainty is not None, "the rule needs the uncertainty"
    return offer.uncertainty


def _by_uncertainty(offer: Offer, n: int, rng: np.random.Generator) -> Design:
    """Largest expected fall of the mean variance of all points; `_by_both` without a joint distribution."""
    known = _known(offer)
    if known.factors is None:
        return _by_both(offer, n, rng)
    rows = known.factors.reshape(-1, known.factors.shape[2])
    information = np.swapaxes(known.factors, 1, 2) @ (known.factors * known.share[:, :, None])
    return most_informative(information, n, target=rows.T @ rows / len(rows))


def _by_cover(offer: Offer, n: int, rng: np.random.Generator) -> Design:
    """Largest fall of the mean distance of all points to the nearest that is labelled."""
    return _covering(offer, n)


def _by_both(offer: Offer, n: int, rng: np.random.Generator) -> Design:
    """As by cover, each point's distance times its epistemic σ."""
    return _covering(offer, n, _known(offer).sigma)


def _covering(offer: Offer, n: int, weight: np.ndarray | None = None) -> Design:
    few = None if weight is None else weight[:, :COVER_POINTS]
    return covering_groups(offer.groups[:, :COVER_POINTS], n, known=offer.labelled, weight=few)


def _at_random(offer: Offer, n: int, rng: np.random.Generator) -> Design:
    if not 1 <= n <= len(offer.groups):
        raise InputError(f"cannot choose {n} of {len(offer.groups)} structures")
    return Design(rng.choice(len(offer.groups), n, replace=False), np.zeros(n))
