"""No sampler returns a row that is not finite; a ratio of 0 is a number and no fault."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch

from gantandem import (
    DOT,
    DRS,
    GAN,
    ISIR,
    OBRS,
    SIR,
    ULA,
    DGFlow,
    Direct,
    LatentOpt,
    Metropolis,
    Normal,
    Refine,
    Rejection,
    Uniform,
    fit_ratio,
    prepare,
    sample,
    shape,
)
from gantandem.discriminator import negatives
from gantandem.engine.account import REDRAWS, surely_above
from gantandem.errors import BudgetError, NonFiniteError
from gantandem.testing import toy_gan
from targets import Formula


@dataclass(frozen=True, kw_only=True)
class Leaky(Direct):
    """Leaves the finite numbers at some attempts: a share, or the first ones of every id."""

    name: ClassVar[str] = "leaky"
    share: float = 0.0
    first: int = 0
    value: object = math.nan

    def step(self, gan, key, state):
        state, moved = super().step(gan, key, state)
        bad = key.fold("leak").uniform(state.id, state.attempt) < self.share
        bad = (bad | (state.attempt < self.first)).view(-1, 1)
        return state, moved._replace(x=torch.where(bad, self.value, moved.x))


SELECTORS = {
    "metropolis": Metropolis(proposals=4),
    "one proposal": Metropolis(proposals=1),
    "sir": SIR(proposals=4),
    "isir": ISIR(points=3, rounds=2),
    "rejection": Rejection(pilot=300),
    "drs": DRS(pilot=300),
    "obrs": OBRS(expected=3, pilot=300),
    "a tight budget": OBRS(log_scale=9.0, max_attempts=1),
}


@pytest.mark.parametrize(
    "name, value",
    [(name, math.nan) for name in (None, *SELECTORS)]
    + [(name, value) for name in (None, "metropolis") for value in (math.inf, -math.inf)],
)
def test_what_is_not_finite_is_drawn_again(name, value):
    mover = Leaky(share=0.05, value=value)
    sampler = mover if name is None else replace(SELECTORS[name], proposal=mover)
    out = sample(toy_gan(), sampler, 500, strict=False, width=64)
    assert out.x.isfinite().all() and out.z.isfinite().all()
    assert 10 < out.manifest["events"]["nonfinite"] < 0.09 * out.manifest["proposals"]
    assert out.accepted.all()
    again = sample(toy_gan(), sampler, 40, strict=False, width=128, start=300)
    assert torch.allclose(again.x, out.x[300:340], atol=1e-6)


def test_a_redrawn_sample_is_the_next_attempt_of_its_id():
    out = sample(toy_gan(), Leaky(share=0.05), 500, width=64)
    plain = sample(toy_gan(), Direct(), 500, width=64)
    first = out.attempts == 1
    assert 0.9 < float(first.double().mean()) < 1
    assert torch.equal(out.x[first], plain.x[first])
    assert not torch.equal(out.x[~first], plain.x[~first])
    assert out.manifest["passes"] == int(out.attempts.sum())


@pytest.mark.parametrize("name", [None, *SELECTORS])
def test_too_much_that_is_not_finite_is_laid_to_the_mover(name):
    mover = Leaky(share=0.4)
    sampler = mover if name is None else replace(SELECTORS[name], proposal=mover)
    with pytest.raises(NonFiniteError, match="leaky: .* proposals are NaN or infinite"):
        sample(toy_gan(), sampler, 500, strict=False, width=64)


@pytest.mark.parametrize("n", [1, 3, 200])
def test_an_id_without_a_finite_attempt_ends(n):
    assert sample(toy_gan(), Leaky(first=1), 1, width=16).attempts.tolist() == [2]
    with pytest.raises(NonFiniteError, match="leaky"):
        sample(toy_gan(), Leaky(first=REDRAWS + 2), n, width=16)


@pytest.mark.parametrize(
    "mover",
    [
        Refine(steps=3, step_size=3e38, stop="last", update="sgd"),
        DGFlow(step_size=1e38, steps=4),
        DOT(lipschitz=1.0, step_size=1e38, steps=4),
        LatentOpt(step_size=3e38, damping=1e-30),
    ],
    ids=lambda m: m.name,
)
@pytest.mark.parametrize("selector", [None, Metropolis(proposals=3), OBRS(pilot=100)])
def test_movers_that_leave_the_numbers_name_their_step(mover, selector):
    sampler = mover if selector is None else replace(selector, proposal=mover)
    with pytest.raises(NonFiniteError, match=rf"{mover.name}: .* step_size \(it is "):
        sample(steep(), sampler, 200, strict=False, width=64)


def steep():
    """The guide overflows away from 0, where every plain sample is."""
    return GAN(
        Formula(lambda z: z, torch.float32),
        Formula(lambda x: 1e3 * x[:, 0], torch.float32),
        Normal(2),
    )


def half(cut=0.0, value=-math.inf):
    """A uniform prior, and a discriminator that is sure of what lies below the cut."""
    return GAN(
        Formula(lambda z: z, torch.float32),
        Formula(lambda x: torch.where(x[:, 0] < cut, value, 0.5 * x[:, 0])),
        Uniform(1, -1.0, 1.0),
    )


@pytest.mark.parametrize(
    "sampler",
    [
        Metropolis(proposals=40),
        SIR(proposals=40),
        ISIR(points=4, rounds=15),
        Rejection(),
        DRS(),
        OBRS(),
        OBRS(log_scale=9.0),
    ],
    ids=lambda s: s.name,
)
def test_a_ratio_of_zero_is_rejected_and_no_fault(sampler):
    out = sample(half(), sampler, 400, width=256)
    assert out.manifest["events"]["nonfinite"] == 0
    assert out.accepted.all() and bool((out.x >= 0).all())


def test_proposals_that_all_have_a_ratio_of_zero_are_said_to():
    with pytest.raises(BudgetError, match="Metropolis: .* had a ratio of 0"):
        sample(half(), Metropolis(proposals=2), 400, width=64)


def test_a_mover_alone_may_meet_a_ratio_of_zero():
    gan = half()
    out = sample(gan, Direct(), 64, width=64)
    assert out.manifest["events"]["nonfinite"] == 0 and out.attempts.max() == 1
    assert prepare(gan, OBRS(pilot=400))[0].log_scale == pytest.approx(-0.5, abs=0.02)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", SELECTORS)
def test_a_score_that_is_no_ratio_is_an_error(name, value):
    with pytest.raises(NonFiniteError, match="step 0: .* fresh samples"):
        sample(half(value=value), SELECTORS[name], 200, width=64)


def test_pools_of_fits_hold_what_is_finite_and_no_less():
    x = torch.randn(400, 2)
    assert fit_ratio(toy_gan(), x, proposal=Leaky(share=0.03), n=300, schedule=[(3, 1e-3)])
    with pytest.raises(NonFiniteError, match="leaky"):
        fit_ratio(toy_gan(), x, proposal=Leaky(share=0.5), n=300, schedule=[(3, 1e-3)])


def test_shaping_that_leaves_the_numbers_keeps_the_best_guide_so_far(monkeypatch, caplog):
    whole = negatives.Negatives.compare

    def check(self, distance, count, step):
        if step >= 4:
            raise NonFiniteError("refine: 60 of 64 proposals are NaN or infinite")
        return whole(self, distance, count, step)

    monkeypatch.setattr(negatives.Negatives, "compare", check)
    options = {"updates": 6, "batch": 32, "check_every": 2, "check_samples": 64}
    refine = Refine(steps=2, step_size=0.1)
    shaped = shape(toy_gan(), torch.randn(400, 2), refine=refine, **options)
    assert [entry["update"] for entry in shaped.history] == [0, 2]
    assert "shape stopped after 4 updates: refine: 60 of 64" in caplog.text


def test_ula_returns_finite_rows():
    out = sample(steep(), ULA(steps=5, step_size=1e30), 64, width=64)
    assert out.x.isfinite().all()


@pytest.mark.parametrize(
    ("count", "of", "sure"),
    [(0, 10, False), (1, 1, True), (1, 64, False), (2, 64, True), (1, 1000, False)]
    + [(3, 1000, False), (6, 1000, True), (10, 10_000, False), (30, 10_000, True), (5, 5, True)],
)
def test_a_share_is_judged_by_what_chance_allows(count, of, sure):
    assert surely_above(count, of, 0.001, 0.01) is sure
