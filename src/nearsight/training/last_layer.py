"""`train_last_layer`: a plain training, and then what its last layer leaves open.

The network inside is trained as it would be alone. Then the noise is fitted to its errors, and one pass over
the training points sums the precision of the last layer's weights; φ of all points is never held. See
`nearsight.networks.last_layer` and `nearsight.networks.evidence` for the formulas.

Where the noise is large and where small is learned from errors on training points, of which there are many
more: fitted to one half of the validation snapshots it was worse on the other half, every time, on four
splits of two data sets of aluminium (log-likelihood lower by 0.03 to 0.35 a point). Its level is then raised
by MacKay's factor n/(n − γ), for the γ weights that the data settled, or to that of the validation errors
where it stands higher: few points are fitted better than what they stand for.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from nearsight.model.density_model import DensityModel
from nearsight.networks.evidence import Prior, fit_log_variance, prior_by_evidence
from nearsight.networks.fit_data import FitData
from nearsight.networks.last_layer import HiddenNetwork, LastLayer, LastLayerSettings
from nearsight.networks.precision import hidden_products
from nearsight.training.direct import fit_data
from nearsight.training.task import Outcome, TrainingTask, torch_generator

#: points that the noise is fitted to, at most
_NOISE_POINTS = 20_000
#: smallest share of the mean noise that a point is believed to have
_QUIETEST = 1e-4


def train_last_layer(task: TrainingTask, learn: Callable[[TrainingTask], Outcome]) -> Outcome:
    """Train the network inside, then fit the uncertainty of its last layer.

    Parameters
    ----------
    task : TrainingTask
        Whose network is a `LastLayerSettings`. Its base may be a model with such a network or with the
        network inside alone. Where all hidden layers stay as they were, the base's posterior precision is
        part of the prior; else the posterior is that of this data alone, as its features are new.
    learn : callable
        Trains the task of the network inside, which has the task's own seed.
    """
    settings = task.network
    assert isinstance(settings, LastLayerSettings)
    outcome = learn(replace(task, network=settings.each, base=_base_inside(task.base)))
    assert isinstance(outcome.network, HiddenNetwork)
    began = time.perf_counter()
    network = LastLayer(settings, outcome.network)
    with hidden_products(task.settings.precision, task.device):
        notes = _Fit(task, network, settings).run()
    seconds = outcome.seconds + time.perf_counter() - began
    record = {**outcome.record, "seconds": seconds, "last_layer": notes}
    return replace(outcome, network=network, seconds=seconds, record=record)


def _base_inside(base: DensityModel | None) -> DensityModel | None:
    """The base with the network inside its own, where it has one."""
    if base is None or not isinstance(base.network, LastLayer):
        return base
    return replace(base, network=base.network.inner)


class _Fit:
    """The noise and the posterior of one trained network."""

    def __init__(self, task: TrainingTask, network: LastLayer, settings: LastLayerSettings) -> None:
        self._task, self._network, self._settings = task, network, settings
        self._data = fit_data(task)
        self._n = float(len(self._data)) if task.n_effective is None else task.n_effective

    @torch.no_grad()
    def run(self) -> dict[str, Any]:
        """Fit both; returns what was chosen."""
        self._fit_noise()
        curvature = self._curvature()
        raised = max(self._n / max(self._n - self._prior(curvature).settled, 1.0), self._held_out_level())
        self._network.scale_noise(raised)
        curvature = curvature / raised
        prior, inherited = self._prior(curvature), self._inherited()
        eye = torch.eye(len(curvature), dtype=curvature.dtype, device=curvature.device)
        held_back = prior.precision * eye if inherited is None else inherited.to(curvature)
        self._network.set_precision(curvature + held_back)
        return {
            "prior_precision": prior.precision if inherited is None else None,
            "settled_weights": prior.settled,
            "n_effective": self._n,
            "noise_raised_by": raised,
        }

    def _fit_noise(self) -> None:
        """σ²(φ) from the errors on some of the training points."""
        features, squares, weight = self._errors(self._data)
        # a point that the network meets exactly is not without noise
        squares = squares + max(_QUIETEST * float(weight @ squares / weight.sum()), 1e-30)
        if self._settings.noise == "features":
            n = min(self._n, float(len(squares)))
            weights = fit_log_variance(features[:, :-1], squares, weight, n)
        else:
            level = (weight @ squares / weight.sum()).log()
            weights = torch.cat([torch.zeros_like(features[0, :-1]), level.reshape(1)])
        log = features @ weights
        self._network.set_noise(weights, float(log.min()), float(log.max()))

    def _held_out_level(self) -> float:
        """Mean of e²/σ² over validation points; 0 without any."""
        if self._data.validation is None:
            return 0.0
        features, squares, weight = self._errors(self._data.validation)
        return float(weight @ (squares / self._network.noise_variance(features)) / weight.sum())

    def _errors(self, data: FitData) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """φ (m, p), squared errors (m,) and weights (m,), float64, of some of the points."""
        block = data.take(data.sample(_NOISE_POINTS, torch_generator(self._task.seed, "noise")))
        parts = [
            (self._network.features(x).double(), (self._network.predict(x).double() - t).square())
            for x, t in zip(torch.split(block.x, 8192), torch.split(block.t, 8192), strict=True)
        ]
        return torch.cat([f for f, _ in parts]), torch.cat([s for _, s in parts]), block.weight

    def _curvature(self) -> torch.Tensor:
        """n_effective ⟨φ φᵀ / σ²⟩ (p, p), float64, summed block by block."""
        total: torch.Tensor | None = None
        mass = 0.0
        for x, _, weight in self._data.blocks():
            # float64: the prior is added to sums up to a billion times as large
            features = self._network.features(x).double()
            scaled = features * (weight / self._network.noise_variance(features)).sqrt()[:, None]
            part = scaled.T @ scaled
            total = part if total is None else total + part
            mass += float(weight.sum())
        assert total is not None
        return total * (self._n / mass)

    def _prior(self, curvature: torch.Tensor) -> Prior:
        """The prior that was asked for, or the one of largest evidence."""
        values = torch.linalg.eigvalsh(curvature).clamp(min=0)
        alpha = self._settings.prior_precision
        if alpha is None:
            return prior_by_evidence(values, self._network.inner.head())
        return Prior(alpha, float((values / (values + alpha)).sum()))

    def _inherited(self) -> torch.Tensor | None:
        """The base's posterior precision where this network still has its features."""
        base = self._task.base
        if base is None or not isinstance(base.network, LastLayer) or not base.network.knows_uncertainty:
            return None
        kept = self._task.frozen_layers == base.network.n_layers - 1
        return base.network.precision if kept else None
