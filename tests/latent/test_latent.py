"""Priors: their laws, densities, configurations, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as dist

from gantandem import DOT, GAN, MALA, ULA, Direct, Key, Normal, Refine, Uniform, sample
from gantandem.errors import ConfigError, InputError
from gantandem.latent import Distribution, Latent, as_latent, make_latent

N = 20_000
RARE = 1e-4
KEY = Key(0).fold("latent")


def drawn(latent, n=N):
    return latent.draw(KEY, torch.arange(n))


def test_normal():
    latent = Normal(3)
    z = drawn(latent)
    assert z.shape == (N, 3) and z.dtype == torch.float32
    assert stats.kstest(z.double().numpy().ravel(), "norm").pvalue > RARE
    wanted = stats.norm.logpdf(z.double().numpy()).sum(1)
    assert np.allclose(latent.log_prob(z), wanted, atol=1e-5)


def test_uniform():
    latent = Uniform(2, -1, 3)
    z = drawn(latent)
    assert stats.kstest(z.double().numpy().ravel(), stats.uniform(-1, 4).cdf).pvalue > RARE
    assert torch.allclose(latent.log_prob(z), torch.full((N,), -2 * math.log(4)))
    assert latent.log_prob(torch.tensor([[0.0, 3.1], [-1.1, 0.0]])).tolist() == [-math.inf] * 2


def test_attempts_and_ids_name_a_draw():
    latent, ids = Normal(4), torch.arange(6)
    first = latent.draw(KEY, ids, 0)
    assert not torch.equal(first, latent.draw(KEY, ids, 1))
    mixed = latent.draw(KEY, ids, torch.tensor([0, 1, 0, 1, 0, 1]))
    assert torch.equal(mixed[::2], first[::2])
    assert torch.equal(mixed[1::2], latent.draw(KEY, ids, 1)[1::2])


SCALAR = {
    "laplace": (dist.Laplace(0.5, 2.0), stats.laplace(0.5, 2.0)),
    "log-normal": (dist.LogNormal(0.0, 0.5), stats.lognorm(0.5)),
    "cauchy": (dist.Cauchy(1.0, 2.0), stats.cauchy(1.0, 2.0)),
    "exponential": (dist.Exponential(3.0), stats.expon(scale=1 / 3)),
}


@pytest.mark.parametrize("name", SCALAR)
def test_torch_distributions(name):
    law, wanted = SCALAR[name]
    vector = law.expand((3,))
    z = drawn(Distribution(vector))
    assert z.shape == (N, 3)
    assert stats.kstest(z.double().numpy().ravel(), wanted.cdf).pvalue > RARE
    log_prob = Distribution(vector).log_prob(z)
    assert np.allclose(log_prob, wanted.logpdf(z.double().numpy()).sum(1), rtol=1e-3, atol=1e-3)


def test_parameters_by_column_stay_with_their_column():
    law = dist.Independent(dist.Normal(torch.tensor([0.0, 100.0]), torch.tensor([1.0, 5.0])), 1)
    z = drawn(Distribution(law)).double().numpy()
    assert stats.kstest(z[:, 0], "norm").pvalue > RARE
    assert stats.kstest(z[:, 1], stats.norm(100, 5).cdf).pvalue > RARE


def test_multivariate_normal():
    cov = torch.tensor([[2.0, 0.8], [0.8, 1.0]])
    law = dist.MultivariateNormal(torch.tensor([1.0, -1.0]), cov)
    latent = Distribution(law)
    z = drawn(latent)
    white = torch.linalg.solve_triangular(
        torch.linalg.cholesky(cov), (z - law.loc).T, upper=False
    ).double()
    assert stats.kstest(white.numpy().ravel(), "norm").pvalue > RARE
    assert abs(float((white[0] * white[1]).mean())) < 4 / math.sqrt(N)
    assert torch.allclose(latent.log_prob(z), law.log_prob(z))


def test_densities_outside_the_support():
    latent = Distribution(dist.Exponential(torch.ones(2)))
    values = latent.log_prob(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
    assert values.tolist() == [-2.0, -math.inf]


LAWS = {
    "normal": Normal(3),
    "uniform": Uniform(3),
    "vector": Distribution(dist.Normal(torch.zeros(3), torch.ones(3))),
    "scalar": Distribution(dist.Laplace(0.0, 1.0)),
    "transformed": Distribution(dist.LogNormal(torch.zeros(3), torch.ones(3))),
    "correlated": Distribution(
        dist.MultivariateNormal(torch.zeros(3), torch.eye(3) + torch.full((3, 3), 0.4))
    ),
}


@pytest.mark.parametrize("name", LAWS)
def test_draws_do_not_depend_on_their_place(name):
    latent, ids = LAWS[name], torch.arange(300)
    whole = latent.draw(KEY, ids)
    for size in (1, 7, 48):
        parts = torch.cat([latent.draw(KEY, part) for part in ids.split(size)])
        assert torch.equal(parts, whole), size


def test_configurations_round_trip():
    for latent in (Normal(5), Uniform(62, -1.0, 1.0)):
        assert make_latent(latent.config()) == latent


def test_configuration_of_a_distribution_holds_its_parameters():
    one = Distribution(dist.Normal(torch.zeros(2), torch.ones(2))).config()
    two = Distribution(dist.Normal(torch.zeros(2), 2 * torch.ones(2))).config()
    assert one != two


def test_as_latent():
    assert as_latent(7) == Normal(7)
    assert as_latent(Uniform(2)) == Uniform(2)
    assert isinstance(as_latent(dist.Normal(0.0, 1.0)), Distribution)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Normal(0), "dim"),
        (lambda: Normal(2.0), "dim"),  # type: ignore
        (lambda: Uniform(2, 1, 1), "low"),
        (lambda: as_latent("normal"), "allowed"),  # type: ignore
        (lambda: as_latent(dist.VonMises(0.0, 1.0)), "draw, log_prob and config"),
        (lambda: as_latent(dist.Poisson(3.0)), "cannot be drawn from a key"),
        (lambda: as_latent(True), "dim"),
    ],
)
def test_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()


@pytest.mark.parametrize(
    "config", [{}, {"kind": "cauchy", "dim": 2}, {"kind": "normal"}, {"kind": "uniform", "size": 2}]
)
def test_bad_configurations(config):
    with pytest.raises(ConfigError, match="latent"):
        make_latent(config)


# -- a user's own -------------------------------------------------------------------------------


class Own(Latent):
    """A standard normal, with one method replaced by what a test breaks."""

    def __init__(self, **broken):
        self.broken = broken

    def draw(self, key, ids, attempts=0):
        how = self.broken.get("draw", lambda *of: of[0].normal(*of[1:], shape=(2,)))
        return how(key, ids, attempts)

    def log_prob(self, z):
        return self.broken.get("log_prob", lambda z: -0.5 * z.square().sum(1))(z)

    def config(self):
        return self.broken.get("config", {"kind": "own"})


def normals(key, ids, attempts):
    return key.normal(ids, attempts, shape=(2,))


@pytest.mark.parametrize(
    "broken, words",
    [
        ({"draw": lambda k, ids, a: torch.randn(len(ids), 2)}, "different latents for the same id"),
        (
            {"draw": lambda k, ids, a: normals(k, ids, a) - normals(k, ids, a).mean(0)},
            "each row independently",
        ),
        ({"draw": lambda k, ids, a: normals(k, ids, 0)}, "the same latent for every attempt"),
        ({"draw": lambda k, ids, a: normals(k, ids, a)[:1]}, r"draw returns \(1, 2\)"),
        ({"draw": lambda k, ids, a: normals(k, ids, a).tolist()}, "a call failed.*'list' object"),
        ({"draw": lambda k, ids: normals(k, ids, 0)}, "a call failed.*argument"),
        ({"log_prob": lambda z: -0.5 * z.square()}, r"log_prob \(64, 2\)"),
        ({"log_prob": lambda z: -z.square().sum()}, r"log_prob \(\); allowed are .* \(64,\)"),
        ({"log_prob": lambda z: math.nan * z.sum(1)}, "log_prob is NaN"),
        ({"log_prob": lambda z: z.sum(1) - math.inf}, "NaN or -inf"),
        ({"config": {"scale": torch.ones(2)}}, "a call failed.*JSON"),
        ({"config": "own"}, "a call failed"),
    ],
)
def test_a_prior_of_ones_own_is_tried(broken, words):
    with pytest.raises(InputError, match=f"latent Own: .*{words}"):
        GAN(torch.nn.Identity(), torch.nn.Linear(2, 1), Own(**broken))


def test_a_prior_of_ones_own_is_taken():
    gan = GAN(torch.nn.Identity(), torch.nn.Linear(2, 1), Own())
    assert torch.equal(
        sample(gan, Direct(), 9).x, sample(gan.replace(latent=Normal(2)), Direct(), 9).x
    )
    constant = Own(draw=lambda k, ids, a: torch.ones(len(ids), 2))  # a question of the generator's
    assert len(sample(GAN(torch.nn.Identity(), torch.nn.Linear(2, 1), constant), Direct(), 9)) == 9
    for how, words in (("resample", "independent coordinates"), ("shrink", "known, finite mean")):
        with pytest.raises(InputError, match=f"truncation.*{words}.*Own"):
            sample(gan, Direct(truncation=0.5, how=how), 9)


class Known(Own):
    """The same, which tells its mean and how it is truncated."""

    mean = 0.0

    def truncated(self, key, ids, attempts, psi):
        return Normal(2).truncated(key, ids, attempts, psi)


@pytest.mark.parametrize("how", ["resample", "shrink"])
def test_a_prior_of_ones_own_can_be_truncated(how):
    gan = GAN(torch.nn.Identity(), torch.nn.Linear(2, 1), Known())
    mover = Direct(truncation=0.5, how=how)
    assert torch.equal(sample(gan, mover, 9).x, sample(gan.replace(latent=Normal(2)), mover, 9).x)


@pytest.mark.parametrize(
    "mover",
    [
        MALA(steps=5, step_size=0.2),
        ULA(steps=5, step_size=0.2),
        Refine(layer="latent", steps=3, step_size=0.1),
        DOT(steps=3, project=False),
    ],
)
def test_movers_take_a_prior_of_ones_own_as_they_take_the_librarys(mover):
    score = torch.nn.Linear(2, 1)
    a, b = (
        sample(GAN(torch.nn.Identity(), score, latent), mover, 9).x for latent in (Own(), Normal(2))
    )
    assert torch.allclose(a, b, atol=1e-5)


def test_what_only_looks_like_a_prior_is_refused_in_one_message():
    class Looks:
        draw, log_prob, config = Own.draw, Own.log_prob, Own.config

    with pytest.raises(InputError, match="latent: got Looks; .*subclass of gantandem.Latent"):
        GAN(torch.nn.Identity(), torch.nn.Linear(2, 1), Looks())
