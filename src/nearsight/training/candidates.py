"""`select_by_validation`: the best of a few trainings, by held-out snapshots and never by test data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nearsight.errors import InputError
from nearsight.networks.protocol import NetworkSettings
from nearsight.provenance import to_plain
from nearsight.training.fit import TrainResult
from nearsight.training.settings import TrainSettings


@dataclass(frozen=True)
class Candidate:
    """A network and how to train it."""

    network: NetworkSettings
    settings: TrainSettings

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"network": self.network.as_dict(), "settings": to_plain(self.settings)}


@dataclass(frozen=True, eq=False)
class Choice:
    """What a search over candidates found.

    Attributes
    ----------
    candidate : Candidate
        The best.
    result : TrainResult
        Its training; its ``seconds`` are those of all candidates together, which is what the model cost.
    errors : tuple of float
        Validation NRMSE of each candidate, per cent, in the order given.
    """

    candidate: Candidate
    result: TrainResult
    errors: tuple[float, ...]


def select_by_validation(
    candidates: Sequence[Candidate], train: Callable[[Candidate], TrainResult]
) -> Choice:
    """Train every candidate and keep the one with the lowest validation error.

    Parameters
    ----------
    candidates : sequence of Candidate
    train : callable
        Trains one of them with validation points.

    Raises
    ------
    InputError
        No candidates, or a training without validation points: there is nothing to choose by.
    """
    if not candidates:
        raise InputError("choosing among trainings needs at least one candidate")
    results = [train(candidate) for candidate in candidates]
    errors = [result.validation_nrmse_percent for result in results]
    found = [error for error in errors if error is not None]
    if len(found) < len(errors):
        raise InputError(
            "choosing among trainings needs validation points; give the data validation snapshots"
        )
    best = min(range(len(found)), key=found.__getitem__)
    model = results[best].model
    tried = [
        {**candidate.as_dict(), "validation_nrmse_percent": error}
        for candidate, error in zip(candidates, found, strict=True)
    ]
    kept = replace(model, provenance={**model.provenance, "candidates": tried})
    result = replace(results[best], model=kept, seconds=sum(result.seconds for result in results))
    return Choice(candidates[best], result, tuple(found))


def decay_candidates(
    network: NetworkSettings,
    settings: TrainSettings,
    factors: Sequence[float] = (1.0, 5.0, 25.0),
) -> list[Candidate]:
    """The same training at several weight decays: what over-fitting on few points asks for."""
    return [
        Candidate(network, replace(settings, weight_decay=settings.weight_decay * factor))
        for factor in factors
    ]
