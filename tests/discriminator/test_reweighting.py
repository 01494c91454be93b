"""Latents rejected on a fitted w(z) before the generator runs: law, density, fit."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import distributions as dist
from torch import nn

from gantandem import (
    GAN,
    OBRS,
    Direct,
    Key,
    LatentReweight,
    Normal,
    ReweightedLatent,
    Uniform,
    fit_latent_reweight,
    sample,
)
from gantandem.errors import InputError, LawMismatchError, NotARatioError
from gantandem.latent import Distribution, as_latent
from gantandem.testing import toy_gan
from targets import Formula, skewed, waves

N, RARE = 20_000, 1e-4


KEY = Key(3).fold("latent")


def known(accept, base, **options) -> ReweightedLatent:
    """A prior accepted with a known probability."""
    network = Formula(lambda z: torch.logit(accept(z[:, 0])))
    return ReweightedLatent(base=base, network=network, **options)


def tilted(**options) -> ReweightedLatent:
    """Uniform on [0, 1], accepted with z / 2 (mean 1/4): the density 2 z."""
    return known(lambda z: z / 2, Uniform(1, 0, 1), **options)


# -- the law ------------------------------------------------------------------------------------


def test_known_weights_give_their_law():
    latent = tilted()
    assert latent.acceptance == pytest.approx(0.25, abs=2e-3)
    z = latent.draw(KEY, torch.arange(N)).double().numpy()[:, 0]
    assert stats.kstest(z, lambda v: v**2).pvalue > RARE
    assert stats.kstest(z, "uniform").pvalue < 1e-12


def test_a_normal_prior_accepted_with_a_probit_is_skew_normal():
    latent = known(lambda z: torch.special.ndtr(4 * z), Normal(1))
    z = latent.draw(KEY, torch.arange(N))
    assert stats.kstest(z[:, 0].double().numpy(), stats.skewnorm(4).cdf).pvalue > RARE
    wanted = stats.skewnorm(4).logpdf(z[:, 0].double().numpy())
    assert np.allclose(latent.log_prob(z), wanted, atol=0.01)  # up to the pilots' estimate of Z


def test_draws_follow_the_slow_version():
    """Candidate after candidate, each with the coin of its own number."""
    latent, attempts = tilted(budget=40), torch.arange(30) % 3
    fast = latent.draw(KEY, torch.arange(30), attempts)
    for i in range(30):
        one = torch.tensor([i])
        for candidate in range(40):
            number = int(attempts[i]) * 40 + candidate
            z = Uniform(1, 0, 1).draw(KEY, one, number)
            if math.exp(float(KEY.fold("reweight").log_uniform(one, number))) < float(z) / 2:
                break
        assert torch.equal(z[0], fast[i])


def test_a_draw_depends_on_id_and_attempt_alone():
    latent, ids = tilted(), torch.arange(64)
    whole = latent.draw(KEY, ids, 1)
    assert torch.equal(latent.draw(KEY, ids.flip(0), 1).flip(0), whole)
    assert torch.equal(latent.draw(KEY, torch.cat([ids[16:32], ids[:48]]), 1)[:16], whole[16:32])
    mixed = latent.draw(KEY, ids, ids % 2)
    assert torch.equal(mixed[1::2], whole[1::2])
    assert not torch.equal(mixed[::2], whole[::2])


@pytest.mark.parametrize("budget", [1, 2, 5, 64])
def test_the_density_is_that_of_what_is_drawn_missed_budgets_included(budget, monkeypatch):
    monkeypatch.setattr("gantandem.discriminator.latent_weights.MISSED_SHARE", 1.0)
    latent = tilted(budget=budget, acceptance=0.25)
    grid = torch.linspace(0, 1, 2001)[1:-1, None]
    density = latent.log_prob(grid).double().exp().numpy()
    edges = np.concatenate([[0], integrate.cumulative_trapezoid(density, grid[:, 0].numpy())])
    assert edges[-1] == pytest.approx(1, abs=2e-3)
    z = latent.draw(KEY, torch.arange(N)).double().numpy()[:, 0]
    found = stats.kstest(z, lambda v: np.interp(v, grid[:, 0].numpy(), edges / edges[-1]))
    assert found.pvalue > RARE
    assert latent.missed == pytest.approx(0.75**budget)


def test_a_budget_that_many_would_use_up_is_refused():
    with pytest.raises(InputError, match="0.251 of the latents are accepted.*budget of 8.*0.1%"):
        tilted(budget=8)
    with pytest.raises(InputError, match="budget"):
        tilted(budget=0)


def test_density_and_its_gradient():
    network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    latent = ReweightedLatent(base=Normal(2), network=network)
    z = Normal(2).draw(KEY, torch.arange(16)).requires_grad_()
    (gradient,) = torch.autograd.grad(latent.log_prob(z).sum(), z)
    logit = latent.network(z).squeeze(1)
    (wanted,) = torch.autograd.grad((torch.nn.functional.logsigmoid(logit)).sum(), z)
    assert torch.allclose(gradient, wanted - z, atol=1e-4)
    assert latent.log_prob(z.double()).shape == (16,)
    boxed = ReweightedLatent(base=Uniform(1, 0, 1), network=nn.Linear(1, 1))
    assert boxed.log_prob(torch.tensor([[1.5], [-0.1]])).tolist() == [-math.inf] * 2


def test_latents_of_any_shape():
    law = dist.Independent(dist.Normal(torch.zeros(2, 3), torch.ones(2, 3)), 2)
    latent = ReweightedLatent(base=Distribution(law), network=nn.Linear(6, 1))
    z = as_latent(latent).draw(KEY, torch.arange(32))
    assert z.shape == (32, 2, 3) and latent.log_prob(z).shape == (32,)


def test_the_users_network_is_left_alone():
    network = nn.Sequential(nn.Linear(1, 4), nn.Dropout(), nn.Linear(4, 1)).train()
    latent = ReweightedLatent(base=Normal(1), network=network)
    assert network.training and network[0].weight.requires_grad
    before = latent.config()
    with torch.no_grad():
        network[0].weight.mul_(2)
    assert latent.config() == before
    assert ReweightedLatent(base=Normal(1), network=network).config() != before


def test_configurations_tell_laws_apart():
    network = nn.Linear(1, 1)
    base = ReweightedLatent(base=Normal(1), network=network)
    assert json.dumps(base.config())
    others = [
        ReweightedLatent(base=Normal(1), network=network, budget=65),
        ReweightedLatent(base=Uniform(1), network=network),
        ReweightedLatent(base=Normal(1), network=nn.Linear(1, 1)),
    ]
    digests = {latent.config()["digest"] for latent in [base, *others]}
    assert len(digests) == 4


# -- the fit ------------------------------------------------------------------------------------

QUICK = {"n": 20_000, "schedule": [(300, 1e-2), (200, 1e-3)], "width": 1024}


@pytest.fixture(scope="module")
def fitted():
    """w fitted on skew-normal data, whose ratio 2 Phi(4 z) is at most 2: nothing is capped."""
    return fit_latent_reweight(skewed().gan, cap=3.0, **QUICK)


@pytest.mark.slow
def test_the_fit_finds_the_ratio(fitted):
    """With a cap of 3 above the largest ratio (2), w is the ratio and m is 2, no more."""
    latent = fitted.reweighted
    z = torch.linspace(-2, 2, 41)[:, None]
    w = torch.sigmoid(latent.network(z).double()) / latent.acceptance
    assert latent.acceptance == pytest.approx(1 / 2, abs=0.01)
    assert np.abs(w.numpy() - 2 * stats.norm.cdf(4 * z[:, 0].numpy())).max() < 0.15


@pytest.mark.slow
def test_samples_of_the_fit_are_near_the_data(fitted):
    """Biased by its fit alone: 30 times nearer than the generator in Kolmogorov's distance."""
    data = stats.skewnorm(4).cdf
    plain = sample(fitted, Direct(), N).x[:, 0].double().numpy()
    ours = sample(fitted, LatentReweight(), N).x[:, 0].double().numpy()
    assert stats.kstest(plain, data).statistic > 0.4
    assert stats.kstest(ours, data).statistic < 0.015


@pytest.mark.slow
def test_a_cap_below_the_largest_ratio_gives_the_capped_law():
    """m = 1.3: the law of q min(c r, 1) with c for a mean of 1/m, from the waves' r = 1 + a cos."""
    cap, gan = 1.3, waves().gan
    latent = fit_latent_reweight(
        gan, cap=cap, n=30_000, schedule=[(600, 1e-2), (400, 1e-3)], width=1024
    ).reweighted
    grid = np.linspace(-1, 1, 4001)
    r = np.exp(gan.guide.network(torch.tensor(grid)[:, None]).numpy())
    low, high = 0.0, 10.0
    for _ in range(60):
        c = (low + high) / 2
        low, high = (c, high) if np.minimum(c * r, 1).mean() < 1 / cap else (low, c)
    with torch.no_grad():
        accept = torch.sigmoid(latent.network(torch.tensor(grid, dtype=torch.float32)[:, None]))
    assert np.abs(accept.numpy() - np.minimum(c * r, 1)).mean() < 0.03
    assert latent.acceptance == pytest.approx(1 / cap, abs=0.01)


def test_the_fit_is_reproducible_and_leaves_its_gan_alone():
    gan, state = toy_gan(), torch.get_rng_state()
    options = {"n": 500, "schedule": [(20, 1e-2)], "batch": 100, "width": 64}
    first, again = (fit_latent_reweight(gan, **options) for _ in range(2))
    assert first.reweighted.config() == again.reweighted.config()
    other = fit_latent_reweight(gan, seed=1, **options)
    assert other.reweighted.config() != first.reweighted.config()
    assert gan.reweighted is None and first.latent is gan.latent
    assert first.setup_passes == 500 and gan.setup_passes == 0
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"cap": 1.0}, "cap: got 1.0"),
        ({"n": 0}, "got 0"),
        ({"batch": 0}, "batch"),
        ({"schedule": []}, "schedule"),
        ({"schedule": [(1, float("nan"))]}, "schedule"),
        ({"layers": 1}, "layers: got 1"),
        ({"hidden": 0.5}, "hidden"),
    ],
    ids=str,
)
def test_settings_out_of_range(options, words):
    with pytest.raises(InputError, match=words):
        fit_latent_reweight(toy_gan(), **options)


def test_it_needs_the_ratio_of_the_generator():
    with pytest.raises(LawMismatchError, match="fit_ratio"):
        fit_latent_reweight(GAN(nn.Linear(2, 2), None, 2))
    with pytest.raises(NotARatioError):
        fit_latent_reweight(GAN(nn.Linear(2, 2), nn.Linear(2, 1), 2, output="critic"))


@pytest.mark.slow
def test_it_corrects_what_the_cap_left(fitted):
    """A selector with the exact ratio of the reweighted law, r / w, is exact again."""
    latent, target = fitted.reweighted, skewed()

    def log_ratio(x):
        with torch.no_grad():
            log_w = latent.log_prob(x.float()) - Normal(1).log_prob(x.float())
        return target.gan.guide.network(x) - log_w.double()

    gan = GAN(target.gan.generator, Formula(log_ratio), latent)
    assert target.worst(sample(gan, OBRS(expected=2, pilot=20_000), 8_000).x) > RARE
