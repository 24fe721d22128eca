"""`DensityModel`: from features of a point to the electron density there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from ase.data import chemical_symbols

from nearsight.atomic.radial import RadialDensity
from nearsight.descriptors.protocol import Descriptor
from nearsight.errors import InputError, UnknownElementError
from nearsight.model.calibration import Calibration
from nearsight.model.scaler import FeatureScaler
from nearsight.model.target import Target, require_compatible
from nearsight.networks.precision import Precision, hidden_products, resolve_device
from nearsight.networks.protocol import Network, UncertainNetwork
from nearsight.provenance import digest
from nearsight.structure import Structure


class UncertainPoints(NamedTuple):
    """Density of a block and the standard deviations of its two uncertainties; (m,), float64, e/bohr³."""

    density: np.ndarray
    aleatoric: np.ndarray
    epistemic: np.ndarray


@dataclass(frozen=True, eq=False)
class DensityModel:
    """Everything needed to predict a density: descriptor, network, target and free atoms.

    Parameters
    ----------
    descriptor : Descriptor
    network : Network
    scaler : FeatureScaler
    target : Target
    radial : mapping of int to RadialDensity
        Free-atom densities by atomic number; may be empty for the total density.
    valence : mapping of int to float
        Valence electrons by atomic number: the elements that the model was trained on.
    engine : dict
        Fingerprint of the engine behind the training data; empty for data from files.
    spacing : float
        Grid spacing of the training data in bohr, the default for predictions.
    calibration : dict
        Fields of the `Calibration` of its uncertainties; empty where it was never calibrated.
    provenance : dict
        Training data hash, settings, history: anything JSON can hold.

    Raises
    ------
    InputError
        Parts that do not fit together.
    """

    descriptor: Descriptor
    network: Network
    scaler: FeatureScaler
    target: Target
    radial: Mapping[int, RadialDensity]
    valence: Mapping[int, float]
    engine: dict[str, Any]
    spacing: float
    calibration: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = self.descriptor.n_features
        if self.network.n_inputs != n or len(self.scaler.mean) != n:
            raise InputError(
                f"the descriptor gives {n} features, the network takes {self.network.n_inputs} and the "
                f"scaler {len(self.scaler.mean)}"
            )
        require_compatible(self.target.kind, self.network.settings.positive)
        if self.target.needs_atoms:
            require_atomic_densities(self.valence, self.radial)

    def to(self, device: str) -> "DensityModel":
        """Itself, with its network on `device` ("auto", "cpu", "cuda"); the network is moved."""
        self.network.to(resolve_device(device))
        return self

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers that it was trained on, ascending."""
        return tuple(sorted(set(self.valence) & set(self.descriptor.species)))

    def require_elements(self, structure: Structure) -> None:
        """Raise `UnknownElementError` where the structure holds an element the model never saw."""
        unseen = [chemical_symbols[z] for z in structure.species if z not in self.elements]
        if unseen:
            known = ", ".join(chemical_symbols[z] for z in self.elements)
            raise UnknownElementError(
                f"the model never saw {', '.join(unseen)} (in {structure.formula}); it was trained on "
                f"{known}; train on data that holds the element"
            )

    def n_electrons(self, structure: Structure) -> float:
        """Valence electrons of the neutral cell; raises `UnknownElementError`."""
        self.require_elements(structure)
        return float(sum(self.valence[int(z)] for z in structure.numbers))

    def predict_points(
        self, features: np.ndarray, rho_saed: np.ndarray | None, *, precision: Precision = "auto"
    ) -> np.ndarray:
        """Density at a block of points.

        Parameters
        ----------
        features : ndarray (m, n_features), float32
            From the model's descriptor.
        rho_saed : ndarray (m,) or None
            Superposed atomic densities, e/bohr³; not used for the total density.
        precision : {"auto", "float32", "bfloat16"}
            Of the hidden matrix products.

        Returns
        -------
        ndarray (m,), float64
            e/bohr³, not yet clipped or rescaled.
        """
        device = self.network.device
        with hidden_products(precision, device):
            output = self.network.predict(self._standardised(features))
        return self.target.decode(output.cpu().numpy(), rho_saed)

    @property
    def knows_uncertainty(self) -> bool:
        """Whether it can say how sure it is."""
        return isinstance(self.network, UncertainNetwork) and self.network.knows_uncertainty

    def predict_uncertain_points(
        self, features: np.ndarray, rho_saed: np.ndarray | None, *, precision: Precision = "auto"
    ) -> UncertainPoints:
        """`predict_points` with calibrated standard deviations of both uncertainties.

        Raises
        ------
        InputError
            The network states none.
        """
        network = self.network
        if not (isinstance(network, UncertainNetwork) and network.knows_uncertainty):
            raise InputError(
                f"a model of kind '{network.settings.name}' states no uncertainty; train one with "
                "network: {name: bayesian}, last_layer or ensemble"
            )
        with hidden_products(precision, network.device):
            moments = network.moments(self._standardised(features))
        mean, *variances = (part.cpu().numpy() for part in moments)
        calibrated = Calibration.from_dict(self.calibration).apply(*variances)
        deviations = (self.target.scale * np.sqrt(variance) for variance in calibrated)
        return UncertainPoints(self.target.decode(mean, rho_saed), *deviations)

    def _standardised(self, features: np.ndarray) -> torch.Tensor:
        return torch.from_numpy((features - self.scaler.mean) / self.scaler.std).to(self.network.device)

    def digest(self) -> str:
        """Hash of what settles its predictions."""
        tensors = [(name, t.numpy()) for name, t in sorted(self.network.tensors().items())]
        return digest(
            self.descriptor.settings(),
            self.network.settings.as_dict(),
            self.scaler.mean,
            self.scaler.std,
            self.target,
            *(part for pair in tensors for part in pair),
            {str(z): table.digest() for z, table in self.radial.items()},
            {str(z): count for z, count in self.valence.items()},
        )


def require_atomic_densities(valence: Mapping[int, float], radial: Mapping[int, RadialDensity]) -> None:
    """Raise `UnknownElementError` unless every element of `valence` has a radial table."""
    if missing := sorted(set(valence) - set(radial)):
        names = ", ".join(chemical_symbols[z] for z in missing)
        raise UnknownElementError(
            f"the difference density needs atomic densities and there is none of {names}; use target: total"
        )
