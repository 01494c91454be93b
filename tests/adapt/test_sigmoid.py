"""Probabilities: read as the logit before the last sigmoid, and never taken for logits."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem.networks.score import Score
from sigmoid_ends import ENDS, SCALE, Functional, Nested, body

OTHERS = {
    "clamped": lambda: Functional(lambda h: (h / SCALE).clamp(0, 1)),
    "softmax": lambda: Functional(lambda h: torch.cat([h, 0 * h], 1).softmax(1)[:, 0]),
    "mean of sigmoids": lambda: Functional(lambda h: torch.cat([h, -h / 9], 1).sigmoid().mean(1)),
    "one minus": lambda: Functional(lambda h: 1 - h.sigmoid()),
    "normal": lambda: Functional(torch.special.ndtr),
}


def logits(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the sigmoids of these networks are given, (N, patches), from float64 probabilities."""
    with torch.no_grad():
        wide = network.double()(x.double())
    network.float()
    return torch.logit(wide).view(len(x), -1)


@pytest.mark.parametrize("kind", ENDS)
def test_the_logit_is_that_before_the_sigmoid_and_the_network_stays(kind):
    network = ENDS[kind]().eval()
    x = torch.randn(64, 2)
    want = logits(network, x)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    parts = [(name, id(module)) for name, module in network.named_modules()]
    score = Score(network, "prob")
    with torch.no_grad():
        got = score(x)
    # Where float64 probabilities hold the logit, and far outside of what float32 ones do.
    sure, want = want.abs().amax(1) < 30, want.mean(1)
    assert bool((want.abs() > 18).any())
    torch.testing.assert_close(got[sure].double(), want[sure], rtol=1e-3, atol=1e-3)
    assert float(got.abs().max()) > 17 and score._before.found
    assert parts == [(name, id(module)) for name, module in network.named_modules()]
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(score(leaf).sum(), leaf)
    assert bool((slope != 0).any(1).all()), "a saturated sample has no gradient"


@pytest.mark.slow
def test_what_no_one_can_look_into_is_clipped_and_what_is_compiled_is_read_without():
    plain = nn.Sequential(*body(), nn.Sigmoid()).eval()
    x = torch.randn(64, 2)
    with torch.no_grad():
        scripted = gt.GAN(nn.Identity(), torch.jit.script(plain), 2, output="prob").guide
        want = torch.logit(plain(x), eps=torch.finfo(torch.float32).eps).flatten()
        torch.testing.assert_close(scripted(x), want)
        compiled = Score(torch.compile(plain), "prob")
        assert torch.equal(compiled(x), plain[:-1](x).flatten())


@pytest.mark.parametrize("kind", OTHERS)
def test_other_probabilities_are_clipped(kind):
    network = OTHERS[kind]().eval()
    x = torch.randn(64, 2)
    score = Score(network, "prob")
    with torch.no_grad():
        got, prob = score(x), network(x).flatten()
    assert not score._before.found
    eps = torch.finfo(torch.float32).eps
    assert torch.equal(got, torch.logit(prob, eps=eps)) and bool(got.isfinite().all())


def test_the_view_follows_what_is_done_to_the_network():
    network = Nested().eval()
    score, x = Score(network, "prob"), torch.randn(8, 2)
    with torch.no_grad():
        first = score(x)
        network.main[2].weight *= 2
        network.main[2].bias *= 2
        torch.testing.assert_close(score(x), 2 * first)
        network.main[0] = nn.Linear(2, 8)  # another part
        want = network.main[:-1](x).flatten()
        torch.testing.assert_close(score(x), want)


def test_exact_zeros_and_ones_in_any_precision():
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        score = Score(Functional(lambda h, dtype=dtype: (h > 0).to(dtype)).eval(), "prob")
        with torch.no_grad():
            got = score(torch.randn(64, 2))
        assert bool(got.isfinite().all()) and got.min() < 0 < got.max()
        assert got.dtype == torch.promote_types(dtype, torch.float32)


@pytest.mark.parametrize("kind", ENDS)
def test_a_sigmoid_under_logit_is_said_when_the_gan_is_made(kind, caplog):
    with caplog.at_level(logging.WARNING):
        gt.GAN(nn.Identity(), ENDS[kind](), 2)
    (said,) = caplog.messages
    assert "ends in a sigmoid" in said and "output='prob'" in said
    caplog.clear()
    gt.GAN(nn.Identity(), ENDS[kind](), 2, output="prob")
    gt.GAN(nn.Identity(), ENDS[kind](), 2, output="lsgan")
    gt.GAN(nn.Identity(), nn.Sequential(nn.Sigmoid(), *body()), 2)
    assert not caplog.messages
