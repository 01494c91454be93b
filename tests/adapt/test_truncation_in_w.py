"""StyleGAN's truncation: between the mean of w and w, under a name of its own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from foreign_models import Mapped, Noisy, seeded
from gantandem import GAN, Direct, adapt, prepare
from gantandem.errors import InputError

Z = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


def test_it_is_the_formula():
    network = seeded(Mapped, average=True)
    w = network.mapping(Z)
    wanted = network.synthesis(0.3 + 0.6 * (w - 0.3))
    assert torch.allclose(adapt.TruncatedW(network, 0.6)(Z), wanted, atol=1e-6)
    assert torch.allclose(adapt.TruncatedW(network, 1.0)(Z), network(Z), atol=1e-6)
    alone = adapt.TruncatedW(network, 0)(Z)
    assert torch.allclose(alone, alone[:1].expand_as(alone))


def test_the_mean_is_measured_where_none_is_kept():
    network = seeded(Mapped)
    with pytest.raises(InputError, match=r"mean=average_w\(G, 512\)"):
        adapt.TruncatedW(network, 0.5)
    mean = adapt.average_w(network, 4, n=3000)
    with torch.no_grad():
        own = network.mapping(torch.randn(20_000, 4)).mean(0)
    assert mean.shape == (4,) and torch.allclose(mean, own, atol=0.05)
    assert torch.equal(adapt.TruncatedW(network, 0.5, mean).mean, mean) and network.training


def law(psi):
    gan = GAN(adapt.TruncatedW(seeded(Mapped, average=True), psi), None, 4)
    return gan.law(prepare(gan, Direct())[0])


def test_each_psi_is_a_law_of_its_own():
    assert len({law(psi) for psi in (0.5, 0.50001, 0.9)}) == 3
    assert law(0.5) == law(0.5)


@pytest.mark.parametrize("psi", [-0.1, 1.5, True, "a"])
def test_psi_is_from_0_to_1(psi):
    with pytest.raises(InputError, match="allowed is a number from 0 to 1"):
        adapt.TruncatedW(seeded(Mapped, average=True), psi)


class Renamed(nn.Module):
    def __init__(self):
        super().__init__()
        self.style, self.synthesis = nn.Linear(4, 4), nn.Linear(4, 2)


@pytest.mark.parametrize(("network", "said"), [
    (lambda: adapt.Item(Mapped(True), 0), "write adapt.Item(adapt.TruncatedW(G, 0.7), ...)"),
    (lambda: adapt.Keyword(Labelled(), "y"), "write adapt.Keyword(adapt.TruncatedW(G, 0.7), ...)"),
    (Renamed, "no module 'mapping'; TruncatedW needs a module that maps z to w"),
    (Renamed, "adapt.TruncatedW(G, 0.7, mapping=NAME): allowed: style, synthesis"),
    (lambda: nn.Linear(4, 2), "no module 'mapping' and 'synthesis'"),
])  # fmt: skip
def test_where_it_does_not_fit_it_is_said_how(network, said):
    with pytest.raises(InputError) as caught:
        adapt.TruncatedW(network(), 0.7)
    assert said in str(caught.value)


def test_no_module_to_measure_the_mean_of():
    with pytest.raises(InputError, match="average_w: Renamed has no module 'mapping'"):
        adapt.average_w(Renamed(), 4)


class Labelled(nn.Module):
    def forward(self, z, y):
        return z


class Modes(Mapped):
    def __init__(self):
        super().__init__(average=True)
        self.synthesis = Noisy()


def test_other_adapters_go_around_it_and_fix_what_the_synthesis_takes():
    g = adapt.TruncatedW(seeded(Modes), 0.7)
    with pytest.raises(InputError, match=r"write adapt.With\(G, {'noise_mode': 'const'}\)"):
        GAN(g, None, 4)
    gan = GAN(adapt.With(g, {"noise_mode": "const"}), None, 4)
    assert gan.cut("synthesis.middle").layer == "synthesis.middle"
    assert torch.equal(gan.decode(Z), gan.decode(Z))
