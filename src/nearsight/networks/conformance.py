"""What every network must do; plug-ins run it on theirs.

>>> from nearsight.networks import MLPSettings
>>> from nearsight.networks.conformance import check_network
>>> check_network(MLPSettings(width=8, depth=1), n_inputs=3)
"""

import json

import torch

from nearsight.networks.protocol import NetworkSettings, network_from_settings


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


def _features(n_inputs: int, n: int = 33) -> torch.Tensor:
    return torch.randn(n, n_inputs, generator=torch.Generator().manual_seed(7))


def _check_settings(settings: NetworkSettings) -> None:
    stored = json.loads(json.dumps(settings.as_dict()))
    assert network_from_settings(stored) == settings, "settings do not survive JSON"


def _check_start(settings: NetworkSettings, n_inputs: int) -> None:
    """The same generator gives the same network; the global random state is left alone."""
    before = torch.get_rng_state()
    x = _features(n_inputs)
    one, two, other = (
        settings.build(n_inputs, torch.Generator().manual_seed(s)).predict(x) for s in (1, 1, 2)
    )
    assert torch.equal(one, two), "the same seed gave two different networks"
    assert not torch.equal(one, other), "the seed has no effect"
    assert torch.equal(before, torch.get_rng_state()), "the global random state was touched"


def _check_rows(settings: NetworkSettings, n_inputs: int) -> None:
    """Shape, type and independence of the rows of a block."""
    network = settings.build(n_inputs, torch.Generator().manual_seed(1))
    x = _features(n_inputs)
    y = network.predict(x)
    assert y.shape == (len(x),), "a prediction is a vector"
    assert y.dtype == torch.float32, "a prediction is float32"
    assert not y.requires_grad, "predict keeps no graph"
    assert float(y.abs().max()) > 0, "an untrained network that is zero everywhere cannot learn"
    assert torch.allclose(network.predict(x.flip(0)).flip(0), y, atol=1e-5), "rows are not independent"
    assert len(network.predict(x[:0])) == 0, "an empty block is a block"


def _check_tensors(settings: NetworkSettings, n_inputs: int) -> None:
    """A network filled with another's tensors is that network, bit for bit."""
    network = settings.build(n_inputs, torch.Generator().manual_seed(1))
    copy = settings.build(n_inputs)
    copy.load_tensors({name: t.clone() for name, t in network.tensors().items()})
    x = _features(n_inputs)
    assert torch.equal(copy.predict(x), network.predict(x)), "tensors do not carry the network"
