"""Networks: functions from standardised features to a standardised density, one kind a module."""

from nearsight.networks.ensemble import Ensemble, EnsembleSettings
from nearsight.networks.fit_data import FitData
from nearsight.networks.gaussian_process import GaussianProcess, GaussianProcessSettings
from nearsight.networks.linear import Linear, LinearSettings
from nearsight.networks.mlp import MLP, MLPSettings
from nearsight.networks.protocol import (
    NETWORKS,
    DirectFit,
    LinearTrace,
    Network,
    NetworkSettings,
    TraceableNetwork,
    UncertainNetwork,
    network_from_settings,
)

__all__ = [
    "MLP",
    "NETWORKS",
    "DirectFit",
    "Ensemble",
    "EnsembleSettings",
    "FitData",
    "GaussianProcess",
    "GaussianProcessSettings",
    "Linear",
    "LinearSettings",
    "LinearTrace",
    "MLPSettings",
    "Network",
    "NetworkSettings",
    "TraceableNetwork",
    "UncertainNetwork",
    "network_from_settings",
]
