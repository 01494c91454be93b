"""Ctrl-C in the middle of a run keeps what is finished."""

from __future__ import annotations

import logging
import signal

import pytest
from test_invariance import draw, head, same
from torch import nn

from gantandem import OBRS, Metropolis, Refine, Samples
from gantandem.engine.account import Account
from gantandem.engine.run import Run
from gantandem.testing import toy_gan


class Calls:
    """How many are left; no value of the module, which would be put back after a run."""

    left = 10**9


class Interrupts(nn.Module):
    """Presses Ctrl-C at one of its calls while armed."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.calls = inner, Calls()

    def forward(self, x):
        self.calls.left -= 1
        if self.calls.left == 0:
            signal.raise_signal(signal.SIGINT)
        return self.inner(x)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
def test_ctrl_c_inside_a_network_keeps_the_prefix(share, caplog):
    gan, sampler = toy_gan(), Metropolis(proposal=Refine(steps=4, step_size=0.1), proposals=3)
    score = Interrupts(gan.guide.network).train()
    gan = gan.with_guide(score)
    whole = draw(sampler, 1000, gan)
    score.calls.left = int(share * (10**9 - score.calls.left))
    with caplog.at_level(logging.WARNING):
        with pytest.raises(KeyboardInterrupt, match=r"of 1,000 samples were finished") as stop:
            draw(sampler, 1000, gan)
    out = stop.value.samples
    assert 0 < len(out) < 1000
    same(out, head(whole, len(out)))
    assert out.manifest["interrupted"] and out.manifest["returned"] == len(out)
    assert f"interrupted: the first {len(out)} of 1000 samples are kept" in caplog.text
    assert score.training and all(p.requires_grad for p in score.parameters())
    score.calls.left = 10**9
    rest = draw(sampler, 1000 - len(out), gan, start=len(out))
    same(Samples.join([out, rest], {}), whole)
    assert not rest.manifest["interrupted"]


@pytest.mark.parametrize("method", ["_judge", "add", "_emit"])
def test_ctrl_c_inside_the_engine_emits_nothing_unfinished(method, monkeypatch):
    gan, sampler = toy_gan(), OBRS(expected=3, log_scale=-1.0)
    whole = draw(sampler, 400, gan)  # which also prepares the sampler
    kind = Account if method == "add" else Run
    whole_method = getattr(kind, method)
    calls = 0

    def interrupted(self, *args, **options):
        nonlocal calls
        calls += 1
        if calls == 11:
            signal.raise_signal(signal.SIGINT)
        return whole_method(self, *args, **options)

    monkeypatch.setattr(kind, method, interrupted)
    with pytest.raises(KeyboardInterrupt) as stop:
        draw(sampler, 400, gan)
    out = stop.value.samples
    assert out.manifest["interrupted"] and 0 < len(out) < 400
    same(out, head(whole, len(out)))


def test_ctrl_c_before_anything_is_finished():
    gan = toy_gan()
    score = Interrupts(gan.guide.network)
    gan = gan.with_guide(score)
    score.calls.left = 2
    with pytest.raises(KeyboardInterrupt, match="0 of 100") as stop:
        draw(Refine(steps=50, stop="last", step_size=0.1), 100, gan)
    assert stop.value.samples is None
