"""Priors of ``torch.distributions``: their laws, densities, bits, borders and descriptions."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as D
from torch import nn, tensor

from gantandem import GAN, Direct, Key
from gantandem.errors import ConfigError
from gantandem.latent import Distribution, as_latent, make_latent

N, RARE = 10_000, 1e-4


KEY = Key(3).fold("latent")


ZERO, ONE = torch.zeros(2), torch.ones(2)


TWO = tensor([1.0, 2.5])


# By coordinate: SciPy's law of it.
PER_COORDINATE = {
    "gumbel": (D.Gumbel(tensor([0.0, 9.0]), TWO), [stats.gumbel_r(0, 1), stats.gumbel_r(9, 2.5)]),
    "weibull": (
        D.Weibull(TWO, tensor([2.0, 0.7])),
        [stats.weibull_min(2, scale=1), stats.weibull_min(0.7, scale=2.5)],
    ),
    "affine": (
        D.TransformedDistribution(D.Normal(ZERO, ONE), D.AffineTransform(tensor([1.0, -4.0]), TWO)),
        [stats.norm(1, 1), stats.norm(-4, 2.5)],
    ),
    "composed": (
        D.TransformedDistribution(
            D.Independent(D.Normal(ZERO, ONE), 1),
            [D.AffineTransform(ZERO, TWO, event_dim=1), D.ExpTransform()],
        ),
        [stats.lognorm(1), stats.lognorm(2.5)],
    ),
    "pareto": (D.Pareto(ONE, tensor([3.0, 4.0])), [stats.pareto(3), stats.pareto(4)]),
    "beta": (
        D.Beta(tensor([0.5, 2.0]), tensor([0.5, 5.0])),
        [stats.beta(0.5, 0.5), stats.beta(2, 5)],
    ),
    "gamma": (
        D.Gamma(tensor([0.3, 4.0]), tensor([1.0, 2.0])),
        [stats.gamma(0.3), stats.gamma(4, scale=0.5)],
    ),
    "chi2": (D.Chi2(tensor([1.0, 7.0])), [stats.chi2(1), stats.chi2(7)]),
    "inverse gamma": (
        D.InverseGamma(tensor([3.0, 5.0]), ONE),
        [stats.invgamma(3), stats.invgamma(5)],
    ),
    "student": (
        D.StudentT(tensor([1.5, 30.0]), tensor([0.0, 2.0]), TWO),
        [stats.t(1.5), stats.t(30, 2, 2.5)],
    ),
    "fisher": (D.FisherSnedecor(tensor([3.0, 8.0]), 6 * ONE), [stats.f(3, 6), stats.f(8, 6)]),
    "low rank": (
        D.LowRankMultivariateNormal(tensor([0.0, 3.0]), tensor([[1.0], [2.0]]), ONE),
        [stats.norm(0, math.sqrt(2)), stats.norm(3, math.sqrt(5))],
    ),
    "dirichlet": (D.Dirichlet(tensor([0.4, 3.0])), [stats.beta(0.4, 3), stats.beta(3, 0.4)]),
    "independent student": (D.Independent(D.StudentT(4 * ONE), 1), [stats.t(4), stats.t(4)]),
}


@pytest.mark.parametrize("name", PER_COORDINATE)
def test_each_coordinate_has_its_law_and_density(name):
    law, wanted = PER_COORDINATE[name]
    latent = as_latent(law)
    z = latent.draw(KEY, torch.arange(N))
    assert z.shape == (N, 2) and z.dtype == torch.float32
    for column, one in zip(z.double().T, wanted, strict=True):
        assert stats.kstest(column.numpy(), one.cdf).pvalue > RARE
    log_prob = latent.log_prob(z)
    assert log_prob.shape == (N,) and bool(log_prob.isfinite().all())
    levels = [one.cdf(column) for one, column in zip(wanted, z.T, strict=True)]
    correlation = float(np.corrcoef(np.array(levels))[0, 1])
    if name not in ("low rank", "dirichlet"):
        assert abs(correlation) < 4 / math.sqrt(N)
        exact = sum(one.logpdf(c) for one, c in zip(wanted, z.double().numpy().T, strict=True))
        assert np.allclose(log_prob, exact, rtol=1e-3, atol=2e-2)
    else:
        theirs = law.log_prob(z)
        assert torch.allclose(log_prob, theirs)


def test_the_low_rank_normal_has_its_covariance():
    factor = tensor([[1.0, 0.5], [2.0, 0.0], [0.0, 1.0]])
    law = D.LowRankMultivariateNormal(torch.zeros(3), factor, tensor([0.5, 1.0, 2.0]))
    z = as_latent(law).draw(KEY, torch.arange(N)).double()
    white = torch.linalg.solve_triangular(law.scale_tril.double(), z.T, upper=False)
    assert stats.kstest(white.numpy().ravel(), "norm").pvalue > RARE
    assert float((torch.cov(white) - torch.eye(3)).abs().max()) < 5 / math.sqrt(N)


def test_a_dirichlet_of_small_concentrations_neither_underflows_nor_leaves_the_simplex():
    law = D.Dirichlet(tensor([0.001, 0.002, 0.001]))
    latent = as_latent(law)
    z = latent.draw(KEY, torch.arange(N))
    assert torch.allclose(z.sum(1), torch.ones(N)) and bool(latent.log_prob(z).isfinite().all())
    assert torch.allclose(z.mean(0), tensor([0.25, 0.5, 0.25]), atol=0.03)


MIXTURES = {
    "scalar": D.MixtureSameFamily(
        D.Categorical(tensor([0.3, 0.7])), D.Normal(tensor([-2.0, 3.0]), tensor([0.5, 1.0]))
    ),
    "columns": D.MixtureSameFamily(
        D.Categorical(tensor([[0.3, 0.7], [0.9, 0.1]])),
        D.Normal(tensor([[-2.0, 3.0], [0.0, 9.0]]), tensor([[0.5, 1.0], [1.0, 2.0]])),
    ),
    "vectors": D.MixtureSameFamily(
        D.Categorical(logits=tensor([0.0, 1.0, 2.0])),
        D.Independent(D.StudentT(3 * torch.ones(3, 2), 9 * torch.arange(6.0).view(3, 2)), 1),
    ),
    "bumps": D.MixtureSameFamily(
        D.Categorical(tensor([0.5, 0.5])), D.Beta(tensor([2.0, 9.0]), tensor([9.0, 2.0]))
    ),
}


@pytest.mark.parametrize("name", MIXTURES)
def test_mixtures_have_torchs_law(name):
    law = MIXTURES[name]
    latent = as_latent(law)
    z = latent.draw(KEY, torch.arange(N))
    torch.manual_seed(0)
    theirs = law.sample((N,))
    assert z.shape == theirs.shape
    for ours, torchs in zip(z.view(N, -1).T, theirs.view(N, -1).T, strict=True):
        assert stats.ks_2samp(ours.numpy(), torchs.numpy()).pvalue > RARE
    mine, other = latent.log_prob(z), latent.log_prob(theirs)
    assert stats.ks_2samp(mine.numpy(), other.numpy()).pvalue > RARE  # of all columns together
    assert torch.allclose(mine, law.log_prob(z).view(N, -1).sum(1))


DISCRETE = {
    "bernoulli": D.Bernoulli(tensor([0.2, 0.7])),
    "categorical": D.Categorical(tensor([[0.2, 0.5, 0.3], [0.0, 0.1, 0.9]])),
    "one-hot": D.OneHotCategorical(logits=tensor([0.0, 1.0, 2.0])),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_laws_have_their_frequencies(name):
    law = DISCRETE[name]
    latent = as_latent(law)
    z = latent.draw(KEY, torch.arange(N))
    torch.manual_seed(0)
    theirs = law.sample((N,))
    assert z.dtype == torch.float32 and z.shape == theirs.shape
    assert set(z.unique().tolist()) == set(theirs.unique().tolist())
    for value in z.unique():
        share, wanted = ((v == value).double().mean(0) for v in (z, theirs))
        assert torch.allclose(share, wanted, atol=5 / math.sqrt(N))
    assert torch.allclose(latent.log_prob(z), law.log_prob(z).view(N, -1).sum(1))


EVERY = {**{k: v[0] for k, v in PER_COORDINATE.items()}, **MIXTURES, **DISCRETE}
EVERY["a long row"] = D.Gumbel(torch.zeros(700), torch.linspace(1, 2, 700))
EVERY["a transformed row"] = D.LogisticNormal(torch.zeros(5), torch.ones(5))


@pytest.mark.parametrize("name", EVERY)
def test_draws_depend_on_the_key_alone(name):
    latent, ids = as_latent(EVERY[name]), torch.arange(200)
    whole = latent.draw(KEY, ids)
    for size in (1, 7, 64):
        parts = torch.cat([latent.draw(KEY, part) for part in ids.split(size)])
        assert torch.equal(parts, whole), size
    again = latent.draw(KEY, ids.flip(0)).flip(0)
    assert torch.equal(again, whole)
    assert not torch.equal(latent.draw(KEY, ids, 1), whole)
    assert not torch.equal(latent.draw(Key(4), ids), whole)


BORDERS = {
    "beta": (D.Beta(ONE, 2 * ONE), [[0.5, 1.1], [-0.1, 0.5], [0.5, math.nan]]),
    "gamma": (D.Gamma(2 * ONE, ONE), [[-1.0, 1.0], [1.0, -1e-6]]),
    "dirichlet": (D.Dirichlet(ONE), [[0.6, 0.6], [-0.5, 1.5]]),
    "log-normal": (D.LogNormal(ZERO, ONE), [[-1.0, 1.0]]),
    "mixture": (MIXTURES["bumps"], [[1.1], [-0.1]]),
    "bernoulli": (D.Bernoulli(0.5 * ONE), [[0.5, 1.0]]),
}


@pytest.mark.parametrize("name", BORDERS)
def test_outside_there_is_no_density(name):
    law, outside = BORDERS[name]
    shape = tuple(law.batch_shape) + tuple(law.event_shape)
    values = as_latent(law).log_prob(tensor(outside).view(-1, *shape))
    assert values.tolist() == [-math.inf] * len(outside)


def test_a_narrow_beta_and_gamma_keep_off_the_border_that_rounding_reaches():
    for law in (D.Beta(0.02 * ONE, 0.02 * ONE), D.Gamma(0.005 * ONE, ONE)):
        latent = as_latent(law)
        z = latent.draw(KEY, torch.arange(N))
        assert bool(latent.log_prob(z).isfinite().all())


# -- through the samplers -----------------------------------------------------------------------


class Rows(nn.Module):
    def forward(self, z):
        return z.reshape(len(z), -1)


# -- descriptions -------------------------------------------------------------------------------

CHANGED = {
    "independent": (lambda v: D.Independent(D.Normal(v * ONE, ONE), 1)),
    "log-normal": (lambda v: D.LogNormal(ZERO, v * ONE)),
    "affine": (lambda v: D.TransformedDistribution(D.Normal(ZERO, ONE), D.AffineTransform(v, 2.0))),
    "affine, by column": (
        lambda v: D.TransformedDistribution(D.Normal(ZERO, ONE), D.AffineTransform(v * ONE, ONE))
    ),
    "composed": (
        lambda v: D.TransformedDistribution(
            D.Normal(ZERO, ONE), D.ComposeTransform([D.ExpTransform(), D.PowerTransform(tensor(v))])
        )
    ),
    "weights of a mixture": (
        lambda v: D.MixtureSameFamily(D.Categorical(tensor([v, 1.0])), D.Normal(ZERO, ONE))
    ),
    "component of a mixture": (
        lambda v: D.MixtureSameFamily(D.Categorical(ONE), D.Normal(tensor([v, 0.0]), ONE))
    ),
    "deep": (
        lambda v: D.MixtureSameFamily(
            D.Categorical(ONE), D.Independent(D.Gumbel(ZERO.view(2, 1), v * ONE.view(2, 1)), 1)
        )
    ),
    "covariance": (lambda v: D.MultivariateNormal(ZERO, v * torch.eye(2))),
    "low rank": (lambda v: D.LowRankMultivariateNormal(ZERO, v * ONE[:, None], ONE)),
    "large": (lambda v: D.Normal(torch.linspace(0, v, 5000), torch.ones(5000))),
    "probabilities": (lambda v: D.Bernoulli(v / 4 * ONE)),
    "truncated": (lambda v: D.Uniform(ZERO, v * ONE)),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_description_holds_every_parameter(name):
    one, same, other = (Distribution(CHANGED[name](v)) for v in (1.0, 1.0, 1.25))
    text = json.dumps(one.config(), sort_keys=True, allow_nan=False)
    assert text == json.dumps(same.config(), sort_keys=True)
    assert text != json.dumps(other.config(), sort_keys=True)
    assert len(text) < 2000
    one.log_prob(one.draw(KEY, torch.arange(4)))  # which fills what torch computes on demand
    assert text == json.dumps(one.config(), sort_keys=True)
    score = nn.Linear(one.draw(KEY, torch.arange(2)).view(2, -1).shape[1], 1)
    gans = [GAN(Rows(), score, latent) for latent in (one, other)]
    assert gans[0].law(Direct()) != gans[1].law(Direct())


def test_the_way_a_parameter_was_given_does_not_count():
    probs = tensor([0.5, 0.5])
    for kind in (D.Categorical, D.Bernoulli, D.OneHotCategorical):
        one, two = Distribution(kind(probs)), Distribution(kind(logits=kind(probs).logits))
        assert one.config() == two.config() and one.config()["parameters"] == {"probs": [0.5, 0.5]}
    cov = tensor([[4.0, 0.0], [0.0, 1.0]])
    made = [D.MultivariateNormal(ZERO, cov), D.MultivariateNormal(ZERO, scale_tril=cov.sqrt())]
    assert Distribution(made[0]).config() == Distribution(made[1]).config()


def test_a_file_that_names_another_prior_says_what_to_do():
    config = Distribution(D.Gumbel(ZERO, ONE)).config()
    with pytest.raises(ConfigError, match=r"got 'distribution Gumbel'.*GAN\.load\(path, latent"):
        make_latent(json.loads(json.dumps(config)))
