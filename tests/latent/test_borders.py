"""No mover leads a latent out of its prior, whatever the prior's border is."""

from __future__ import annotations

import math

import pytest
import torch
from torch import distributions as dist
from torch import nn

from gantandem import (
    DOT,
    GAN,
    MALA,
    ULA,
    DGFlow,
    Ex2MCMC,
    Key,
    LatentOpt,
    Refine,
    Uniform,
    WangLandau,
    sample,
)
from gantandem.latent import Latent, as_latent
from gantandem.rng import stable


class Triangle(Latent):
    """A user's own prior: z of density 2 (1 - z) on [0, 1], two independent ones."""

    def draw(self, key, ids, attempts=0):
        u = key.uniform(ids, attempts, shape=(2,))
        return 1 - stable(torch.sqrt, u)

    def log_prob(self, z):
        inside = ((z >= 0) & (z < 1)).all(1)
        safe = torch.where(inside[:, None], z, 0.5)
        return torch.where(inside, (2 * (1 - safe)).log().sum(1), -math.inf)

    def config(self):
        return {"kind": "triangle"}


ONES = torch.ones(2)
PRIORS = {
    "uniform": Uniform(2),
    "another box": Uniform(2, 0.0, 0.2),
    "torch's uniform": dist.Independent(dist.Uniform(-ONES, 2 * ONES), 1),
    "exponential": dist.Exponential(ONES),
    "own": Triangle(),
}
WILD = {"steps": 15, "step_size": 0.1, "layer": "latent"}
MOVERS = {
    "refine": Refine(**WILD),
    "refine to the end": Refine(**WILD, stop="last", update="momentum"),
    "refine, best": Refine(**WILD, stop="best", update="sgd"),
    "refine, scaled": Refine(**WILD, update="scaled-adam", reference=1.0),
    "refine, widened": Refine(**WILD, defensive=0.9, defensive_scale=5.0),
    "refine, widened only": Refine(**WILD, defensive=0.9, unrefined=1.0, spread=9.0),
    "dgflow": DGFlow(steps=9, step_size=0.1, noise=0.5),
    "dot": DOT(step_size=0.1),
    "dot, adam": DOT(step_size=0.1, update="adam"),
    "latent_opt": LatentOpt(step_size=2.0),
    "ula": ULA(steps=15, step_size=0.5),
    "mala": MALA(steps=15, step_size=0.3),
    "ex2mcmc": Ex2MCMC(rounds=3, step_size=0.3),
    "wlgan": WangLandau(steps=15, step_size=0.3, warm_up=20, pilots=16),
}


@pytest.mark.parametrize("mover", MOVERS)
@pytest.mark.parametrize("prior", PRIORS)
def test_moved_latents_stay_in_the_prior(prior, mover):
    latent = as_latent(PRIORS[prior])
    score = nn.Linear(2, 1)
    with torch.no_grad():
        score.weight.copy_(torch.tensor([[1.5, -2.0]]))  # past the border on either side
    gan = GAN(nn.Identity(), score, latent)
    start = latent.draw(Key(0).fold("latent"), torch.arange(64))
    out = sample(gan, MOVERS[mover], 64, width=64)  # x is the latent where it was moved to
    assert bool(latent.log_prob(out.x).isfinite().all())
    assert float((out.x - start).abs().amax()) > 0.01  # and it was moved


def test_a_move_over_another_border_is_dropped_and_over_a_box_is_clipped():
    score = nn.Linear(2, 1)
    with torch.no_grad():
        score.weight.copy_(torch.tensor([[3.0, 0.0]]))
    mover = Refine(layer="latent", steps=40, step_size=0.1, stop="last", update="sgd")
    boxed = sample(GAN(nn.Identity(), score, Uniform(2)), mover, 64)
    assert bool((boxed.x[:, 0] == 1).any()) and bool((boxed.x[:, 0] <= 1).all())
    own = sample(GAN(nn.Identity(), score, Triangle()), mover, 64)
    assert bool((own.x[:, 0] < 1).all()) and bool((own.x[:, 0] >= own.z[:, 0]).all())
