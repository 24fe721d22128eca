"""The networks that score: trained briefly, on a random part of the points or on all of them."""

import copy
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch

from nearsight.errors import ConvergenceError, InputError
from nearsight.model.scaler import FeatureScaler
from nearsight.model.target import Target, TargetKind
from nearsight.networks.precision import hidden_products, resolve_device
from nearsight.networks.protocol import NetworkSettings, TraceableNetwork
from nearsight.progress import Progress, silent
from nearsight.provenance import generator
from nearsight.store.table import PointTable
from nearsight.training.score_kinds import TRAJECTORY, Judge, judged, last_inputs
from nearsight.training.score_settings import ScoreSettings
from nearsight.training.settings import TrainSettings
from nearsight.training.task import torch_generator
from nearsight.training.trainer import Trainer, TrainingData

#: points of a proxy at least
_FEWEST = 16_384
#: points that settle the scale of confidence at most
_SPREAD_POINTS = 16_384


def proxy_rows(n_points: int, settings: ScoreSettings, seed: int) -> np.ndarray | None:
    """Rows on which the scoring networks are trained, ascending; None where that is all of them."""
    if settings.proxy is None:
        return None
    n = max(_FEWEST, round(settings.proxy * n_points))
    if n >= n_points:
        return None
    rng = generator(seed, "score proxy")
    return np.sort(rng.choice(n_points, n, replace=False, shuffle=False))


def scoring_network(network: NetworkSettings, settings: ScoreSettings) -> NetworkSettings:
    """The network that scores: `network`, with the proxy's width and depth where they are given.

    Raises
    ------
    InputError
        A width or depth for a network that has none.
    """
    asked = {"width": settings.proxy_width, "depth": settings.proxy_depth}
    changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if not changes:
        return network
    known = {field.name for field in fields(network)} if is_dataclass(network) else set()
    if isinstance(network, type) or not is_dataclass(network) or not changes.keys() <= known:
        raise InputError(
            f"the network '{network.name}' has no {' or '.join(changes)} to change for scoring; "
            "leave scoring's proxy_width and proxy_depth out"
        )
    return replace(network, **changes)


@dataclass(frozen=True, eq=False)
class Panel:
    """All scoring networks, and how a point is put before them."""

    judges: tuple[Judge, ...]
    scaler: FeatureScaler
    target: Target
    device: torch.device
    settings: ScoreSettings
    kinds: tuple[str, ...]

    def score(self, block: PointTable) -> dict[str, np.ndarray]:
        """Scores (m,), float32, of the points of one block, by kind."""
        data = TrainingData(block, self.scaler, self.target, self.device)
        x, t = data.block(0, len(data))
        total = {kind: np.zeros(len(block)) for kind in self.kinds}
        outputs = []
        for judge in self.judges:
            with hidden_products(self.settings.precision, self.device):
                scores, output = judged(judge, x, t, self.kinds, self.settings.window)
            for kind, score in scores.items():
                total[kind] += score.cpu().numpy()
            if "disagreement" in total:
                outputs.append(output)
        found = {kind: (sums / len(self.judges)).astype(np.float32) for kind, sums in total.items()}
        if outputs:
            found["disagreement"] = torch.stack(outputs).std(dim=0).cpu().numpy()
        return found


def train_panel(
    proxy: PointTable,
    network: NetworkSettings,
    target: TargetKind,
    settings: ScoreSettings,
    train: TrainSettings,
    kinds: tuple[str, ...],
    *,
    n_points: int,
    seed: int = 0,
    progress: Progress = silent,
) -> Panel:
    """Train the scoring networks.

    Parameters
    ----------
    proxy : PointTable
        What they are trained on; it settles the standardisation, too.
    network : NetworkSettings
        Of a `TraceableNetwork`.
    target, settings, train, seed, progress
        See `nearsight.training.scores.score_points`.
    kinds : tuple of str
        What they will be asked for.
    n_points : int
        How many points will be scored: the Gram matrix of leverage is scaled up to them.

    Raises
    ------
    InputError
        A network whose gradients have no closed form.
    ConvergenceError
        A training that diverged.
    """
    device = resolve_device(train.device)
    train = replace(train, steps=settings.steps, epochs=None, decay="constant")
    scaler = FeatureScaler.fit(proxy.features, proxy.weight)
    learned = Target.fit(target, proxy.density, proxy.rho_saed, proxy.weight, positive=network.positive)
    data = TrainingData(proxy, scaler, learned, device)
    judges = []
    progress("training scoring networks", 0, settings.initialisations)
    for start in range(settings.initialisations):
        module = network.build(proxy.n_features, torch_generator(seed, "score", start)).to(device)
        if not isinstance(module, TraceableNetwork):
            raise InputError("scores need a network of linear layers; choose network: mlp")
        order = int(generator(seed, "score", start).integers(2**31))
        earlier = _train_briefly(Trainer(module, data, train, order), settings, kinds)  # type: ignore[arg-type]
        judges.append(_made_judge(module, earlier, data, settings, kinds, n_points))
        progress("training scoring networks", start + 1, settings.initialisations)
    return Panel(tuple(judges), scaler, learned, device, settings, kinds)


def _train_briefly(
    trainer: Trainer, settings: ScoreSettings, kinds: Collection[str]
) -> tuple[TraceableNetwork, ...]:
    """Take all steps; copies of the network at the checks before the last where a kind needs them."""
    keep = set(settings.check_steps()[:-1]) if TRAJECTORY & set(kinds) else set()
    earlier = []
    for step in range(1, trainer.total + 1):
        loss = trainer.step()
        if step in keep:
            earlier.append(copy.deepcopy(trainer.network).requires_grad_(False))
            earlier[-1].zero_grad(set_to_none=True)
    if not bool(torch.isfinite(loss)):
        raise ConvergenceError("a scoring network diverged; lower the training setting learning_rate")
    trainer.network.zero_grad(set_to_none=True)
    return tuple(earlier)  # type: ignore[arg-type]


def _made_judge(
    network: TraceableNetwork,
    earlier: tuple[TraceableNetwork, ...],
    data: TrainingData,
    settings: ScoreSettings,
    kinds: Collection[str],
    n_points: int,
) -> Judge:
    judge = Judge(network, earlier)
    if TRAJECTORY & set(kinds):
        judge = replace(judge, spread=_median_error(judge, data, settings))
    if "leverage" in kinds:
        judge = replace(judge, whitening=_whitening(network, data, settings, n_points / len(data)))
    return judge


def _median_error(judge: Judge, data: TrainingData, settings: ScoreSettings) -> float:
    """Median |e| over points, evenly spread, and checks; never zero."""
    rows = np.unique(np.linspace(0, len(data) - 1, min(len(data), _SPREAD_POINTS)).astype(np.int64))
    x, t, _ = data.gather(rows)
    with hidden_products(settings.precision, data.device):
        errors = [network.predict(x) - t for network in (*judge.earlier, judge.network)]
    return max(float(torch.stack(errors).abs().median()), 1e-12)


def _whitening(
    network: TraceableNetwork, data: TrainingData, settings: ScoreSettings, factor: float
) -> torch.Tensor:
    """W with WᵀW = (factor·AᵀA + λ)⁻¹, A the last layer's inputs at the proxy's points."""
    gram = sum(a.double().T @ a.double() for a in _activations(network, data, settings))
    assert isinstance(gram, torch.Tensor)
    gram = gram * factor
    damping = settings.ridge * gram.diagonal().mean()
    lower = torch.linalg.cholesky(gram + damping * torch.eye(len(gram), device=gram.device))
    unit = torch.eye(len(gram), dtype=torch.float64, device=gram.device)
    whitening: torch.Tensor = torch.linalg.solve_triangular(lower, unit, upper=False)
    return whitening.float()


@torch.no_grad()
def _activations(
    network: TraceableNetwork, data: TrainingData, settings: ScoreSettings
) -> Iterator[torch.Tensor]:
    for first in range(0, len(data), settings.block):
        x, _ = data.block(first, min(first + settings.block, len(data)))
        with hidden_products(settings.precision, data.device):
            trace = network.traced(x)[1]
        yield last_inputs(trace)
