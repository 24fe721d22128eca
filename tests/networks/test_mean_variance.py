"""The perceptron with a variance: its mean is the plain one's, and its variance the data's."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from nearsight.errors import InputError, ModelFileError
from nearsight.networks import (
    FineTunableNetwork,
    LossNetwork,
    MeanVarianceMLP,
    MeanVarianceSettings,
    MLPSettings,
    UncertainNetwork,
)
from nearsight.networks.conformance import check_network
from nearsight.networks.noise import gaussian_loss


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small(seed: int = 0) -> MeanVarianceMLP:
    return MeanVarianceSettings(width=16, depth=2).build(5, generator(seed))


@pytest.mark.parametrize(
    "settings", [MeanVarianceSettings(width=16, depth=2), MeanVarianceSettings(width=8, depth=0)]
)
def test_it_conforms(settings: MeanVarianceSettings) -> None:
    check_network(settings)
    network = settings.build(5, generator())
    for kind in (UncertainNetwork, LossNetwork, FineTunableNetwork):
        assert isinstance(network, kind)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(InputError, match="width"):
        MeanVarianceSettings(width=0)
    with pytest.raises(InputError, match="activation"):
        MeanVarianceSettings(activation="step")  # type: ignore[arg-type]


def test_the_mean_learns_as_the_plain_perceptron_does() -> None:
    """Start, gradients and steps are the same: the variance takes nothing from the mean."""
    network, plain = small(), MLPSettings(width=16, depth=2).build(5, generator())
    x, t = torch.randn(64, 5, generator=generator(1)), torch.randn(64, generator=generator(2))
    weight = torch.rand(64, generator=generator(3)) + 0.5
    assert torch.equal(network.predict(x), plain.predict(x))
    ours, theirs = (torch.optim.AdamW(n.parameters(), lr=1e-2, weight_decay=0.0) for n in (network, plain))
    for _ in range(20):
        for optimizer in (ours, theirs):
            optimizer.zero_grad()
        network.loss(x, t, weight, n_effective=64, done=0.0).backward()  # type: ignore[no-untyped-call]
        (weight * (plain(x) - t).square()).mean().backward()
        for optimizer in (ours, theirs):
            optimizer.step()
    assert torch.equal(network.predict(x), plain.predict(x))
    assert not torch.equal(network.moments(x).aleatoric, small().moments(x).aleatoric)


def test_the_loss_is_the_gaussian_likelihood() -> None:
    square, variance = (torch.rand(50, generator=generator(k)) + 0.1 for k in (1, 2))
    exact = -torch.distributions.Normal(0.0, variance.sqrt()).log_prob(square.sqrt()).mean()  # type: ignore[no-untyped-call]
    ours = gaussian_loss(square, variance, torch.ones(50)) + 0.5 * np.log(2 * np.pi)
    assert float(ours) == pytest.approx(float(exact), rel=1e-5)
    weight = torch.tensor([2.0] * 25 + [0.0] * 25)
    half = gaussian_loss(square[:25], variance[:25], torch.ones(25))
    assert float(gaussian_loss(square, variance, weight)) == pytest.approx(float(half), rel=1e-5)


def test_a_noise_that_depends_on_the_place_is_learned() -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.uniform(-1, 1, (3000, 2)).astype(np.float32))
    deviation = 0.05 + 0.25 * (x[:, 0] > 0)
    t = x[:, 1] + deviation * torch.from_numpy(rng.normal(size=3000).astype(np.float32))
    network = MeanVarianceSettings(width=16, depth=1).build(2, generator())
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(400):
        optimizer.zero_grad()
        loss = network.loss(x, t, torch.ones(3000), n_effective=3000, done=0.0)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    places = torch.tensor([[-0.6, 0.0], [0.6, 0.0]])
    moments = network.moments(places)
    np.testing.assert_allclose(moments.aleatoric.sqrt().numpy(), [0.05, 0.30], rtol=0.25)
    assert float(moments.epistemic.abs().max()) == 0.0


def test_variances_survive_bfloat16() -> None:
    network, x = small(), torch.randn(200, 5, generator=generator(1))
    with torch.no_grad():
        network.noise.head.bias.fill_(-2.6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = network.moments(x)
    assert rounded.aleatoric.dtype == torch.float32
    assert 0 < float(rounded.aleatoric.max()) < 1e-4
    assert torch.allclose(rounded.aleatoric, network.moments(x).aleatoric, rtol=0.05)


def test_weight_decay_spares_the_variance() -> None:
    network = small()
    spared = {id(p) for p in network.undecayed()}
    assert spared == {id(p) for p in network.noise.parameters()}


def test_fine_tuning_starts_from_the_network_and_freezes_its_first_layers() -> None:
    network, x = small(), torch.randn(20, 5, generator=generator(1))
    copy = network.fine_tuned(2)
    for one, other in zip(copy.moments(x), network.moments(x), strict=True):
        assert torch.equal(one, other)
    trained = {name for name, p in copy.named_parameters() if p.requires_grad}
    assert {name for name in trained if name.startswith("mean")} == {
        "mean.layers.2.weight",
        "mean.layers.2.bias",
    }
    assert all(p.requires_grad for p in copy.noise.parameters())
    with pytest.raises(InputError, match="can be frozen"):
        network.fine_tuned(3)


def test_weights_of_another_shape_are_refused() -> None:
    other = MeanVarianceSettings(width=8, depth=2).build(5)
    with pytest.raises(ModelFileError, match="do not fit"):
        other.load_tensors(small().tensors())
