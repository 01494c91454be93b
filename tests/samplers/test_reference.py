"""Refinement against a slow version that is written from the formulas, one sample at a time."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from gantandem import GAN, Key, Refine, prepare, sample
from gantandem.errors import InputError
from reference_networks import GAN_, SEED, WIDTH, N, networks


def slow_refine(mover: Refine, gan: GAN, key: Key, sample_id: int, attempt: int = 0) -> dict:
    """Algorithm 1 of Liu et al. 2020 for one sample; every setting resolved."""
    layers = list(gan.generator)
    ids = torch.tensor([sample_id])
    z = key.fold("latent").normal(ids, attempt, shape=(2,))
    if mover.layer == "latent":
        h, tail = z, layers
    elif mover.layer == "data":
        h, tail = gan.generator(z).detach(), []
    else:
        cut = int(mover.layer) + 1
        h, tail = nn.Sequential(*layers[:cut])(z).detach(), layers[cut:]

    if mover.defensive:
        coin, scale = key.fold("widen").uniform(ids, attempt, shape=(2,))[0].tolist()
        if coin < mover.defensive:
            noise = key.fold("wide").normal(ids, attempt, shape=tuple(h.shape[1:]))
            h = h + scale * mover.defensive_scale * mover.spread * noise

    def look(h):
        h = h.detach().requires_grad_()
        x = h
        for layer in tail:
            x = layer(x)
        logit = gan.guide.network(x).squeeze()
        loss = -torch.log(torch.sigmoid(logit))
        (gradient,) = torch.autograd.grad(loss, h)
        return x.detach(), float(logit.detach()), gradient

    last = mover.steps
    if mover.stop == "random" and mover.stop_probability is None:
        last = int(float(key.fold("stop").uniform(ids, attempt)) * (mover.steps + 1))
    elif mover.stop == "random":
        u, last = float(key.fold("stop").uniform(ids, attempt)), 0
        while last < mover.steps and u < (1 - mover.stop_probability) ** (last + 1):
            last += 1
    if mover.unrefined and float(key.fold("unrefined").uniform(ids, attempt)) < mover.unrefined:
        last = 0

    beta1, beta2 = mover.betas or ((0.9, 0.5) if mover.update == "scaled-adam" else (0.9, 0.999))
    buffer = first = second = torch.zeros_like(h)
    smoothed = None
    seen = []
    for step in range(last + 1):
        x, logit, gradient = look(h)
        seen.append({"x": x, "logit": logit, "steps": step, "z": z})
        if step == last or (mover.stop == "threshold" and logit >= mover.threshold):
            break
        t = step + 1
        if mover.update == "sgd":
            move = gradient
        elif mover.update == "momentum":
            buffer = 0.9 * buffer + gradient
            move = buffer
        else:
            first = beta1 * first + (1 - beta1) * gradient
            second = beta2 * second + (1 - beta2) * gradient**2
            unbiased = second / (1 - beta2**t)
            move = first / (1 - beta1**t) / (unbiased.sqrt() + 1e-8)
        if mover.update == "scaled-adam":
            loss = mover.reference - 1 / (1 + math.exp(-logit))
            smoothed = loss if smoothed is None else 0.5 * smoothed + 0.5 * loss
            move = move * max(0.0, smoothed + 0.5) ** 2
        h = h - mover.step_size * move
        if mover.clamp is not None:
            h = h.clamp(*mover.clamp)
    return max(seen, key=lambda s: s["logit"]) if mover.stop == "best" else seen[-1]


def fast_and_slow(mover: Refine):
    out = sample(GAN_, mover, N, seed=SEED, width=WIDTH)
    slow = [slow_refine(mover, GAN_, Key(SEED), i) for i in range(N)]
    return out, slow


def check_refine(mover: Refine) -> None:
    out, slow = fast_and_slow(mover)
    assert out.steps.tolist() == [s["steps"] for s in slow]
    fine = 1e-4 if mover.layer == "latent" else 1e-6  # latents are kept in float32
    assert torch.allclose(out.x, torch.cat([s["x"] for s in slow]), rtol=1e-5, atol=fine)
    logits = torch.tensor([s["logit"] for s in slow], dtype=torch.float64)
    assert torch.allclose(out.log_ratio, logits, rtol=1e-4, atol=10 * fine)
    assert torch.equal(out.z, torch.cat([s["z"] for s in slow]))


BASE = Refine(steps=12, step_size=0.05)


STOPS = {
    "random": {},
    "coin": {"stop_probability": 0.2},
    "last": {"stop": "last"},
    "best": {"stop": "best", "step_size": 0.8, "layer": "latent"},
    "threshold": {"stop": "threshold", "threshold": 0.3},
}


UPDATES = {
    "sgd": {"update": "sgd", "step_size": 0.3},
    "momentum": {"update": "momentum", "step_size": 0.1},
    "adam": {"update": "adam"},
    "adam, other betas": {"update": "adam", "betas": (0.5, 0.9)},
    "scaled-adam": {"update": "scaled-adam", "reference": 0.7},
}


@pytest.mark.parametrize("stop", STOPS)
def test_stop_rules(stop):
    check_refine(replace(BASE, **STOPS[stop]))


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("stop", ["last", "random"])
def test_update_rules(update, stop):
    check_refine(replace(BASE, stop=stop, **UPDATES[update]))


@pytest.mark.parametrize("layer", ["latent", "1", "2", "data"])
def test_layers(layer):
    check_refine(replace(BASE, layer=layer, stop="last", steps=6))


def test_clamp():
    mover = replace(BASE, stop="last", step_size=0.3, clamp=(-0.4, 0.4))
    check_refine(mover)
    assert float(sample(GAN_, mover, N, width=WIDTH).x.abs().max()) <= 0.4


@pytest.mark.parametrize("layer", ["1", "data"])
def test_defensive_starts(layer):
    check_refine(replace(BASE, layer=layer, defensive=0.5, defensive_scale=2.0, spread=0.8))


def test_unrefined_shares():
    mover = replace(BASE, stop="last", unrefined=0.3, defensive=0.2, spread=0.8)
    check_refine(mover)
    steps = sample(GAN_, mover, 2000, width=256).steps
    assert set(steps.tolist()) == {0, 12}
    assert float((steps == 0).double().mean()) == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("update", UPDATES)
def test_other_precisions(update, dtype):
    """Samples come in float32; values agree as far as the networks' precision goes."""
    gan = networks(dtype)
    for stop, layer in (("last", "1"), ("best", "data"), ("last", "latent")):
        mover = replace(BASE, steps=3, stop=stop, layer=layer, **UPDATES[update])
        out = sample(gan, mover, N, seed=SEED, width=WIDTH)
        assert out.x.dtype == torch.float32
        wanted = sample(GAN_, mover, N, seed=SEED, width=WIDTH).x
        gap = (out.x.double() - wanted).abs().median()
        assert float(gap) < 10 * torch.finfo(dtype).eps


def test_the_cases_are_not_trivial():
    """Stops really differ between samples, and the best step is often not the last."""
    for name in ("random", "coin", "threshold", "best"):
        out, _ = fast_and_slow(replace(BASE, **STOPS[name]))
        assert len(set(out.steps.tolist())) > 3, name


def test_refinement_raises_the_guide():
    start = sample(GAN_, replace(BASE, unrefined=1.0), N, width=WIDTH).log_ratio
    for update, options in UPDATES.items():
        out = sample(GAN_, replace(BASE, stop="last", **options), N, width=WIDTH)
        assert float((out.log_ratio > start).double().mean()) > 0.95, update


def test_settings_left_to_be_resolved():
    """step_size="auto", threshold, reference and spread, from their definitions."""
    real = 0.3 * torch.randn(500, 3, generator=torch.Generator().manual_seed(0)).double()
    gan = GAN_.observe(real)
    logits = gan.guide.network(real).squeeze(1).detach()
    assert gan.spread == pytest.approx(float(real.var(0).mean().sqrt()), rel=0.01)

    shaped = gan.replace(shaped=True)

    def resolved(gan=shaped, **options):
        return prepare(gan, Refine(**options))[0]

    assert resolved(gan).step_size == pytest.approx(0.001 * gan.spread, rel=0.01)  # not shaped
    at_data = resolved(defensive=0.5)
    assert at_data.spread == gan.spread
    assert at_data.step_size == pytest.approx(0.02 * gan.spread, rel=0.01)
    hidden = resolved(layer="1", defensive=0.5)
    head = gan.generator[:2](Key(8).normal(torch.arange(20_000), shape=(2,)))
    wanted = float(head.detach().var(0).mean().sqrt())
    assert hidden.spread == pytest.approx(wanted, rel=0.05)
    assert hidden.step_size == pytest.approx(0.02 * wanted, rel=0.05)
    threshold = resolved(stop="threshold").threshold
    assert threshold == pytest.approx(float(logits.median()), abs=0.01)
    reference = resolved(update="scaled-adam").reference
    assert reference == pytest.approx(float(logits.sigmoid().mean()), abs=0.001)


def test_the_scale_of_the_authors_adam_is_that_of_probabilities():
    """A move is at most 2.25 times Adam's, however sure the guide is that a sample is generated.

    With logits the factor would grow without end: at a logit of -20 it would be over 400.
    """
    sure = nn.Linear(3, 1).double()
    with torch.no_grad():
        sure.bias.fill_(-20.0)
    gan = GAN_.with_guide(sure)
    mover = Refine(steps=1, stop="last", step_size=0.1, update="scaled-adam", reference=1.0)
    moved = {
        update: (sample(gan, one, 64).x - sample(gan, replace(one, unrefined=1.0), 64).x).abs()
        for update, one in (("adam", replace(mover, update="adam")), ("scaled-adam", mover))
    }
    factor = moved["scaled-adam"] / moved["adam"]
    assert torch.allclose(factor, torch.full_like(factor, 2.25), rtol=1e-3)


def test_the_authors_adam_needs_a_probability():
    mover = Refine(update="scaled-adam")
    critic = GAN_.with_guide(GAN_.guide.network, "critic")
    with pytest.raises(InputError, match="the guide is a critic"):
        prepare(critic.observe(torch.randn(50, 3).double()), mover)
    old = GAN_.replace(real_logits={"mean": 0.2, "median": 0.1})  # of a run kept before
    with pytest.raises(InputError, match="mean probability of real data.*observe"):
        prepare(old, mover)
    with pytest.raises(InputError, match="reference: got 2.3, allowed is a share from 0 to 1"):
        replace(mover, reference=2.3)
