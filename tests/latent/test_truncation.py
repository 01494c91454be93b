"""Truncated priors: their law, their name, and the priors that have none."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as dist

from gantandem import GAN, OBRS, Direct, Key, Normal, Rejection, Uniform, prepare, sample
from gantandem.errors import InputError, LawMismatchError
from gantandem.latent import Latent, as_latent
from gantandem.latent.distributions import truncated_normal
from gantandem.networks.score import Score
from gantandem.ratios.lookup import plain_law
from gantandem.ratios.ratio import Ratio
from gantandem.testing import toy_gan
from targets import Formula

N = 4000


def gan_of(latent, function=lambda z: 2 * z + 1) -> GAN:
    return GAN(Formula(function, torch.float32), Formula(lambda x: x.flatten(1)[:, 0]), latent)


def draw(latent, n: int = N, seed: int = 0, **options) -> np.ndarray:
    gan = gan_of(latent)
    out = sample(gan, Direct(**options), n, seed=seed)
    assert torch.equal(out.x, gan.decode(out.z))  # z is the latent that x was made of
    return out.z.double().numpy()


# -- resampling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("psi", [0.01, 0.5, 1.0, 2.5])
def test_resampling_gives_the_truncated_normal(psi):
    z = draw(Normal(3), truncation=psi, seed=int(100 * psi))
    assert np.abs(z).max() <= psi
    law = stats.truncnorm(-psi, psi)
    for column in z.T:
        assert stats.kstest(column, law.cdf).pvalue > 1e-3
        assert column.std() == pytest.approx(law.std(), rel=0.05)
    assert np.abs(np.corrcoef(z.T) - np.eye(3)).max() < 4 / math.sqrt(N)


def test_the_inverse_distribution_function():
    u = (torch.arange(2000) + 0.5) / 2000
    for psi in (1e-3, 0.3, 1.7, 4.0):
        wanted = stats.truncnorm(-psi, psi).ppf(u.double().numpy())
        assert np.allclose(truncated_normal(u, psi).numpy(), wanted, rtol=1e-5, atol=1e-6 * psi)


def test_a_far_threshold_is_the_normal_itself():
    z = draw(Normal(1), truncation=30.0)
    assert stats.kstest(z[:, 0], "norm").pvalue > 1e-3
    ends = truncated_normal(torch.tensor([2.0**-24, 1 - 2.0**-24]), 30.0)  # the ends of Key.uniform
    assert bool(ends.isfinite().all()) and float(ends[1] - ends[0]) == pytest.approx(10.6, abs=0.5)


def test_it_is_the_law_of_drawing_until_inside():
    """The trick as published, with numpy's own generator."""
    rng, psi = np.random.default_rng(0), 0.8
    until = rng.standard_normal(20 * N)
    until = until[np.abs(until) < psi][:N]
    assert stats.ks_2samp(until, draw(Normal(1), truncation=psi)[:, 0]).pvalue > 1e-3


def test_it_counts_in_standard_deviations_of_a_normal_prior():
    law = dist.Independent(dist.Normal(torch.tensor([3.0, -1.0]), torch.tensor([0.5, 2.0])), 1)
    z = draw(law, truncation=0.7)
    unit = (z - [3.0, -1.0]) / [0.5, 2.0]
    assert np.abs(unit).max() <= 0.7 + 1e-6
    for column in unit.T:
        assert stats.kstest(column, stats.truncnorm(-0.7, 0.7).cdf).pvalue > 1e-3


def test_attempts_are_draws_of_their_own():
    gan, ids, zeros = gan_of(Normal(1)), torch.arange(500), torch.zeros(500).long()
    a, b = (
        Direct(truncation=1.0).init(gan.networks, Key(0), ids, zeros + attempt).z[:, 0].numpy()
        for attempt in (0, 1)
    )
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.2


# -- shrinking ----------------------------------------------------------------------------------

PRIORS = {
    "normal": (Normal(2), 0.0),
    "uniform": (Uniform(2, 1.0, 4.0), 2.5),
    "correlated": (
        dist.MultivariateNormal(torch.tensor([1.0, 2.0]), torch.tensor([[1.0, 0.5], [0.5, 1.0]])),
        [1.0, 2.0],
    ),
}


@pytest.mark.parametrize("psi", [0.3, 0.9])
@pytest.mark.parametrize("name", ["normal", "uniform", "correlated"])
def test_shrinking_moves_latents_towards_their_mean(name, psi):
    latent, mean = PRIORS[name]
    whole, shrunk = (draw(latent, 200, **o) for o in ({}, {"truncation": psi, "how": "shrink"}))
    assert np.allclose(shrunk, mean + psi * (whole - mean), atol=1e-6)


def test_a_shrunk_uniform_keeps_its_middle():
    z = draw(Uniform(1, 1.0, 4.0), truncation=0.5, how="shrink")[:, 0]
    assert stats.kstest(z, stats.uniform(1.75, 1.5).cdf).pvalue > 1e-3


# -- clipping, and BigGAN's -----------------------------------------------------------------------


def test_clipping_moves_what_is_outside_to_the_border():
    whole, clipped = (draw(Normal(2), 500, **o) for o in ({}, {"truncation": 0.8, "how": "clip"}))
    assert np.allclose(clipped, whole.clip(-0.8, 0.8)) and (clipped.max(0) > 0.7999).all()
    law = dist.Normal(torch.tensor([3.0, -1.0]), torch.tensor([0.5, 2.0]))
    whole, clipped = (draw(law, 500, **o) for o in ({}, {"truncation": 1.0, "how": "clip"}))
    assert np.allclose(clipped, whole.clip([2.5, -3.0], [3.5, 1.0]))


def test_biggan_cuts_at_two_and_scales():
    z = draw(Normal(2), truncation=0.4, how="biggan")
    assert np.abs(z).max() <= 0.8
    for column in z.T:
        assert stats.kstest(column / 0.4, stats.truncnorm(-2, 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize("how", ["clip", "biggan"])
def test_both_need_a_normal_prior(how):
    with pytest.raises(InputError, match="needs a normal prior"):
        draw(Uniform(2), truncation=0.5, how=how)


# -- the law ------------------------------------------------------------------------------------


def law(gan, **options) -> str:
    return gan.law(prepare(gan, Direct(**options))[0])


def test_truncation_names_another_law():
    gan = toy_gan()
    plain = law(gan)
    assert plain == plain_law(gan) == law(gan, how="shrink")  # without truncation no other law
    others = [
        law(gan, truncation=0.5),
        law(gan, truncation=0.6),
        *(law(gan, truncation=0.5, how=how) for how in ("shrink", "clip", "biggan")),
    ]
    assert len({plain, *others}) == 6


def test_the_ratio_of_the_plain_generator_does_not_judge_truncated_samples():
    sample(toy_gan(), OBRS(pilot=100), 16)
    with pytest.raises(LawMismatchError, match="truncation=0.5"):
        sample(toy_gan(), OBRS(proposal=Direct(truncation=0.5), pilot=100), 16)


def test_acceptance_on_the_ratio_of_the_truncated_law_is_exact():
    """Data uniform on [-1, 1], proposals a truncated normal: r is 1 / density, largest at 1."""
    mover = Direct(truncation=1.0)
    gan = gan_of(Normal(1), lambda z: z)
    mass = math.log(math.erf(math.sqrt(0.5))) + 0.5 * math.log(2 * math.pi)

    def log_ratio(x):
        return -math.log(2) + mass + 0.5 * x[:, 0].square()

    gan = gan.with_ratio(gan.law(mover), Ratio(Score(Formula(log_ratio))))
    log_max = -math.log(2) + mass + 0.5
    out = sample(gan, Rejection(proposal=mover, log_max=log_max), N)
    assert stats.kstest(out.x[:, 0].numpy(), stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert out.manifest["events"]["excess"] == 0


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "latent",
    [Uniform(2), dist.Exponential(torch.ones(2)), PRIORS["correlated"][0]],
    ids=["uniform", "exponential", "correlated"],
)
def test_resampling_needs_a_normal_prior(latent):
    with pytest.raises(InputError, match="needs a normal prior.*this GAN's is .*how='shrink'"):
        sample(gan_of(latent), Direct(truncation=1.0), 10)


class Circle(Latent):
    """A prior that is no vector space, with the three methods of a latent."""

    def draw(self, key, ids, attempts=0):
        angle = 2 * math.pi * key.uniform(ids, attempts)
        return torch.stack([angle.cos(), angle.sin()], 1)

    def log_prob(self, z):
        return torch.zeros(len(z))

    def config(self):
        return {"kind": "circle"}


@pytest.mark.parametrize(
    "latent",
    [dist.Cauchy(torch.zeros(2), torch.ones(2)), Circle()],
    ids=["no mean", "unknown"],
)
@pytest.mark.parametrize("how", ["resample", "shrink"])
def test_priors_without_a_mean_are_refused(latent, how):
    with pytest.raises(InputError, match="direct truncation"):
        sample(gan_of(as_latent(latent)), Direct(truncation=0.5, how=how), 10)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"truncation": 0}, "direct truncation.*got 0"),
        ({"truncation": -1.0}, "direct truncation.*got -1.0"),
        ({"truncation": 1.1, "how": "shrink"}, "got 1.1; with how='shrink'.*up to 1"),
        (
            {"how": "cut"},
            "direct how: got 'cut', allowed is 'resample', 'clip', 'shrink' or 'biggan'",
        ),
    ],
)
def test_settings(options, words):
    with pytest.raises(InputError, match=words):
        Direct(**options)
