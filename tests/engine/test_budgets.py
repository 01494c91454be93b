"""What a sampler will cost is said after its pilot, and what was drawn is never thrown away."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from torch import nn

from gantandem import (
    DRS,
    GAN,
    ISIR,
    OBRS,
    SIR,
    Direct,
    Metropolis,
    Normal,
    Refine,
    Rejection,
    SampledGenerator,
    Uniform,
    prepare,
    sample,
    sample_iter,
)
from gantandem.errors import BudgetError, NonFiniteError
from gantandem.samples import FIELDS
from gantandem.testing import toy_gan
from targets import Formula, discrete, gaussian, skewed


def steep(slope):
    """Log ratios slope x on a uniform x: one in slope is accepted at the largest of them."""
    return GAN(
        Formula(lambda z: z, torch.float32),
        Formula(lambda x: slope * x[:, 0]),
        Uniform(1, 0.0, 1.0),
    )


def counted(gan):
    """The GAN, and the rows that its generator has made."""
    made = []
    gan.generator.register_forward_hook(lambda module, args, out: made.append(len(out)))
    return gan, made


class Sometimes(nn.Module):
    """Accepts one id in many: a needle that few proposals hit."""

    def __init__(self, share):
        super().__init__()
        self.share = share

    def forward(self, x):
        return torch.where(x[:, 0] < self.share, 0.0, -30.0)


def needle(share):
    return GAN(Formula(lambda z: z, torch.float32), Sometimes(share), Uniform(1, 0.0, 1.0))


@pytest.mark.parametrize("selector", [Rejection, DRS, OBRS])
@pytest.mark.parametrize("target", [skewed, gaussian, discrete])
def test_the_pilot_tells_what_a_sample_costs(selector, target):
    gan = target().gan
    out = sample(gan, selector(pilot=20_000), 6_000, width=1024)
    told = out.manifest["expected"]
    spent = out.manifest["proposals"] / len(out)
    assert told["proposals_per_sample"] == pytest.approx(spent, rel=0.1)
    assert told["passes_per_sample"] == pytest.approx(out.manifest["passes"] / len(out), rel=0.1)


def test_passes_of_movers_are_told_too():
    out = sample(toy_gan(), OBRS(proposal=Refine(steps=5), pilot=2000), 2000, strict=False)
    told = out.manifest["expected"]["passes_per_sample"]
    assert told == pytest.approx(out.manifest["passes"] / len(out), rel=0.15)


@pytest.mark.parametrize("sampler", [Direct(), Metropolis(proposals=2)])
def test_what_no_pilot_told_is_not_made_up(sampler):
    assert sample(toy_gan(), sampler, 64, width=64).manifest["expected"] is None


@pytest.mark.parametrize(
    "sampler",
    [
        Rejection(budget=50),
        Rejection(log_max=None, pilot=500, budget=20),
        DRS(budget=3),
        OBRS(expected=64, max_attempts=4),
    ],
    ids=lambda s: f"{s.name} {s.budget}",
)
def test_a_hopeless_sampler_is_refused_after_its_pilot(sampler):
    gan, made = counted(steep(40.0))
    with pytest.raises(BudgetError, match="in the pilot one proposal in .* would use up") as stop:
        sample(gan, sampler, 5_000)
    assert stop.value.samples is None
    assert sum(made) < (sampler.pilot or 10_000) + 3_000  # the pilot and looks, not 5,000 samples
    with pytest.raises(BudgetError, match="in the pilot"):
        SampledGenerator(steep(40.0), sampler)


@pytest.mark.parametrize(
    "sampler",
    [
        Rejection(log_max=60.0),
        DRS(log_max=60.0, gamma=0.0, budget=50),
        OBRS(log_scale=-60.0),
        Rejection(log_max=60.0, proposal=Refine(steps=2, step_size=0.01)),
    ],
    ids=lambda s: f"{s.name} of {s.proposal.name}",
)
def test_hopeless_constants_given_by_hand_are_refused_as_early(sampler):
    gan, made = counted(steep(1.0))
    with pytest.raises(BudgetError, match="Its constants were given: leave them out"):
        sample(gan, sampler, 5_000, strict=False)
    assert sum(made) < 10_000


def test_constants_that_a_pilot_found_are_looked_at_once():
    gan = steep(1.0)
    sampler, passes = prepare(gan, Rejection(pilot=600))
    manifest = sample(gan, sampler, 64).manifest
    assert passes > 0 == manifest["setup_passes"] and manifest["setup_cached"]
    assert manifest["expected"]
    given = sample(steep(1.0), sampler, 64).manifest
    assert given["expected"] and 0 < given["setup_passes"] <= 2_000


def test_an_acceptance_of_1e_12_says_what_it_would_cost():
    gan = steep(1.0)
    far = replace(Rejection(pilot=500), log_max=None)
    one = GAN(
        Formula(lambda z: z, torch.float32),
        Formula(lambda x: torch.where(x[:, 0] > 0.999, 28.0, 0.0)),
        Uniform(1, 0.0, 1.0),
    )
    with pytest.raises(BudgetError, match=r"one proposal in \d+.* a sample would take"):
        sample(one, replace(far, pilot=900, budget=100), 64)
    assert sample(gan, far, 64).accepted.all()


def test_one_class_that_would_never_end_is_named():
    class Same(nn.Module):
        def forward(self, z, cond):
            return z

    class Steep(nn.Module):
        def forward(self, x, cond):
            return torch.where(cond == 2, 3000.0, 1.0) * x[:, 0]

    gan = GAN(Same(), Steep(), Uniform(1, 0.0, 1.0), condition=torch.arange(4))
    with pytest.raises(BudgetError, match="under condition 2"):
        sample(gan, Rejection(pilot=400, budget=20), 64)


def test_a_costly_sampler_is_warned_of(caplog):
    with caplog.at_level(logging.INFO):
        prepare(steep(3.0), Rejection())
        assert not [
            r for r in caplog.records if r.levelno > 20 and "the pilot estimates" in r.message
        ]
        prepare(steep(300.0), Rejection())
    (said,) = [r for r in caplog.records if r.levelno > 20 and "the pilot estimates" in r.message]
    assert "proposals (standard error" in said.message


HARD = OBRS(log_scale=0.0, max_attempts=60)


@pytest.mark.slow
def test_what_was_finished_is_kept_when_a_budget_runs_out():
    gan = needle(0.085)  # one id in 206 ends without an acceptance
    with pytest.raises(BudgetError, match="ids used up their attempts") as stop:
        sample(gan, HARD, 40_000, width=64)
    kept = stop.value.samples
    assert 100 < len(kept) < 20_000  # and it did not go on to the end
    assert kept.ids.tolist() == list(range(len(kept)))
    assert kept.manifest["returned"] == len(kept) and kept.manifest["interrupted"]
    whole = sample(gan, replace(HARD, max_attempts=2_000), len(kept), width=64)
    sure = kept.accepted
    assert 0.9 < float(sure.double().mean()) < 1
    for name in FIELDS:
        assert torch.equal(getattr(kept, name)[sure], getattr(whole, name)[sure])


@pytest.mark.slow
def test_a_stream_hands_over_what_is_finished_before_the_error():
    blocks = []
    with pytest.raises(BudgetError):
        for block in sample_iter(needle(0.085), HARD, 40_000, width=64):
            blocks.append(block)
    ids = torch.cat([block.ids for block in blocks])
    assert ids.tolist() == list(range(len(ids))) and len(ids) > 100


def test_a_small_run_that_fails_at_its_end_is_kept():
    gan = needle(0.1)
    start = next(s for s in range(0, 5_000, 8) if _unlucky(gan)[s : s + 3].sum() == 1)
    with pytest.raises(BudgetError, match="1 of 3 ids") as stop:
        sample(gan, HARD, 3, start=start)
    assert len(stop.value.samples) == 3
    assert int(stop.value.samples.accepted.sum()) == 2


@pytest.mark.parametrize("n", [20, 64, 500])
def test_one_unlucky_id_fails_no_small_draw(n, caplog):
    gan = needle(0.1)
    starts = [s for s in range(0, 5_000, n) if _unlucky(gan)[s : s + n].sum() == 1]
    out = sample(gan, HARD, n, start=starts[0])
    assert int((~out.accepted).sum()) == 1 == out.manifest["events"]["exhausted"]
    assert f"1 of {n} ids used up their attempts" in caplog.text


def test_a_draw_of_one_that_was_not_accepted_is_an_error():
    gan = needle(0.1)
    first = int(_unlucky(gan).nonzero()[0])
    with pytest.raises(BudgetError, match="1 of 1 ids") as stop:
        sample(gan, HARD, 1, start=first)
    assert stop.value.samples.accepted.tolist() == [False]


_FOUND = {}


def _unlucky(gan):
    """Which of the first 5,000 ids have no acceptance in 60 attempts."""
    if not _FOUND:
        out = sample(gan, replace(HARD, max_attempts=3_000), 5_000, width=1024)
        _FOUND["late"] = out.attempts > 60
    return _FOUND["late"]


def test_non_finite_values_leave_what_was_finished():
    gan = GAN(
        Formula(lambda z: z, torch.float32),
        Formula(lambda x: torch.where(x[:, 0] > 0.999, torch.nan, 0.0)),
        Uniform(1, 0.0, 1.0),
    )
    first = int((sample(gan, Direct(), 20_000).x[:, 0] > 0.999).nonzero()[0])
    with pytest.raises(NonFiniteError, match="fresh samples") as stop:
        sample(gan, Metropolis(proposals=1), 20_000, width=64)
    kept = stop.value.samples
    assert kept is None or len(kept) <= first


# -- acceptance that does nothing, or cannot ----------------------------------------------------


class Constant(nn.Module):
    def __init__(self, value, noise=0.0):
        super().__init__()
        self.value, self.noise = value, noise

    def forward(self, x):
        return self.value + self.noise * x[:, 0]


SELECTORS = [
    Rejection(pilot=300),
    DRS(pilot=300),
    OBRS(pilot=300),
    OBRS(log_scale=0.0),
    Metropolis(proposals=4),
    SIR(proposals=4),
    ISIR(points=3, rounds=2),
]


@pytest.mark.parametrize("score", [Constant(0.0), Constant(16.0), Constant(-3.0, 1e-5)])
@pytest.mark.parametrize("sampler", SELECTORS, ids=lambda s: s.name)
def test_a_discriminator_that_says_nothing_is_said_once(sampler, score, caplog):
    gan = GAN(nn.Identity(), score, Normal(2))
    if sampler.name == "obrs" and sampler.log_scale is not None:
        sampler = replace(sampler, log_scale=-score.value)
    sample(gan, sampler, 200, width=64)
    sample(gan, sampler, 200, width=64, seed=1)
    assert caplog.text.count("so acceptance changes nothing") == 1


@pytest.mark.parametrize("sampler", SELECTORS, ids=lambda s: s.name)
def test_a_discriminator_that_says_something_is_not_warned_of(sampler, caplog):
    gan = GAN(nn.Identity(), Constant(0.0, 0.3), Normal(2))
    sample(gan, sampler, 200, width=64)
    sample(gan, sampler, 1, width=64)
    assert "changes nothing" not in caplog.text


class Deaf(nn.Module):
    def forward(self, z, cond=None):
        return torch.ones(len(z), 2) if cond is None else torch.ones(len(z), 2) * cond[:, None]


@pytest.mark.parametrize("condition", [None, torch.arange(3)], ids=["plain", "labels"])
def test_a_generator_that_ignores_its_latent_is_named(condition, caplog):
    class Score(nn.Module):
        def forward(self, x, cond=None):
            return x[:, 0]

    gan = GAN(Deaf(), Score(), Normal(2), condition=condition)
    sample(gan, Direct(), 8)
    assert "Deaf ignores its latent" in caplog.text
    with pytest.raises(BudgetError, match="Deaf ignores its latent"):
        sample(gan, OBRS(log_scale=-40.0, max_attempts=3), 64, width=64)


def test_a_generator_that_hears_its_latent_is_not(caplog):
    for gan in (toy_gan(), steep(1.0), discrete().gan):
        sample(gan, Direct(), 8)
    assert "ignores" not in caplog.text
