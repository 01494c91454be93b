"""Compiled, scripted and wrapped networks are those that they wrap."""

from __future__ import annotations

import functools
import logging

import pytest
import torch
from torch import nn

from awkward import OldNorms, made
from door_gans import FIT, REAL, cloud, gan
from gantandem import (
    GAN,
    MALA,
    Direct,
    Metropolis,
    Refine,
    fit_ratio,
    sample,
    shape,
)
from gantandem.errors import CutError, InputError
from plain_gans import net

# -- wrappers -----------------------------------------------------------------------------------


def scripted(network):
    return torch.jit.script(network)


def traced(network):
    return torch.jit.trace(network.eval(), cloud(4), check_trace=False)


WRAPPERS = {
    "script": scripted,
    "trace": traced,
    "parallel": nn.DataParallel,
    "compile": functools.partial(torch.compile, backend="eager"),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_wrapped_networks_sample_as_plain_ones(wrapper):
    plain = gan()
    other = GAN(WRAPPERS[wrapper](plain.generator), WRAPPERS[wrapper](plain.guide.network), 2)
    for sampler in (Direct(), Metropolis(proposals=2), Refine(layer="latent", steps=2),
                    MALA(steps=2, step_size=0.1)):  # fmt: skip
        a, b = (sample(g, sampler, 16, width=16).x for g in (plain, other))
        assert torch.allclose(a, b, atol=1e-5), sampler
    fitted = fit_ratio(other, REAL, network=other.guide.network, **FIT)
    sample(fitted, Metropolis(proposals=2), 16, width=16)
    options = {"updates": 2, "check_every": 1, "check_samples": 20, "batch": 16, "width": 16}
    shape(other, REAL, refine=Refine(steps=2), progress=False, **options)


def test_layers_of_a_scripted_generator_are_refused_in_one_message():
    made = GAN(scripted(net(2, 8, 2)), net(2, 8, 1), 2)
    with pytest.raises(CutError, match="'latent' or 'data'"):
        sample(made, Refine(layer="0", steps=2), 16, width=16)


def test_layers_of_a_wrapped_generator_go_by_their_own_names():
    made = GAN(nn.DataParallel(net(2, 8, 2)), net(2, 8, 1), 2)
    out = sample(made, Refine(layer="0", steps=2, step_size=0.1), 16, width=16)
    assert torch.equal(out.x, sample(gan(), Refine(layer="0", steps=2, step_size=0.1), 16,
                                     width=16).x)  # fmt: skip


class Writes(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.body, self.how = net(2, 8, 2), how

    def forward(self, z):
        self.how(self.body[0].weight)
        return self.body(z)


@pytest.mark.parametrize("how", [
    lambda w: w.detach().clamp_(-0.1, 0.1), lambda w: setattr(w, "data", w.data / w.data.norm()),
])  # fmt: skip
def test_a_forward_that_writes_into_its_weights_is_refused(how):
    with pytest.raises(InputError, match=r"writes into its own weight 'body.0.weight'"):
        GAN(Writes(how), None, 2)


@pytest.mark.filterwarnings("ignore")
def test_computed_weights_pass(caplog):
    with caplog.at_level(logging.WARNING):
        GAN(made(OldNorms), made(OldNorms, 1), 2)
    assert "statistics" not in caplog.text
