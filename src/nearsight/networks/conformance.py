"""What every network must do; plug-ins run it on theirs.

>>> from nearsight.networks import MLPSettings
>>> from nearsight.networks.conformance import check_network
>>> check_network(MLPSettings(width=8, depth=1), n_inputs=3)
"""

import json

import numpy as np
import torch

from nearsight.errors import InputError
from nearsight.networks.fit_data import FitData
from nearsight.networks.protocol import (
    DirectFit,
    Network,
    NetworkSettings,
    UncertainNetwork,
    network_from_settings,
)


def check_network(settings: NetworkSettings, n_inputs: int = 5) -> None:
    """Assert that `settings` and the networks it builds keep the protocol.

    Parameters
    ----------
    settings : NetworkSettings
    n_inputs : int
        Length of the feature vectors tried.
    """
    _check_settings(settings)
    _check_start(settings, n_inputs)
    _check_rows(settings, n_inputs)
    _check_tensors(settings, n_inputs)
    _check_fit(settings, n_inputs)


def _features(n_inputs: int, n: int = 33) -> torch.Tensor:
    return torch.randn(n, n_inputs, generator=torch.Generator().manual_seed(7))


def _points(n_inputs: int, n: int = 60) -> FitData:
    """Points of a smooth function, of uneven weight."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, n_inputs)).astype(np.float32)
    return FitData.of(x, np.sin(x[:, 0]) + x.mean(axis=1), rng.uniform(0.5, 1.5, n))


def _network(settings: NetworkSettings, n_inputs: int, seed: int) -> Network:
    """A network at its random start, or fitted where it fits itself."""
    generator = torch.Generator().manual_seed(seed)
    if isinstance(settings, DirectFit):
        return settings.fit(_points(n_inputs), generator=generator)
    network: Network = settings.build(n_inputs, generator)
    return network


def _check_settings(settings: NetworkSettings) -> None:
    stored = json.loads(json.dumps(settings.as_dict()))
    assert network_from_settings(stored) == settings, "settings do not survive JSON"


def _check_start(settings: NetworkSettings, n_inputs: int) -> None:
    """The same generator gives the same network; the global random state is left alone."""
    before = torch.get_rng_state()
    x = _features(n_inputs)
    one, two, other = (_network(settings, n_inputs, seed).predict(x) for seed in (1, 1, 2))
    assert torch.equal(one, two), "the same seed gave two different networks"
    direct = isinstance(settings, DirectFit)
    assert direct or not torch.equal(one, other), "the seed has no effect"
    assert torch.equal(before, torch.get_rng_state()), "the global random state was touched"


def _check_rows(settings: NetworkSettings, n_inputs: int) -> None:
    """Shape, type and independence of the rows of a block."""
    network = _network(settings, n_inputs, 1)
    assert isinstance(network, Network), "it is not a Network"
    assert network.settings == settings, "a network knows the settings that made it"
    x = _features(n_inputs)
    y = network.predict(x)
    assert float(y.abs().max()) > 0, "a network that is zero everywhere knows nothing and cannot learn"
    _check_values(y, network.predict(x.flip(0)), network.predict(x[:0]), len(x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert network.predict(x).dtype == torch.float32, "a prediction is float32 under autocast too"
    if isinstance(network, UncertainNetwork):
        _check_moments(network, x, y)


def _check_moments(network: UncertainNetwork, x: torch.Tensor, y: torch.Tensor) -> None:
    """The mean is the prediction, and both variances keep the rules of a prediction."""
    if not network.knows_uncertainty:
        try:
            network.moments(x)
        except InputError:
            return
        raise AssertionError("a network that knows no uncertainty gave one")
    moments, flipped, empty = (network.moments(block) for block in (x, x.flip(0), x[:0]))
    assert torch.allclose(moments.mean, y, atol=1e-5), "the mean is the prediction"
    for one, other, nothing in zip(moments[1:], flipped[1:], empty[1:], strict=True):
        _check_values(one, other, nothing, len(x))
        assert float(one.min()) >= 0, "a variance is not negative"


def _check_values(y: torch.Tensor, flipped: torch.Tensor, empty: torch.Tensor, n: int) -> None:
    assert y.shape == (n,), "a prediction is a vector"
    assert y.dtype == torch.float32, "a prediction is float32"
    assert not y.requires_grad, "predict keeps no graph"
    assert torch.allclose(flipped.flip(0), y, atol=1e-5), "rows are not independent"
    assert len(empty) == 0, "an empty block is a block"


def _check_tensors(settings: NetworkSettings, n_inputs: int) -> None:
    """A network filled with another's tensors is that network, bit for bit."""
    network = _network(settings, n_inputs, 1)
    copy = settings.build(n_inputs)
    copy.load_tensors({name: t.clone() for name, t in network.tensors().items()})
    x = _features(n_inputs)
    assert torch.equal(copy.predict(x), network.predict(x)), "tensors do not carry the network"
    assert all(t.device.type == "cpu" for t in network.tensors().values()), "stored tensors lie on the CPU"


def _check_fit(settings: NetworkSettings, n_inputs: int) -> None:
    """What fits itself explains its points, and does not see those of no weight."""
    if not isinstance(settings, DirectFit):
        return
    data = _points(n_inputs)
    everything = data.take()
    network = settings.fit(data, generator=torch.Generator().manual_seed(1))
    left = float((network.predict(everything.x) - everything.t).square().mean())
    assert left < float(everything.t.var()), "the fit explains nothing of its own points"
    json.dumps(getattr(network, "notes", {}), allow_nan=False)
    padded = FitData.of(
        np.concatenate([data.features, data.features + 1]),
        np.concatenate([data.target, data.target + 50]),
        np.concatenate([data.weight, np.zeros(len(data))]),
    )
    same = settings.fit(padded, generator=torch.Generator().manual_seed(1))
    assert torch.equal(same.predict(everything.x), network.predict(everything.x)), "weight 0 has weight"
