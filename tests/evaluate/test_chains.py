"""The report on a chain: what it counts is what happened, and its numbers are known ones."""

from __future__ import annotations

import dataclasses
import json
import math
import sys

import numpy as np
import pytest
import torch
from scipy import signal, stats
from torch import nn

from gantandem import (
    GAN,
    MALA,
    ULA,
    Direct,
    Ex2MCMC,
    Metropolis,
    Normal,
    Uniform,
    WangLandau,
    chain_report,
    sample,
)
from gantandem.errors import InputError, MissingExtraError
from gantandem.evaluate.chains import diagnose_draws
from targets import Formula, discrete, gaussian


def flat(latent=None, generator=lambda z: z) -> GAN:
    """The target is the prior itself."""
    return GAN(
        Formula(generator, torch.float32), Formula(lambda x: 0 * x[:, 0]), latent or Normal(1)
    )


@pytest.mark.parametrize("rho", [0.5, 0.9])
def test_effective_sample_size_of_an_ar1_process(rho):
    """(1 - rho) / (1 + rho) of the draws."""
    chains, draws = 8, 4_000
    noise = np.random.default_rng(0).normal(size=(chains, draws + 200, 2))
    x = signal.lfilter([1.0], [1.0, -rho], noise, axis=1)[:, 200:]
    ess, rhat = diagnose_draws(x)
    assert ess.shape == rhat.shape == (2,)
    assert ess == pytest.approx(chains * draws * (1 - rho) / (1 + rho), rel=0.15)
    assert rhat == pytest.approx(1, abs=0.01)


def test_effective_sample_size_of_ula_on_its_prior():
    """z' = (1 - eps/2) z + sqrt(eps) xi is an AR(1) process with rho = 1 - eps/2."""
    eps = 0.4
    report = chain_report(flat(Normal(3)), ULA(step_size=eps), chains=64, draws=300, burn_in=20)
    rho = 1 - eps / 2
    wanted = 64 * 300 * (1 - rho) / (1 + rho)
    assert report.ess_median == pytest.approx(wanted, rel=0.12)
    assert report.ess_min <= report.ess_median
    # A sum of squares forgets at rho^2 (its ranks, which ArviZ looks at, a little faster).
    wanted = 64 * 300 * (1 - rho**2) / (1 + rho**2)
    assert report.ess_log_density == pytest.approx(wanted, rel=0.2)
    assert report.rhat_max < 1.05 and report.rhat_log_density < 1.05
    assert report.acceptance == 1 and report.divergences == 0 and report.step_size == eps


@pytest.mark.slow
def test_two_modes_that_are_never_left_show_in_r_hat():
    """Chains start in one of two far modes: each mixes well, all together do not."""

    def two_modes(x):
        return torch.logsumexp(-20 * (x[:, :1] + torch.tensor([-1.5, 1.5])).square(), 1)

    gan = GAN(Formula(lambda z: z, torch.float32), Formula(two_modes), Normal(1))
    stuck = chain_report(gan, MALA(step_size=0.02), chains=32, draws=100)
    free = chain_report(gan, Ex2MCMC(points=10, step_size=0.02), chains=32, draws=100, burn_in=20)
    assert stuck.rhat_max > 1.5 and stuck.ess_min < 100
    assert free.rhat_max < 1.05 and free.ess_min > 1_000


def test_acceptance_is_a_known_one():
    """A random walk on the uniform law is rejected by the border alone."""
    tau = 0.09
    report = chain_report(flat(Uniform(1)), MALA(step_size=tau), chains=64, draws=200, burn_in=0)
    z = np.linspace(-1, 1, 20_001)
    inside = stats.norm.cdf((1 - z) / tau**0.5) - stats.norm.cdf((-1 - z) / tau**0.5)
    # Successive moves of a chain depend on each other; .01 is five standard errors or more.
    assert report.acceptance == pytest.approx(inside.mean(), abs=0.01)


def test_burn_in_is_left_out_of_acceptance_and_draws():
    """The same moves, the first ten of them not looked at."""
    whole = chain_report(gaussian().gan, MALA(step_size=0.5), chains=16, draws=50, burn_in=0)
    late = chain_report(gaussian().gan, MALA(step_size=0.5), chains=16, draws=40, burn_in=10)
    assert whole.passes == late.passes == 16 * 3 * 51
    assert whole.acceptance != late.acceptance
    assert whole.draws - late.draws == late.burn_in and late.ess_min != whole.ess_min


@pytest.mark.slow
def test_divergences_are_counted():
    """The generator is NaN beyond 5.5: as many as a sampler's own events name."""
    gan = flat(generator=lambda z: torch.where(z.abs() > 5.5, torch.nan, z))
    report = chain_report(gan, MALA(step_size=9.0), chains=64, draws=50, burn_in=10)
    assert 0 < report.divergences < 64 * 60 * (1 - report.acceptance) + 64 * 10
    assert math.isfinite(report.ess_min) and math.isfinite(report.ess_log_density)
    events = sample(gan, MALA(steps=60, step_size=9.0), 640, width=64).manifest["events"]
    assert report.divergences / 64 == pytest.approx(events["divergent"] / 640, rel=0.4)


def test_a_step_tuned_on_pilots_is_reported():
    report = chain_report(gaussian().gan, MALA(), chains=64, draws=100)
    assert report.acceptance == pytest.approx(0.57, abs=0.05)
    assert report.setup_passes == MALA().pilot_passes
    assert 0.1 < report.step_size < 2


@pytest.mark.slow
def test_exploring_moves_pay_where_gradients_do_not():
    """On a discrete generator a random walk crawls; one round sees N - 1 fresh points."""
    gan = discrete().gan
    mala = chain_report(gan, MALA(step_size=0.01), chains=32, draws=100)
    ex2 = chain_report(gan, Ex2MCMC(points=6, step_size=0.01), chains=32, draws=100)
    assert ex2.ess_min > 5 * mala.ess_min
    assert ex2.passes == 32 * (3 + 200 * Ex2MCMC(points=6).cost().step)


def test_a_chain_on_a_tilted_density_reports_its_own_latents():
    mover = WangLandau(energy_range=(0.5, 5.0), log_weights=(0.0,) * 50, step_size=0.4)
    tilted, plain = (
        chain_report(gaussian().gan, one, chains=16, draws=20)
        for one in (mover, MALA(step_size=0.4))
    )
    assert tilted.sampler == "wlgan" and tilted.step_size == 0.4
    assert tilted.ess_min == plain.ess_min  # a tilt of 0 changes no move


def test_report_is_json_and_repeats():
    first, second = (
        chain_report(gaussian().gan, MALA(step_size=0.4), chains=16, draws=20, seed=3)
        for _ in range(2)
    )
    assert first == second
    other = chain_report(gaussian().gan, MALA(step_size=0.4), chains=16, draws=20, seed=4)
    assert other.ess_min != first.ess_min
    values = json.loads(json.dumps(first.to_dict(), allow_nan=False))
    assert values["sampler"] == "mala" and values["chains"] == 16 and values["draws"] == 20
    endless = dataclasses.replace(first, ess_log_density=math.nan)
    assert endless.to_dict()["ess_log_density"] is None


@pytest.mark.parametrize(
    "sampler", [Direct(), Metropolis(proposal=MALA(step_size=0.1))], ids=lambda s: s.name
)
def test_what_makes_no_chain_is_refused(sampler):
    with pytest.raises(InputError, match=f"{type(sampler).__name__}.*which does not make chains"):
        chain_report(flat(), sampler)


@pytest.mark.parametrize("name, value", [("chains", 1), ("draws", 3), ("burn_in", -1)])
def test_arguments_out_of_range(name, value):
    with pytest.raises(InputError, match=f"{name}: got {value}"):
        chain_report(flat(), MALA(step_size=0.1), **{name: value})


def test_chains_of_several_conditions_are_not_compared():
    class Labelled(nn.Module):
        def forward(self, z, label):
            return z + label[:, None]

    class Judge(nn.Module):
        def forward(self, x, label):
            return 0 * x[:, 0]

    gan = GAN(Labelled(), Judge(), Normal(1), condition=torch.tensor([0, 1]))
    with pytest.raises(InputError, match="with_condition"):
        chain_report(gan, MALA(step_size=0.1))
    one = gan.with_condition(torch.tensor([1]))
    assert chain_report(one, MALA(step_size=0.1), chains=16, draws=10).divergences == 0


def test_without_arviz_the_install_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz_stats", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gantandem\[chains\]'"):
        chain_report(flat(), MALA(step_size=0.1))
