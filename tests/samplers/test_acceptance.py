"""Acceptance against slow versions that are written from the formulas, one sample at a time."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import optimize
from test_reference import BASE, slow_refine

from gantandem import DRS, GAN, OBRS, Direct, Key, Metropolis, Rejection, sample
from reference_networks import GAN_, SEED, WIDTH, N


def proposal(gan: GAN, key: Key, sample_id: int, attempt: int):
    z = key.fold("latent").normal(torch.tensor([sample_id]), attempt, shape=(2,))
    x = gan.generator(z).detach()
    return x, float(gan.guide.network(x).detach())


def uniform(key: Key, sample_id: int, attempt: int) -> float:
    return math.exp(float(key.fold("judge").log_uniform(torch.tensor([sample_id]), attempt)))


def pilot(n: int) -> np.ndarray:
    key = Key(0).fold("pilot")
    return np.array([proposal(GAN_, key, i, 0)[1] for i in range(n)])


def slow_rejection(accept, sample_id: int, budget: int = 10_000) -> dict:
    key = Key(SEED)
    for attempt in range(budget):
        x, log_ratio = proposal(GAN_, key, sample_id, attempt)
        if uniform(key, sample_id, attempt) < accept(log_ratio):
            return {"x": x, "log_ratio": log_ratio, "attempts": attempt + 1}
    raise AssertionError("nothing accepted")


def check_selector(sampler, slow) -> None:
    out = sample(GAN_, sampler, N, seed=SEED, width=WIDTH)
    assert out.attempts.tolist() == [s["attempts"] for s in slow]
    assert torch.allclose(out.x, torch.cat([s["x"] for s in slow]), rtol=1e-9)
    log_ratio = torch.tensor([s["log_ratio"] for s in slow], dtype=torch.float64)
    assert torch.allclose(out.log_ratio, log_ratio, rtol=1e-9)
    return out


def test_rejection():
    n = 400
    top = max(np.exp(pilot(n)))

    def accept(log_ratio):
        return min(math.exp(log_ratio) / top, 1)

    check_selector(Rejection(pilot=n), [slow_rejection(accept, i) for i in range(N)])


@pytest.mark.parametrize("percentile", [None, 80.0])
def test_drs(percentile):
    n, eps = 400, 1e-4
    d = pilot(n)
    top = d.max()

    def f(d, gamma):
        delta = min(d - top, 0)
        return delta - math.log(1 - math.exp(delta - eps)) - gamma

    gamma = 0.0
    if percentile is not None:
        gamma = float(np.percentile([f(v, 0.0) for v in d], percentile))

    def accept(log_ratio):
        return 1 / (1 + math.exp(-f(log_ratio, gamma)))

    slow = [slow_rejection(accept, i) for i in range(N)]
    out = check_selector(DRS(pilot=n, percentile=percentile, eps=eps), slow)
    assert out.manifest["sampler"]["gamma"] == pytest.approx(gamma, abs=1e-9)


@pytest.mark.parametrize("budget", [1.5, 4.0])
def test_obrs(budget):
    n = 400
    r = np.exp(pilot(n))
    c = optimize.brentq(lambda c: np.minimum(c * r, 1).mean() - 1 / budget, 1e-9, 1e9, xtol=1e-15)
    c = max(c, 1 / r.max())  # at most K proposals: no more than an exact rule takes

    def accept(log_ratio):
        return min(c * math.exp(log_ratio), 1)

    slow = [slow_rejection(accept, i) for i in range(N)]
    out = check_selector(OBRS(pilot=n, expected=budget), slow)
    assert out.manifest["sampler"]["log_scale"] == pytest.approx(math.log(c), abs=1e-6)


@pytest.mark.parametrize("proposals", [1, 2, 15])
def test_metropolis(proposals):
    def chain(sample_id):
        key = Key(SEED)
        x, d = proposal(GAN_, key, sample_id, 0)
        for attempt in range(1, proposals):
            y, d_new = proposal(GAN_, key, sample_id, attempt)
            if uniform(key, sample_id, attempt) < min(1, math.exp(d_new - d)):
                x, d = y, d_new
        return {"x": x, "log_ratio": d, "attempts": proposals}

    check_selector(Metropolis(proposals=proposals), [chain(i) for i in range(N)])


def test_metropolis_on_refined_proposals():
    """The nesting of collaborative sampling: widen some attempts, refine, then accept."""
    mover, key = replace(BASE, stop="random", defensive=0.5, spread=0.8), Key(SEED)

    def chain(sample_id):
        state = slow_refine(mover, GAN_, key, sample_id, 0)
        for attempt in range(1, 4):
            new = slow_refine(mover, GAN_, key, sample_id, attempt)
            if uniform(key, sample_id, attempt) < math.exp(min(0, new["logit"] - state["logit"])):
                state = new
        return state

    sampler = Metropolis(proposal=mover, proposals=4)
    out = sample(GAN_, sampler, N, seed=SEED, width=WIDTH, strict=False)
    slow = [chain(i) for i in range(N)]
    assert out.steps.tolist() == [s["steps"] for s in slow]
    assert torch.allclose(out.x, torch.cat([s["x"] for s in slow]), rtol=1e-5, atol=1e-6)


def test_direct():
    out = sample(GAN_, Direct(), N, seed=SEED, width=WIDTH)
    wanted = torch.cat([proposal(GAN_, Key(SEED), i, 0)[0] for i in range(N)])
    assert torch.allclose(out.x, wanted, rtol=1e-12)
    assert out.log_ratio.isnan().all() and bool((out.steps == 0).all())
