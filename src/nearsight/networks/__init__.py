"""Networks: functions from standardised features to a standardised density, one kind a module."""

from nearsight.networks.mlp import MLP, MLPSettings
from nearsight.networks.protocol import (
    NETWORKS,
    LinearTrace,
    Network,
    NetworkSettings,
    TraceableNetwork,
    network_from_settings,
)

__all__ = [
    "MLP",
    "NETWORKS",
    "LinearTrace",
    "MLPSettings",
    "Network",
    "NetworkSettings",
    "TraceableNetwork",
    "network_from_settings",
]
