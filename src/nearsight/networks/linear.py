"""`Linear`: ridge regression in closed form, in the features or in products of their main components.

Minimised is Σ w (t − φ·β − c)² / Σ w + λ ‖β‖² over standardised terms φ, by normal equations summed in
float64 block by block: memory is that of one block, whatever the number of points. The penalty λ is
given, or the one of a ladder that errs least: on validation points where there are some, else by
generalised cross-validation (Golub, Heath, Wahba, Technometrics 21 (1979) 215), which needs the training
points alone.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isqrt
from typing import Any, ClassVar, Literal

import torch

from nearsight.errors import InputError
from nearsight.networks.fit_data import FitData
from nearsight.networks.protocol import NETWORKS, NetworkSettings
from nearsight.networks.stored import StoredNetwork, require_shapes

#: with fewer, products of features explain the points and little else
_POINTS_A_TERM = 6

#: penalties tried, relative to the unit variance of a term
_LADDER = tuple(10.0 ** (k / 2) for k in range(-20, 1))


@NETWORKS.register("linear")
@dataclass(frozen=True)
class LinearSettings:
    """A linear model, fitted in closed form.

    Parameters
    ----------
    degree : {1, 2}
        2 adds all squares and products of the features' main components; the model stays linear in what
        is fitted.
    components : int
        How many main components those are, at most: fewer where there would be less than six points a
        term, none for degree 1.
    ridge : float, optional
        Penalty λ relative to the variance of a term; chosen by the data unless given.

    Raises
    ------
    InputError
        A setting outside these.
    """

    name: ClassVar[str] = "linear"

    degree: Literal[1, 2] = 2
    components: int = 24
    ridge: float | None = None

    def __post_init__(self) -> None:
        if self.degree not in (1, 2):
            raise InputError(f"a linear model has degree 1 or 2, not {self.degree}")
        if self.components < 1:
            raise InputError(f"components must be positive, not {self.components}")
        if self.ridge is not None and not 0 <= self.ridge < float("inf"):
            raise InputError(f"ridge must not be negative, as {self.ridge} is")

    @property
    def positive(self) -> bool:
        """Whether the output cannot be negative."""
        return False

    def build(self, n_inputs: int, generator: torch.Generator | None = None) -> "Linear":
        """A model that is zero everywhere, to be filled; `generator` has no say."""
        return Linear(n_inputs, self)

    def fit(self, data: FitData, *, generator: torch.Generator) -> "Linear":
        """The model that minimises the penalised loss on `data`; `generator` has no say."""
        network = Linear(data.n_inputs, self).to(data.device)
        if self.degree == 2:
            network.set_basis(_main_components(data, self._affordable(data)))
        moments = Moments.of(network, data)
        path = _RidgePath(moments)
        if self.ridge is not None:
            ridge = self.ridge
        elif data.validation is not None:
            held_out = Moments.of(network, data.validation)
            ridge = min(_LADDER, key=lambda r: held_out.mean_square(*path.solution(r)))
        else:
            ridge = min(_LADDER, key=path.cross_validation)
        network.set_weights(*path.solution(ridge))
        network.notes = {"ridge": ridge, "terms": network.n_terms}
        return network

    def _affordable(self, data: FitData) -> int:
        """Main components whose products leave enough points a term."""
        products = max(0, len(data) // _POINTS_A_TERM - data.n_inputs)
        n = (isqrt(8 * products + 1) - 1) // 2  # the largest n with n(n + 1)/2 products
        return min(self.components, data.n_inputs, n)

    def as_dict(self) -> dict[str, Any]:
        """The fields, with the registered name under ``network``."""
        return {"network": self.name, **asdict(self)}


class Linear(StoredNetwork):
    """A linear function of the features, and of products of some projections of them.

    Products and sums run in float64: where features nearly depend on each other, weights are large and
    cancel.

    Parameters
    ----------
    n_inputs : int
    settings : LinearSettings
    """

    def __init__(self, n_inputs: int, settings: LinearSettings) -> None:
        self.settings: NetworkSettings = settings
        weights = torch.zeros(n_inputs, dtype=torch.float64)
        basis = torch.zeros(n_inputs, 0, dtype=torch.float64)
        offset = torch.zeros(1, dtype=torch.float64)
        super().__init__(n_inputs, {"weights": weights, "offset": offset, "basis": basis})

    @property
    def n_terms(self) -> int:
        """Terms besides the constant."""
        return self.n_inputs + _products(self._tensors["basis"])

    def set_basis(self, basis: torch.Tensor) -> None:
        """The projections (n_inputs, components) whose products are terms."""
        self._tensors["basis"] = basis

    def set_weights(self, weights: torch.Tensor, offset: torch.Tensor) -> None:
        """Weights (n_terms,) and constant ()."""
        self._tensors["weights"], self._tensors["offset"] = weights, offset.reshape(1)

    def terms(self, x: torch.Tensor) -> torch.Tensor:
        """All terms (m, n_terms), float64, of standardised features."""
        x = x.double()
        basis = self._tensors["basis"]
        if basis.shape[1] == 0:
            return x
        main = x @ basis
        i, j = torch.triu_indices(basis.shape[1], basis.shape[1], device=x.device)
        return torch.cat([x, main[:, i] * main[:, j]], dim=1)

    @torch.no_grad()
    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Standardised density (m,), float32."""
        with torch.autocast(x.device.type, enabled=False):
            return (self.terms(x) @ self._tensors["weights"] + self._tensors["offset"]).float()

    def _check_shapes(self, tensors: Mapping[str, torch.Tensor]) -> None:
        basis = tensors["basis"]
        d, n = self.n_inputs, self.n_inputs + _products(basis)
        require_shapes(tensors, {"weights": (n,), "offset": (1,), "basis": (d, basis.shape[1])})


def _products(basis: torch.Tensor) -> int:
    """Squares and products of the projections."""
    n = basis.shape[1]
    return n * (n + 1) // 2


@dataclass(frozen=True, eq=False)
class Moments:
    """Weighted means over points: of the terms φ, the target t, and their products about the means.

    Attributes
    ----------
    n : int
        Points.
    mean, target : Tensor (p,), ()
        ⟨φ⟩ and ⟨t⟩.
    gram, cross, square : Tensor (p, p), (p,), ()
        ⟨δφ δφᵀ⟩, ⟨δφ δt⟩, ⟨δt²⟩ with δ = minus the mean.
    """

    n: int
    mean: torch.Tensor
    target: torch.Tensor
    gram: torch.Tensor
    cross: torch.Tensor
    square: torch.Tensor

    @classmethod
    def of(cls, network: Linear, data: FitData) -> "Moments":
        """Summed block by block, about the first block's means so that nothing large cancels."""
        p = network.n_terms + 1
        total = torch.zeros(p, p, dtype=torch.float64, device=data.device)
        first, mass = torch.zeros(p, dtype=torch.float64, device=data.device), 0.0
        origin: torch.Tensor | None = None
        for x, t, weight in data.blocks():
            columns = torch.cat([network.terms(x), t[:, None]], dim=1)
            if origin is None:
                origin = columns.mean(dim=0)
            columns = columns - origin
            weighted = columns * weight[:, None]
            total += columns.T @ weighted
            first += weighted.sum(dim=0)
            mass += float(weight.sum())
        assert origin is not None  # there is at least one point
        shift = first / mass
        second, mean = total / mass - torch.outer(shift, shift), origin + shift
        return cls(len(data), mean[:-1], mean[-1], second[:-1, :-1], second[:-1, -1], second[-1, -1])

    def mean_square(self, weights: torch.Tensor, offset: torch.Tensor) -> float:
        """Mean square of the error of a linear model on these points."""
        bias = self.mean @ weights + offset - self.target
        spread = self.square - 2 * self.cross @ weights + weights @ self.gram @ weights
        return float(spread + bias**2)


class _RidgePath:
    """Solutions for any penalty from one eigenvalue decomposition of the terms' correlations."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        variance = moments.gram.diagonal().clamp(min=0)
        scale = variance.sqrt()
        constant = scale <= 1e-10 * scale.max()
        self._inverse = torch.where(constant, 0.0, 1 / torch.where(constant, 1.0, scale))
        correlation = moments.gram * torch.outer(self._inverse, self._inverse)
        values, self._vectors = torch.linalg.eigh(correlation)
        self._values = values.clamp(min=0)
        self._cross = self._vectors.T @ (moments.cross * self._inverse)

    def _shrunk(self, ridge: float) -> torch.Tensor:
        """1/(eigenvalue + λ); directions without any variance get nothing."""
        total = self._values + ridge
        return torch.where(total > 1e-14 * self._values.max(), 1 / total, 0.0)

    def solution(self, ridge: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights (p,) and constant ()."""
        weights = (self._vectors @ (self._shrunk(ridge) * self._cross)) * self._inverse
        return weights, self._moments.target - self._moments.mean @ weights

    def cross_validation(self, ridge: float) -> float:
        """Generalised cross-validation: mean square of the residuals / (1 − degrees of freedom/n)²."""
        shrunk = self._shrunk(ridge)
        freedom = 1 + float((self._values * shrunk).sum())
        left = 1 - freedom / self._moments.n
        if left <= 0:
            return float("inf")
        # ‖t − φβ‖² along each direction: c²(2s − e s²) less than the whole, s = 1/(e + λ)
        gain = (self._cross**2 * shrunk * (2 - self._values * shrunk)).sum()
        return max(float(self._moments.square - gain), 0.0) / left**2


def _main_components(data: FitData, n: int) -> torch.Tensor:
    """The n main components (d, n) of the features, scaled to unit variance."""
    moments = Moments.of(Linear(data.n_inputs, LinearSettings(degree=1)).to(data.device), data)
    values, vectors = torch.linalg.eigh(moments.gram)
    values, vectors = values.flip(0)[:n], vectors.flip(1)[:, :n]
    kept = values > 1e-10 * values.max() if n else values > 0
    return torch.where(kept, vectors / values.clamp(min=1e-300).sqrt(), 0.0)
