"""Moves of chains in the latent: equal to their formulas, and honest in what they count."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from scipy import stats
from torch import nn

from gantandem import GAN, MALA, OBRS, ULA, Direct, Ex2MCMC, Key, Normal, Uniform, prepare, sample
from gantandem.errors import InputError, LawMismatchError, NonFiniteError, NotARatioError
from gantandem.ratios.calibrators import Platt
from gantandem.ratios.lookup import networks_for
from langevin_reference import SlowChain, box_log_prior, normal_log_prior
from langevin_toys import RARE, N, accepted_share, narrow
from reference_networks import Cast
from targets import TARGETS, Formula, skewed

# -- against the formulas -----------------------------------------------------------------------


def networks(latent) -> GAN:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        generator = nn.Sequential(Cast(torch.float64), nn.Linear(2, 12), nn.Tanh())
        generator.append(nn.Linear(12, 3))
        score = nn.Sequential(nn.Linear(3, 12), nn.Tanh(), nn.Linear(12, 1))
    with torch.no_grad():
        score[2].weight *= 4  # log ratios of a few nats
    return GAN(generator.double(), score.double(), latent)


PRIORS = {"normal": (Normal(2), normal_log_prior), "uniform": (Uniform(2), box_log_prior)}


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize(
    "mover",
    [
        MALA(steps=8, step_size=1.5, max_drift=None),
        MALA(steps=8, step_size=1.5, max_drift=0.2),
        MALA(steps=8, step_size=0.5, noise=1.2, max_drift=None),
    ],
    ids=["published", "bounded", "own noise"],
)
def test_mala_is_its_formula(prior, mover):
    latent, log_prior = PRIORS[prior]
    gan, n = networks(latent), 8
    law, ratio = next(iter(gan.ratios.items()))
    gan = gan.with_ratio(law, replace(ratio, calibrator=Platt(0.7, 0.3, 99.0, 0.1)))
    out = sample(gan, mover, n, seed=5, width=16)
    longest = (mover.max_drift or math.inf) * math.sqrt(2 * mover.step_size)
    accepted = 0
    for i in range(n):
        slow = SlowChain(gan, Key(5), i, log_prior=log_prior, calibrate=lambda d: 0.7 * d + 0.2)
        for _ in range(mover.steps):
            slow.mala(mover.step_size, mover.noise or math.sqrt(mover.step_size), longest)
        assert torch.allclose(out.z[i], torch.tensor(slow.z), rtol=1e-5, atol=1e-6)
        assert float(out.log_ratio[i]) == pytest.approx(slow.log_ratio(slow.z), abs=1e-5)
        accepted += slow.accepted
    assert out.manifest["events"]["moves_accepted"] == accepted
    assert 0.05 < accepted / (n * mover.steps) < 0.95


def test_ex2mcmc_is_its_formula():
    gan, n = networks(Normal(2)), 8
    mover = Ex2MCMC(rounds=4, points=5, moves=2, step_size=1.0, max_drift=None)
    out = sample(gan, mover, n, seed=5, width=16)
    accepted = 0
    for i in range(n):
        slow = SlowChain(gan, Key(5), i, log_prior=normal_log_prior)
        for _ in range(mover.rounds):
            slow.isir(mover.points)
            for _ in range(mover.moves):
                slow.mala(mover.step_size, math.sqrt(mover.step_size))
        assert torch.allclose(out.z[i], torch.tensor(slow.z), rtol=1e-5, atol=1e-6)
        accepted += slow.accepted
    assert out.manifest["events"]["moves_accepted"] == accepted
    assert bool((out.steps == mover.rounds * 3).all())


# -- steps, passes, faults ----------------------------------------------------------------------


@pytest.mark.parametrize("name, aim", [*((name, 0.57) for name in TARGETS), ("waves", 0.8)])
def test_the_tuned_step_reaches_its_acceptance(name, aim):
    target = TARGETS[name]()
    sampler = MALA(steps=40, target_acceptance=aim)
    out = sample(target.gan, sampler, 1_024, width=1024)
    assert accepted_share(out) == pytest.approx(aim, abs=0.06)
    tuned = out.manifest["sampler"]["step_size"]
    assert tuned == float(f"{tuned:.3g}")
    assert out.manifest["setup_passes"] == sampler.pilot_passes > 0
    again = sample(target.gan, replace(sampler, step_size=tuned), 1_024, width=1024)
    assert torch.equal(again.z, out.z) and again.manifest["setup_passes"] == 0


def test_the_drift_is_bounded_for_the_sake_of_the_first_moves():
    """Without the bound a chain that starts in a steep tail stays there (as published)."""
    target = skewed()
    start = sample(target.gan, Direct(), N).z
    assert float(start.min()) < -3
    bounded = sample(target.gan, MALA(steps=40, step_size=1.2), N, width=1024)
    free = sample(target.gan, MALA(steps=40, step_size=1.2, max_drift=None), N, width=1024)
    assert float(bounded.z.min()) > -1 and float(free.z.min()) < -3


SEEN: list[int] = []  # not an attribute of the module: what a forward writes there is put back


class Counted(nn.Module):
    """Counts the passes of its rows: 3 where a gradient is wanted."""

    def forward(self, z):
        SEEN.append(len(z) * (3 if z.requires_grad else 1))
        return z * 1.0


@pytest.mark.parametrize(
    "mover",
    [
        ULA(steps=5),
        MALA(steps=5, step_size=0.1),
        Ex2MCMC(rounds=2, points=4, moves=3, step_size=0.1),
    ],
    ids=lambda mover: mover.name,
)
def test_passes_are_what_the_networks_ran(mover):
    """Beside the looks at the networks that every call takes, for 128 samples or for 64."""
    gan = GAN(Counted(), Formula(lambda x: 0.1 * x[:, 0]), Normal(1))
    mover, _ = prepare(gan, mover)
    sample(gan, mover, 64, width=64)
    spent, told = [], []
    for n in (64, 128):
        SEEN.clear()
        told.append(sample(gan, mover, n, width=64).manifest["passes"])
        spent.append(sum(SEEN))
    assert told[1] == 2 * told[0] and told[1] - told[0] == spent[1] - spent[0]


def broken_beyond(edge) -> GAN:
    def generator(z):
        return torch.where(z.abs() > edge, torch.nan, z)

    return GAN(Formula(generator, torch.float32), Formula(lambda x: 0 * x[:, 0]), Normal(1))


@pytest.mark.parametrize(
    "mover",
    [
        MALA(steps=30, step_size=9.0),
        ULA(steps=30, step_size=3.0),
        Ex2MCMC(rounds=8, points=3, step_size=9.0),
    ],
    ids=lambda mover: mover.name,
)
def test_moves_that_are_not_finite_are_rejected_and_counted(mover):
    """The generator is NaN beyond 5.5 standard deviations; long steps get there."""
    out = sample(broken_beyond(5.5), mover, N, width=1024)
    divergent = out.manifest["events"]["divergent"]
    assert 0 < divergent < 0.5 * out.manifest["events"]["moves"]
    assert bool(out.x.isfinite().all()) and bool(out.accepted.all())
    if mover.name != "ula":
        assert stats.kstest(out.x[:, 0].numpy(), "norm").pvalue > RARE


@pytest.mark.parametrize("mover", [ULA(), MALA(step_size=0.1), Ex2MCMC(step_size=0.1)])
def test_a_start_that_is_not_finite_is_an_error(mover):
    with pytest.raises(NonFiniteError, match=rf"{mover.name}, step 0: .*ids \d+"):
        sample(broken_beyond(1.0), mover, 100, width=64)


@pytest.mark.parametrize("mover", [MALA(), Ex2MCMC()])
def test_a_critic_is_no_ratio(mover):
    with pytest.raises(NotARatioError, match=mover.name):
        sample(narrow("critic"), mover, 10, width=16)


def test_a_selector_wants_a_ratio_of_the_chains_own_law():
    with pytest.raises(LawMismatchError, match="fit_ratio"):
        sample(narrow(), OBRS(proposal=MALA(steps=2, step_size=0.1), pilot=64), 10, width=16)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: ULA(steps=0), "ula steps"),
        (lambda: ULA(step_size="auto"), "ula step_size"),  # type: ignore
        (lambda: MALA(step_size=-0.1), "mala step_size"),
        (lambda: MALA(target_acceptance=1.0), "target_acceptance"),
        (lambda: MALA(noise=0.1), "noise"),
        (lambda: MALA(max_drift=0.0), "max_drift"),
        (lambda: Ex2MCMC(points=1), "2 or more"),
        (lambda: Ex2MCMC(moves=0), "ex2mcmc moves"),
    ],
)
def test_settings_out_of_range(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_an_unprepared_chain_says_so():
    gan, ids = networks_for(narrow(), MALA()), torch.arange(16)
    with gan.frozen(), pytest.raises(InputError, match="not tuned"):
        state = MALA().init(gan, Key(0), ids, ids)
        MALA().step(gan, Key(0), state)
