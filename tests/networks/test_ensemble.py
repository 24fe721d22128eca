"""Ensembles: mean and spread of their members."""

import pytest
import torch

from nearsight.errors import InputError, ModelFileError, UnknownNameError
from nearsight.networks import EnsembleSettings, MLPSettings, UncertainNetwork, network_from_settings
from nearsight.networks.conformance import check_network

MEMBER = {"name": "mlp", "width": 8, "depth": 1}


def build(members: int, seed: int = 0) -> UncertainNetwork:
    network = EnsembleSettings(members, MEMBER).build(5, torch.Generator().manual_seed(seed))
    assert isinstance(network, UncertainNetwork)
    return network


def x() -> torch.Tensor:
    return torch.randn(20, 5, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("members", [1, 3])
def test_ensemble_conforms(members: int) -> None:
    check_network(EnsembleSettings(members, MEMBER))


def test_settings_are_spelled_out() -> None:
    settings = EnsembleSettings(2, MEMBER)
    assert settings.each == MLPSettings(width=8, depth=1)
    assert settings == EnsembleSettings(2, {"network": "mlp", "width": 8, "depth": 1, "activation": "gelu"})
    assert network_from_settings(settings.as_dict()) == settings
    assert EnsembleSettings().each == MLPSettings()
    assert EnsembleSettings(2, {"name": "mlp", "output": "relu"}).positive


def test_mean_and_spread_of_the_members() -> None:
    network = build(3)
    outputs = torch.stack([member.predict(x()) for member in network.members])  # type: ignore[attr-defined]
    assert float(outputs.std(0).min()) > 0
    torch.testing.assert_close(network.predict(x()), outputs.sum(0) / 3)
    spread = ((outputs - outputs.mean(0)) ** 2).sum(0) / 2
    torch.testing.assert_close(network.variance(x()), spread)


def test_an_ensemble_of_one_is_that_network() -> None:
    network = build(1)
    alone = MLPSettings(width=8, depth=1).build(5, torch.Generator().manual_seed(0))
    assert torch.equal(network.predict(x()), alone.predict(x()))
    assert float(network.variance(x()).abs().max()) == 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"members": 0}, "at least one"),
        ({"member": {"name": "ensemble"}}, "cannot be ensembles"),
        ({"member": {"breadth": 3}}, "'member' of the ensemble"),
    ],
)
def test_bad_settings_are_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        EnsembleSettings(**given)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError):
        EnsembleSettings(member={"name": "perceptronium"})


def test_tensors_of_another_ensemble_are_refused() -> None:
    with pytest.raises(ModelFileError, match="belongs to no member"):
        EnsembleSettings(1, MEMBER).build(5).load_tensors(build(2).tensors())
    with pytest.raises(ModelFileError, match="do not fit"):
        EnsembleSettings(3, MEMBER).build(5).load_tensors(build(2).tensors())
