"""Networks: functions from standardised features to a standardised density, one kind a module."""

from nearsight.networks.bayesian import BayesianMLP, BayesianSettings
from nearsight.networks.ensemble import Ensemble, EnsembleSettings
from nearsight.networks.fit_data import FitData
from nearsight.networks.gaussian_process import GaussianProcess, GaussianProcessSettings
from nearsight.networks.last_layer import LastLayer, LastLayerSettings
from nearsight.networks.linear import Linear, LinearSettings
from nearsight.networks.mean_variance import MeanVarianceMLP, MeanVarianceSettings
from nearsight.networks.mlp import MLP, MLPSettings
from nearsight.networks.protocol import (
    NETWORKS,
    DirectFit,
    FineTunableNetwork,
    LinearTrace,
    LossNetwork,
    Moments,
    Network,
    NetworkSettings,
    TraceableNetwork,
    UncertainNetwork,
    network_from_settings,
)

__all__ = [
    "MLP",
    "NETWORKS",
    "BayesianMLP",
    "BayesianSettings",
    "DirectFit",
    "Ensemble",
    "EnsembleSettings",
    "FineTunableNetwork",
    "FitData",
    "GaussianProcess",
    "GaussianProcessSettings",
    "LastLayer",
    "LastLayerSettings",
    "Linear",
    "LinearSettings",
    "LinearTrace",
    "LossNetwork",
    "MLPSettings",
    "MeanVarianceMLP",
    "MeanVarianceSettings",
    "Moments",
    "Network",
    "NetworkSettings",
    "TraceableNetwork",
    "UncertainNetwork",
    "network_from_settings",
]
