"""The call that every gradient-based sampler makes is autograd's, and costs no more than it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from gantandem import GAN


@pytest.fixture
def gan():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
        guide = nn.Sequential(nn.Linear(2, 24), nn.ReLU(), nn.Linear(24, 1))
    return GAN(generator, guide, 2)


POINTS = torch.randn(64, 2, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layer", ["data", "latent", "1"])
def test_guidance_at_any_layer_is_autograds_to_the_bit(gan, layer):
    h, carry = gan.cut(layer).head(POINTS, None)
    x, logit, gradient = gan.networks.guidance(layer, h, carry, None)
    leaf = h.detach().clone().requires_grad_()
    expected = gan.guide.network(gan.cut(layer).tail(leaf, carry)).reshape(-1)
    assert torch.equal(x, gan.cut(layer).tail(h, carry)) and torch.equal(logit, expected)
    assert torch.equal(gradient, torch.autograd.grad(expected.sum(), leaf)[0])
    assert not (x.requires_grad or logit.requires_grad or gradient.requires_grad)


def test_a_score_under_autocast_is_given_in_full_precision(gan):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, logit, _ = gan.networks.guidance("data", POINTS, (), None)
    assert logit.dtype == torch.float32 and torch.equal(logit, logit.bfloat16().float())


@pytest.mark.slow
def test_sampling_loads_no_compiler():
    code = (
        "import sys; from gantandem import MALA, Refine, sample;"
        "from gantandem.testing import toy_gan; gan = toy_gan();"
        "movers = Refine(steps=2, step_size=.1), MALA(steps=2, step_size=.1);"
        "[sample(gan, mover, 16, width=64, progress=False) for mover in movers];"
        "print([name for name in ('sympy', 'torch._dynamo') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
