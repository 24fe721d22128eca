"""The kinds of scores: each a formula on one block of points and the networks that judge it.

Error e = output − target, standardised; a_l and z_l = W a_l + b inputs and outputs of linear layer l;
L the last layer.

grand
    Norm of the gradient of a point's loss e² with respect to all parameters (Paul, Ganguli, Dziugaite,
    NeurIPS 2021, arXiv:2107.07075). The gradient of layer l is the outer product δ_l a_lᵀ, and δ_l for
    the bias, with δ_l = ∂e²/∂z_l; so its squared norm is Σ_l ‖δ_l‖²(‖a_l‖² + 1): exact, without ever
    forming a gradient, from one forward and one backward pass over the activations.
last_layer
    The same for the last layer alone, |2e| √(‖a_L‖² + 1): no backward pass.
residual
    |e|: what EL2N (same paper) is for regression.
disagreement
    Standard deviation of the output over the initialisations: what the data leaves open.
leverage
    Ridge leverage aᵀ(AᵀA + λ)⁻¹a of the last layer's inputs with a one for the bias (Alaoui, Mahoney,
    NeurIPS 2015, arXiv:1411.0306): how far a point stands out. No target enters.
difficulty, dual
    From the confidence c_t = exp(−|e_t|/s) at T checks along the training, s the median |e_t|: it takes
    the place of the probability of the true class. difficulty = 1 − mean c; dual = mean over the windows
    of J checks of (1 − mean c)·std c (Cho et al., ICML 2025, arXiv:2502.06905).

All but disagreement are means over the initialisations.
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch

from nearsight.errors import InputError
from nearsight.networks.protocol import LinearTrace, TraceableNetwork
from nearsight.training.score_settings import ScoreSettings

#: all kinds; selection methods ask for them by the same names (`nearsight.coreset.protocol.SCORES`)
KINDS = ("grand", "last_layer", "residual", "disagreement", "leverage", "dual", "difficulty")
#: kinds that need the networks along their training
TRAJECTORY = frozenset({"dual", "difficulty"})


@dataclass(frozen=True, eq=False)
class Judge:
    """A briefly trained network, and what the kinds asked for need of it.

    Attributes
    ----------
    network : TraceableNetwork
        After the last step.
    earlier : tuple of TraceableNetwork
        At the checks before that; empty where no kind needs them.
    spread : float
        Median |e| over the proxy's points and all checks: the scale of confidence.
    whitening : Tensor (d, d), float32, optional
        W with WᵀW = (AᵀA + λ)⁻¹, for leverage.
    """

    network: TraceableNetwork
    earlier: tuple[TraceableNetwork, ...] = ()
    spread: float = 1.0
    whitening: torch.Tensor | None = None


def checked_kinds(kinds: Collection[str], settings: ScoreSettings) -> tuple[str, ...]:
    """The kinds without repeats, or an `InputError` where one is unknown or the settings do not allow it."""
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"unknown score '{kind}'; known: {', '.join(KINDS)}")
    if not kinds:
        raise InputError(f"scoring needs at least one kind of score: {', '.join(KINDS)}")
    if "disagreement" in kinds and settings.initialisations < 2:
        raise InputError("the score 'disagreement' needs at least 2 initialisations; raise initialisations")
    if TRAJECTORY & set(kinds) and settings.checks > settings.steps:
        raise InputError(
            f"dual and difficulty ask a network {settings.checks} times in {settings.steps} steps; "
            "lower scoring's checks or raise its steps"
        )
    return tuple(dict.fromkeys(kinds))


def judged(
    judge: Judge, x: torch.Tensor, t: torch.Tensor, kinds: Collection[str], window: int
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """One network's scores of a block, and its output; disagreement is left to the caller.

    Parameters
    ----------
    judge : Judge
        Its parameters are left without gradients.
    x : Tensor (m, n_inputs), float32
        Standardised features.
    t : Tensor (m,), float32
        Standardised target.
    kinds : collection of str
        Without ``grand`` there is no backward pass.
    window : int
        Checks in a window of ``dual``.

    Returns
    -------
    scores : dict of Tensor (m,), float32
    output : Tensor (m,), float32
    """
    backward = "grand" in kinds
    with torch.set_grad_enabled(backward):
        output, trace = judge.network.traced(x)
        error = output - t
        # points do not see each other, so the gradient of the summed loss holds each point's own δ
        layers = [step.outputs for step in trace]
        deltas = torch.autograd.grad(error.square().sum(), layers) if backward else ()
    with torch.no_grad():
        scores = {}
        if backward:
            scores["grand"] = _all_layers(deltas, trace)
        if "residual" in kinds:
            scores["residual"] = error.abs()
        if "last_layer" in kinds:
            scores["last_layer"] = _last_layer(judge.network, output, error, trace)
        if "leverage" in kinds:
            scores["leverage"] = _leverage(judge, trace)
        if TRAJECTORY & set(kinds):
            earlier = [network.predict(x) - t for network in judge.earlier]
            confidence = torch.exp(-torch.stack([*earlier, error]).abs() / judge.spread)
            found = {"dual": dual(confidence, window), "difficulty": 1 - confidence.mean(dim=0)}
            scores |= {kind: score for kind, score in found.items() if kind in kinds}
        return scores, output.detach()


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
    scores, _ = judged(Judge(network), x, t, ("grand", "residual"), window=2)
    return scores["grand"], scores["residual"]


def dual(confidence: torch.Tensor, window: int) -> torch.Tensor:
    """(1 − mean)·std of the confidence in each window of consecutive checks, averaged over windows.

    Parameters
    ----------
    confidence : Tensor (T, m)
        In [0, 1], of m points at T checks.
    window : int
        J, 2 … T. The authors' code multiplies by ten, which orders nothing differently.

    Returns
    -------
    Tensor (m,)
    """
    windows = confidence.unfold(0, window, 1)
    return ((1 - windows.mean(dim=2)) * windows.std(dim=2)).mean(dim=0)


def last_inputs(trace: list[LinearTrace]) -> torch.Tensor:
    """Inputs of the last layer with a one for its bias, (m, d), float32."""
    return torch.nn.functional.pad(trace[-1].inputs.float(), (0, 1), value=1.0)


def _all_layers(deltas: tuple[torch.Tensor, ...], trace: list[LinearTrace]) -> torch.Tensor:
    squares = torch.zeros(len(deltas[0]), device=deltas[0].device)
    for delta, step in zip(deltas, trace, strict=True):
        squares += _squared_norm(delta) * (_squared_norm(step.inputs) + 1)
    return squares.sqrt()


def _last_layer(
    network: TraceableNetwork, output: torch.Tensor, error: torch.Tensor, trace: list[LinearTrace]
) -> torch.Tensor:
    slope = 2 * error.abs()
    if network.settings.positive:  # a rectified output passes nothing back where it is zero
        slope = slope * (output > 0)
    return slope * (_squared_norm(trace[-1].inputs) + 1).sqrt()


def _leverage(judge: Judge, trace: list[LinearTrace]) -> torch.Tensor:
    if judge.whitening is None:
        raise InputError("leverage needs the whitening of the last layer's inputs")
    a = last_inputs(trace)
    with torch.autocast(a.device.type, enabled=False):
        return _squared_norm(a @ judge.whitening.T)


def _squared_norm(rows: torch.Tensor) -> torch.Tensor:
    """‖row‖² in float32."""
    return torch.linalg.vector_norm(rows, dim=1, dtype=torch.float32).square()
