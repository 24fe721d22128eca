"""Ensembles: mean and spread of their members."""

import pytest
import torch

from nearsight.errors import InputError, ModelFileError, UnknownNameError
from nearsight.networks import (
    Ensemble,
    EnsembleSettings,
    LastLayer,
    LastLayerSettings,
    MLPSettings,
    UncertainNetwork,
    network_from_settings,
)
from nearsight.networks.conformance import check_network

MEMBER = {"name": "mlp", "width": 8, "depth": 1}


def build(members: int, seed: int = 0) -> Ensemble:
    network = EnsembleSettings(members, MEMBER).build(5, torch.Generator().manual_seed(seed))
    assert isinstance(network, UncertainNetwork)
    return network


def certain(members: int) -> Ensemble:
    """Members that each know their own uncertainty, none the same."""
    network = EnsembleSettings(members, {"name": "last_layer", "inner": MEMBER}).build(
        5, torch.Generator().manual_seed(0)
    )
    for k, member in enumerate(network.members):
        assert isinstance(member, LastLayer)
        member.set_precision((k + 1) * torch.eye(9).double())
        member.set_noise(torch.full((9,), 0.1 * (k + 1)).double(), -3.0, 3.0)
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
    outputs = torch.stack([member.predict(x()) for member in network.members])
    assert float(outputs.std(0).min()) > 0
    torch.testing.assert_close(network.predict(x()), outputs.sum(0) / 3)
    spread = ((outputs - outputs.mean(0)) ** 2).sum(0) / 2
    found = network.moments(x())
    assert torch.equal(found.mean, network.predict(x()))
    torch.testing.assert_close(found.epistemic, spread)
    assert float(found.aleatoric.abs().max()) == 0


def test_variances_of_the_members_are_those_of_their_mixture() -> None:
    """Against draws: a member at random, its mean at random, and a value at random around that."""
    network, point = certain(3), x()[:1]
    found = network.moments(point)
    own = [member.moments(point) for member in network.members]  # type: ignore[attr-defined]
    generator = torch.Generator().manual_seed(1)
    which = torch.randint(3, (400_000,), generator=generator)
    mean, aleatoric, epistemic = (torch.cat([m[k] for m in own])[which] for k in range(3))
    drawn = mean + epistemic.sqrt() * torch.randn(400_000, generator=generator)
    # the spread of three means counts as that of a sample
    biased = torch.cat([m.mean for m in own]).var(unbiased=False) / torch.cat([m.mean for m in own]).var()
    spread = float(found.epistemic) - float(torch.cat([m.epistemic for m in own]).mean())
    expected = float(found.epistemic) - spread * float(1 - biased)
    assert float(drawn.var()) == pytest.approx(expected, rel=0.02)
    assert float(found.aleatoric) == pytest.approx(float(aleatoric.mean()), rel=0.02)
    assert float(found.aleatoric) > 0.1


def test_a_single_member_knows_what_it_knows_by_itself() -> None:
    network = certain(1)
    assert network.knows_uncertainty
    for one, other in zip(network.moments(x()), network.members[0].moments(x()), strict=True):  # type: ignore[attr-defined]
        assert torch.equal(one, other)


def test_fine_tuned_members_are_copies() -> None:
    network = build(2)
    copy = network.fine_tuned(1)
    assert network.n_layers == 2
    assert torch.equal(copy.predict(x()), network.predict(x()))
    assert copy.members[0] is not network.members[0]
    processes = EnsembleSettings(2, {"name": "gaussian_process"}).build(5)
    assert processes.n_layers == 0
    with pytest.raises(InputError, match="cannot be fine-tuned"):
        processes.fine_tuned(0)
    assert LastLayerSettings(MEMBER).build(5).n_layers == 2


def test_an_ensemble_of_one_is_that_network() -> None:
    network = build(1)
    alone = MLPSettings(width=8, depth=1).build(5, torch.Generator().manual_seed(0))
    assert torch.equal(network.predict(x()), alone.predict(x()))
    assert not network.knows_uncertainty
    with pytest.raises(InputError, match="states no uncertainty"):
        network.moments(x())


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
