"""A cut or a guidance that is kept follows the networks: nothing is taken from older ones."""

from __future__ import annotations

import types

import pytest
import torch
from torch import nn

from gantandem import GAN, Metropolis, Refine, sample
from plain_gans import net

Z = torch.linspace(-2, 2, 16).view(8, 2)


def through(gan, layer="0"):
    with gan.networks.frozen():
        return gan.cut(layer).tail(*gan.cut(layer).head(Z))


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = net(2, 8), net(8, 2, seed=1)
        self.scale, self.act, self.options = 1.0, torch.tanh, {"shift": 0.0}
        self.register_buffer("offset", torch.zeros(8))

    def forward(self, z):
        h = self.act(self.first(z) + self.offset)
        return self.scale * self.last(h) + self.options["shift"]


EDITS = {
    "a plain number": lambda g: setattr(g, "scale", 2.0),
    "a function": lambda g: setattr(g, "act", torch.relu),
    "an entry of a dictionary": lambda g: g.options.update(shift=1.0),
    "a module": lambda g: setattr(g, "last", net(8, 2, seed=2)),
    "a layer inside": lambda g: g.last.append(nn.Sigmoid()),
    "a parameter": lambda g: setattr(g.last[0], "bias", nn.Parameter(torch.ones(2))),
    "a buffer": lambda g: setattr(g, "offset", torch.ones(8)),
    "a buffer in place": lambda g: g.offset.fill_(1.0),
    "weights in place": lambda g: g.last[0].weight.data.mul_(2),
    "the forward": lambda g: setattr(
        g, "forward", types.MethodType(lambda self, z: self.last(self.first(z)) - 1, g)
    ),
    "a hook": lambda g: g.register_forward_hook(lambda _m, _i, x: x + 1),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edits_of_a_generator_after_the_first_call_are_seen(edit):
    generator = Scaled()
    gan = GAN(generator, net(2, 8, 1), 2)
    before = through(gan, "first")
    EDITS[edit](generator)
    after = gan.decode(Z)
    assert not torch.allclose(before, after)
    assert torch.allclose(through(gan, "first"), after, atol=1e-6)
    sample(gan, Refine(layer="first", steps=2, step_size=0.1), 16, width=16)


def test_a_layer_of_the_tail_that_was_replaced_is_seen():
    gan = GAN(net(2, 8, 2), net(2, 8, 1), 2)
    through(gan)
    gan.generator[2] = nn.Tanh()
    gan.generator.append(nn.Linear(8, 2))
    assert torch.allclose(through(gan), gan.decode(Z))


def refined(gan):
    return sample(gan, Refine(layer="0", steps=3, step_size=0.5), 16, width=16).x


SWAPS = {
    "exchanged": lambda d: d.__setitem__(len(d) - 2, nn.ReLU()),
    "added": lambda d: d.append(nn.Softplus()),
    "put before": lambda d: d.insert(0, nn.Linear(2, 2)),
}


@pytest.mark.parametrize("swap", SWAPS)
def test_edits_of_a_guide_are_seen(swap):
    score = net(2, 8, 1)
    gan = GAN(net(2, 8, 2), score, 2)
    before = refined(gan)
    SWAPS[swap](score)
    after = refined(gan)
    assert not torch.equal(before, after)
    assert torch.equal(after, refined(GAN(gan.generator, score, 2)))


def test_what_did_not_change_is_kept():
    gan = GAN(net(2, 8, 2), net(2, 8, 1), 2)
    first = gan.cut("0")
    gan.decode(Z), refined(gan), gan.generator.train()
    assert gan.cut("0") is first


def test_another_end_of_a_discriminator_of_probabilities_is_seen():
    score = nn.Sequential(*net(2, 8, 1), nn.Sigmoid())
    gan = GAN(net(2, 8, 2), score, 2, output="prob")
    first = sample(gan, Metropolis(proposals=2), 16, width=16).log_ratio
    score[-1] = nn.Hardsigmoid()
    after = sample(gan, Metropolis(proposals=2), 16, width=16)
    new = GAN(gan.generator, score, 2, output="prob")
    assert not torch.allclose(first, after.log_ratio)
    assert torch.equal(
        after.log_ratio, sample(new, Metropolis(proposals=2), 16, width=16).log_ratio
    )
