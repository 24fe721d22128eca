"""Scores of points: how much each would move the network, from networks trained a little.

GraNd (Paul, Ganguli, Dziugaite, NeurIPS 2021, arXiv:2107.07075) is the norm of the gradient of a
point's loss with respect to all parameters, averaged over random starts. For a network of linear
layers z = Wa + b the gradient of layer l is the outer product δ_l a_lᵀ, and δ_l for the bias, with
δ_l = ∂loss/∂z_l; so its squared norm over all parameters is Σ_l ‖δ_l‖²(‖a_l‖² + 1): exact, without
ever forming a gradient, from one forward and one backward pass over the activations.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch

from nearsight.errors import InputError
from nearsight.model.scaler import FeatureScaler
from nearsight.model.target import Target, TargetKind, require_compatible
from nearsight.networks.precision import Precision, hidden_products, resolve_device, resolve_precision
from nearsight.networks.protocol import NetworkSettings, TraceableNetwork
from nearsight.progress import Progress, silent
from nearsight.provenance import generator
from nearsight.store.table import PointTable
from nearsight.training.settings import TrainSettings
from nearsight.training.task import torch_generator
from nearsight.training.trainer import Trainer, TrainingData, torch_threads


@dataclass(frozen=True)
class ScoreSettings:
    """How points are scored.

    Parameters
    ----------
    initialisations : int
        Random starts averaged over (the original takes ten or more).
    steps : int
        Optimiser steps after which a network is asked, at the peak learning rate after warm-up.
    block : int
        Points scored at a time; settles the memory needed.
    precision : {"auto", "float32", "bfloat16"}
        Of the hidden products while scoring; ``auto`` as in training, so that a score costs less than a
        training step of the point. float32 gives the norm that automatic differentiation gives, to
        1e-5; bfloat16 gives it within 2 % of the mean score, where another random start changes it by
        27 % (rms, 32-atom aluminium).

    Raises
    ------
    InputError
        A count below one.
    """

    initialisations: int = 10
    steps: int = 200
    block: int = 4096
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        if min(self.initialisations, self.steps, self.block) < 1:
            raise InputError("scoring needs at least one initialisation, one step and a block of one point")


@dataclass(frozen=True, eq=False)
class PointScores:
    """Scores of the rows of a table.

    Attributes
    ----------
    grand : ndarray (n,), float32
        Norm of the full-parameter gradient of a point's loss, averaged over initialisations.
    residual : ndarray (n,), float32
        |output − target|, standardised, averaged likewise: what EL2N is for regression.
    settings : dict
        All that settles them.
    seconds : float
    """

    grand: np.ndarray
    residual: np.ndarray
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def score_points(
    table: PointTable,
    network: NetworkSettings,
    target: TargetKind,
    settings: ScoreSettings | None = None,
    train: TrainSettings | None = None,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> PointScores:
    """Score every point of a table.

    Parameters
    ----------
    table : PointTable
        Training points; no other data is touched.
    network : NetworkSettings
        Of a `TraceableNetwork`.
    target : {"total", "difference"}
    settings : ScoreSettings
    train : TrainSettings
        Batch, learning rate, precision, threads and device of the short trainings.
    seed : int
    progress : Progress

    Raises
    ------
    InputError
        A network whose gradients have no closed form; a ReLU output with the difference density.
    """
    settings, train = settings or ScoreSettings(), train or TrainSettings()
    require_compatible(target, network.positive)
    began = time.perf_counter()
    device = resolve_device(train.device)
    train = replace(train, steps=settings.steps, epochs=None, decay="constant")
    scaler = FeatureScaler.fit(table.features, table.weight)
    learned = Target.fit(target, table.density, table.rho_saed, table.weight, positive=network.positive)
    data = TrainingData(table, scaler, learned, device)
    total = np.zeros((2, len(table)))
    progress("scoring points", 0, settings.initialisations)
    with torch_threads(train.threads):
        for start in range(settings.initialisations):
            module = network.build(table.n_features, torch_generator(seed, "score", start)).to(device)
            order = int(generator(seed, "score", start).integers(2**31))
            _train_briefly(Trainer(module, data, train, order))
            for rows, block in _scores_of(module, data, settings):
                total[:, rows] += block
            progress("scoring points", start + 1, settings.initialisations)
    grand, residual = (total / settings.initialisations).astype(np.float32)
    record = {
        **asdict(settings),
        "precision": resolve_precision(settings.precision, device),
        "network": network.as_dict(),
        "target": target,
        "batch": train.batch,
        "learning_rate": train.learning_rate,
        "seed": seed,
    }
    return PointScores(grand, residual, record, time.perf_counter() - began)


def _train_briefly(trainer: Trainer) -> None:
    for _ in range(trainer.total):
        trainer.step()


def _scores_of(
    network: TraceableNetwork, data: TrainingData, settings: ScoreSettings
) -> Iterator[tuple[slice, np.ndarray]]:
    """Norms and residuals (2, m) of all rows, block by block."""
    if not isinstance(network, TraceableNetwork):
        raise InputError("GraNd scores need a network of linear layers; choose network: mlp")
    for first in range(0, len(data), settings.block):
        rows = slice(first, min(first + settings.block, len(data)))
        x, t = data.block(rows.start, rows.stop)
        with hidden_products(settings.precision, data.device):
            scores = torch.stack(gradient_norms(network, x, t))
        yield rows, scores.cpu().numpy()


def gradient_norms(
    network: TraceableNetwork, x: torch.Tensor, t: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradient norm and residual of each point of a block, for the loss (output − t)².

    Parameters
    ----------
    network : TraceableNetwork
        Its parameters are left without gradients.
    x : Tensor (m, n_inputs), float32
        Standardised features.
    t : Tensor (m,), float32
        Standardised target.

    Returns
    -------
    norms : Tensor (m,), float32
        √Σ_l ‖δ_l‖²(‖a_l‖² + 1): the norm of the gradient with respect to all weights and biases.
    residuals : Tensor (m,), float32
        |output − t|.
    """
    output, trace = network.traced(x)
    error = output - t
    # points do not see each other, so the gradient of the summed loss holds each point's own δ
    deltas = torch.autograd.grad(error.square().sum(), [step.outputs for step in trace])
    with torch.no_grad():
        squares = torch.zeros_like(t)
        for delta, step in zip(deltas, trace, strict=True):
            squares += _squared_norm(delta) * (_squared_norm(step.inputs) + 1)
        return squares.sqrt(), error.abs()


def _squared_norm(rows: torch.Tensor) -> torch.Tensor:
    """‖row‖² in float32."""
    return torch.linalg.vector_norm(rows, dim=1, dtype=torch.float32).square()
