"""Samplers under priors of ``torch.distributions``, those without a gradient among them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from test_distributions import DISCRETE, PER_COORDINATE, RARE
from torch import distributions as D
from torch import nn, tensor

from gantandem import (
    DOT,
    GAN,
    MALA,
    OBRS,
    ULA,
    DGFlow,
    Direct,
    Ex2MCMC,
    LatentOpt,
    Metropolis,
    Refine,
    Uniform,
    WangLandau,
    sample,
)
from gantandem.discriminator.latent_weights import ReweightedLatent
from gantandem.errors import InputError
from gantandem.latent import Latent, as_latent


def tilted(law) -> GAN:
    """G(z) = z and log r = .8 x0 - .5, so that the target is known up to its constant."""
    score = nn.Linear(2, 1)
    with torch.no_grad():
        score.weight.copy_(tensor([[0.8, 0.0]]))
        score.bias.fill_(-0.5)
    return GAN(nn.Identity(), score, as_latent(law))


@pytest.mark.parametrize("name", ["beta", "dirichlet"])
@pytest.mark.slow
def test_acceptance_under_a_new_prior_is_exact(name):
    law, wanted = PER_COORDINATE[name]
    out = sample(tilted(law), Metropolis(proposals=60), 4000, strict=False)
    grid = np.linspace(0, 1, 20_001)[1:-1]
    weight = wanted[0].pdf(grid) * np.exp(0.8 * grid)
    cdf = np.cumsum(weight) / weight.sum()
    x = out.x[:, 0].double().numpy()
    assert stats.kstest(x, lambda v: np.interp(v, grid, cdf)).pvalue > RARE


@pytest.mark.slow
def test_mala_walks_on_a_mixture():
    latent = D.MixtureSameFamily(
        D.Categorical(tensor([0.5, 0.5])),
        D.Independent(D.Normal(tensor([[-1.0, 0.0], [1.0, 0.0]]), torch.ones(2, 2)), 1),
    )
    out = sample(tilted(latent), MALA(steps=80), 2000, strict=False)
    # A Gaussian mixture tilted by exp(.8 x0): means +.8, weights by exp(.8 mean).
    share = math.exp(0.8) / (math.exp(0.8) + math.exp(-0.8))
    mean = share * 1.8 + (1 - share) * -0.2
    assert abs(float(out.x[:, 0].mean()) - mean) < 0.12


CLIMBERS = {
    "mala": MALA(),
    "ula": ULA(),
    "ex2mcmc": Ex2MCMC(),
    "wlgan": WangLandau(),
    "refine": Refine(layer="latent"),
    "dgflow": DGFlow(),
    "dot": DOT(),
    "latent_opt": LatentOpt(),
}


@pytest.mark.parametrize("name", CLIMBERS)
@pytest.mark.parametrize("law", [DISCRETE["bernoulli"], D.Independent(DISCRETE["bernoulli"], 1)])
def test_a_discrete_prior_has_no_gradient_to_follow(name, law):
    with pytest.raises(
        InputError, match=f"{name}: the prior .* is discrete, so a latent cannot move"
    ):
        sample(tilted(law), CLIMBERS[name], 4)
    network = nn.Linear(2, 1)
    nested = ReweightedLatent(base=as_latent(law), network=network, acceptance=0.5)
    with pytest.raises(InputError, match="is discrete"):
        sample(GAN(nn.Identity(), network, nested), CLIMBERS[name], 4)


def test_what_does_not_move_the_latent_takes_a_discrete_prior():
    gan = tilted(DISCRETE["bernoulli"])
    assert sample(gan, OBRS(), 50).x.unique().tolist() == [0.0, 1.0]
    assert len(sample(gan, Refine(layer="data", steps=2), 5)) == 5
    with pytest.raises(InputError, match="truncation.*Bernoulli"):
        sample(gan, Direct(truncation=0.5, how="shrink"), 5)


class Lattice(Latent):
    """A user's own discrete prior: nothing says so but its density."""

    def draw(self, key, ids, attempts=0):
        return (key.uniform(ids, attempts, shape=(2,)) * 4).floor()

    def log_prob(self, z):
        inside = ((z == z.floor()) & (z >= 0) & (z < 4)).all(1)
        return torch.where(inside, -2 * math.log(4), -math.inf)

    def config(self):
        return {"kind": "lattice"}


@pytest.mark.parametrize(
    "make, latent",
    [
        (lambda: MALA(steps=20, step_size=0.1), Lattice()),
        (lambda: MALA(steps=20, step_size=1e5, max_drift=None), Uniform(2)),
        (lambda: ULA(steps=20, step_size=1e5), Uniform(2)),
        (lambda: OBRS(proposal=MALA(steps=20, step_size=1e5)), Uniform(2)),
    ],
)
def test_chains_that_never_move_are_an_error(make, latent):
    with pytest.raises(InputError, match=r"step_size: with (0.1|100000.0) no chain accepted any"):
        sample(tilted(latent), make(), 64, strict=False)


def test_few_moves_may_all_be_rejected():
    gan = tilted(Uniform(2))
    out = sample(gan, MALA(steps=3, step_size=1e5), 4)  # 12 moves are no evidence
    assert out.manifest["events"]["moves_accepted"] == 0
