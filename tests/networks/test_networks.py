"""Networks: the shared suite, and the perceptron against a plain NumPy one."""

import numpy as np
import pytest
import torch
from scipy.special import erf

from nearsight.errors import InputError, ModelFileError, UnknownNameError
from nearsight.networks import NETWORKS, MLPSettings, TraceableNetwork, network_from_settings
from nearsight.networks.conformance import check_network


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    "settings",
    [
        MLPSettings(width=16, depth=2),
        MLPSettings(width=8, depth=0),
        MLPSettings(width=8, depth=4, activation="relu", output="relu"),
        MLPSettings(width=8, depth=1, activation="tanh"),
        MLPSettings(width=8, depth=1, activation="silu"),
    ],
)
def test_mlp_conforms(settings: MLPSettings) -> None:
    check_network(settings)


def test_registry_and_settings() -> None:
    assert NETWORKS["mlp"] is MLPSettings
    with pytest.raises(UnknownNameError, match=r"known: .*mlp"):
        network_from_settings({"network": "perceptronium"})
    with pytest.raises(ModelFileError, match="do not fit"):
        network_from_settings({"network": "mlp", "breadth": 3})


@pytest.mark.parametrize("bad", [{"width": 0}, {"depth": -1}, {"activation": "step"}, {"output": "softplus"}])
def test_bad_settings_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(InputError):
        MLPSettings(**bad)  # type: ignore[arg-type]


def test_the_papers_network_has_its_size() -> None:
    network = MLPSettings(width=900, depth=12, activation="relu", output="relu").build(91)
    count = sum(p.numel() for p in network.parameters())
    assert count == 91 * 900 + 900 + 11 * (900 * 900 + 900) + 901


def test_mlp_equals_numpy() -> None:
    network = MLPSettings(width=16, depth=2).build(5, generator())
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    a = x.astype(np.float64)
    *hidden, head = [(w.astype(np.float64), b.astype(np.float64)) for w, b in _weights(network)]
    for w, b in hidden:
        z = a @ w.T + b
        a = 0.5 * z * (1 + erf(z / np.sqrt(2)))
    expected = (a @ head[0].T + head[1])[:, 0]
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(network.predict(torch.from_numpy(x)).numpy(), expected, atol=2e-6)


def _weights(network: torch.nn.Module) -> list[tuple[np.ndarray, np.ndarray]]:
    return [
        (layer.weight.detach().numpy(), layer.bias.detach().numpy())
        for layer in network.modules()
        if isinstance(layer, torch.nn.Linear)
    ]


def test_traces_are_the_layers_inputs_and_outputs() -> None:
    network = MLPSettings(width=16, depth=2).build(5, generator())
    assert isinstance(network, TraceableNetwork)
    x = torch.randn(10, 5, generator=generator(1))
    y, trace = network.traced(x)
    assert torch.equal(y, network(x))
    assert len(trace) == 3
    for step, (w, b) in zip(trace, _weights(network), strict=True):
        expected = step.inputs.detach().numpy() @ w.T + b
        np.testing.assert_allclose(step.outputs.detach().numpy(), expected, atol=1e-5)


def test_the_last_layer_stays_float32_under_autocast() -> None:
    network = MLPSettings(width=16, depth=2).build(5, generator())
    x = torch.randn(10, 5, generator=generator(1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, trace = network.traced(x)
    assert y.dtype == torch.float32
    assert trace[-1].outputs.dtype == torch.float32
    assert trace[0].outputs.dtype == torch.bfloat16


def test_relu_output_is_never_negative() -> None:
    settings = MLPSettings(width=16, depth=2, output="relu")
    assert settings.positive
    y = settings.build(5, generator()).predict(torch.randn(500, 5, generator=generator(1)) * 300)
    assert float(y.min()) == 0.0
    assert float(y.max()) > 0.0


def test_weights_of_another_shape_are_refused() -> None:
    network = MLPSettings(width=16, depth=2).build(5, generator())
    other = MLPSettings(width=8, depth=2).build(5)
    with pytest.raises(ModelFileError, match="do not fit"):
        other.load_tensors(network.tensors())
