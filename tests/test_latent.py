"""Priors: their laws, densities, configurations, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as dist

from gantandem import Key, Normal, Uniform
from gantandem.errors import ConfigError, InputError
from gantandem.latent import Distribution, as_latent, make_latent

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
    assert stats.kstest(z.double().numpy().ravel(), "uniform", args=(-1, 4)).pvalue > RARE
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
    assert stats.kstest(z[:, 1], "norm", args=(100, 5)).pvalue > RARE


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
