"""Chains in the latent: exact where they say so, and biased as they say where not."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from gantandem import GAN, MALA, ULA, Ex2MCMC, Normal, Uniform, sample
from gantandem.ratios.calibrators import Platt
from gantandem.samplers import latent_chain
from gantandem.samplers.langevin import Langevin, Point
from langevin_toys import MEAN, PRECISION, RARE, N, accepted_share, identity, narrow
from targets import DATA, PROPOSAL, TARGETS, Formula, chi_square, discrete, gaussian, waves

EXACT = {
    "mala": MALA(steps=50),
    "own noise": MALA(steps=50, step_size=0.02, noise=0.3, max_drift=None),
    "ex2mcmc": Ex2MCMC(rounds=4, points=4, moves=3, step_size=0.1),
}


# -- exact chains -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("kind", EXACT)
def test_exact_chains_follow_the_data(name, kind):
    target = TARGETS[name]()
    out = sample(target.gan, EXACT[kind], N, width=1024)
    assert target.worst(out.x) > RARE, target.p_values(out.x.double().numpy())
    assert out.manifest["events"]["divergent"] == 0


@pytest.mark.parametrize("name", ["gaussian", "skewed", "waves"])
def test_any_gradient_will_do(name, monkeypatch):
    """Hastings: downhill proposals are slower and as exact, for both directions know of them."""
    point = latent_chain._point
    monkeypatch.setattr(
        latent_chain, "_point", lambda gan, z, x, d, slope: point(gan, z, x, d, -slope)
    )
    target = TARGETS[name]()
    mover = MALA(steps=60, step_size=0.3, max_drift=0.5)
    out = sample(target.gan, mover, N, width=1024)
    assert target.worst(out.x) > RARE, target.p_values(out.x.double().numpy())


HASTINGS = Langevin.log_hastings


def forgets_the_way_back(q, here, there):
    return torch.zeros_like(here.log_ratio)


def takes_another_step(q, here, there):
    return HASTINGS(replace(q, tau=0.5 * q.tau), here, there)


def leaves_out_the_bound(q, here, there):
    return HASTINGS(replace(q, max_drift=None), here, there)


@pytest.mark.parametrize("fault", [forgets_the_way_back, takes_another_step, leaves_out_the_bound])
def test_every_part_of_the_correction_is_needed(fault, monkeypatch):
    target = gaussian()
    mover = MALA(steps=50, step_size=0.5, max_drift=0.3)
    assert target.worst(sample(target.gan, mover, N, width=1024).x) > RARE
    monkeypatch.setattr(Langevin, "log_hastings", fault)
    assert target.worst(sample(target.gan, mover, N, width=1024).x) < 1e-8


def test_reflecting_at_the_border_is_biased(monkeypatch):
    """Why a move over the border is rejected: reflected, with the unfolded densities, it is not."""
    draw = Langevin.draw

    def reflect(q, here, xi):
        z = draw(q, here, xi)
        return 1 - ((z + 1).remainder(4) - 2).abs()

    assert torch.allclose(
        reflect(Langevin(0.0, noise=0.2), point_at([0.5, 0.9]), torch.tensor([[3.0], [3.0]])),
        torch.tensor([[0.9], [0.5]]),
    )
    target = waves()
    mover = MALA(steps=50, step_size=0.5)
    assert target.worst(sample(target.gan, mover, N, width=1024).x) > RARE
    monkeypatch.setattr(Langevin, "draw", reflect)
    assert target.worst(sample(target.gan, mover, N, width=1024).x) < RARE


def point_at(z):
    z = torch.tensor(z)[:, None]
    flat = torch.zeros(len(z)).double()
    return Point(z, z, flat, flat, torch.zeros_like(z))


@pytest.mark.parametrize("step_size", [0.1, "auto"])
@pytest.mark.slow
def test_the_published_toy(step_size):
    """G the identity, D = 0: |z|^2 / 100 has mean 1.00 and standard deviation .14, and stays so.

    WL-GAN as published gives 1.10 and .28.
    """
    gan = identity(lambda x: 0 * x[:, 0], Normal(100))
    out = sample(gan, MALA(steps=40, step_size=step_size), 2_000, width=1024)
    radius = out.z.double().square().mean(1).numpy()
    assert stats.kstest(100 * radius, stats.chi2(100).cdf).pvalue > RARE
    assert radius.mean() == pytest.approx(1, abs=4 * 0.1414 / 2_000**0.5)
    assert radius.std() == pytest.approx(0.1414, rel=0.07)


def test_another_prior():
    """Exponential prior, r = z: a Gamma(2) law, with a border at 0."""
    prior = torch.distributions.Exponential(torch.ones(1))
    gan = identity(lambda x: x[:, 0].abs().log(), prior)
    z = sample(gan, MALA(steps=40, step_size=1.0), N, width=1024).z[:, 0].numpy()
    assert z.min() > 0
    assert stats.kstest(z, stats.gamma(2).cdf).pvalue > RARE


def test_a_calibrator_enters_acceptance_only():
    """The law follows the calibrated ratio, though the gradient is of the logit as it is."""
    gan = identity(lambda x: 2 * x[:, 0], Normal(1))
    law, ratio = next(iter(gan.ratios.items()))
    halved = gan.with_ratio(law, replace(ratio, calibrator=Platt(0.5, 0.0, 99.0, 0.0)))
    for which, mean in ((gan, 2), (halved, 1)):
        z = sample(which, MALA(steps=25, step_size=1.0), N, width=1024).z[:, 0].numpy()
        assert stats.kstest(z, stats.norm(mean, 1).cdf).pvalue > RARE
    assert gan.law(MALA(step_size=1)) != halved.law(MALA(step_size=1))


def test_chains_keep_to_their_condition():
    """Two labels, two targets N(-1, 1) and N(2, 1): each chain walks on its own."""

    class Shifted(nn.Module):
        def forward(self, x, label):
            mean = torch.tensor([-1.0, 2.0]).double()[label]
            return mean * x[:, 0].double() - mean**2 / 2

    class Same(nn.Module):
        def forward(self, z, label):
            return z + 0 * label[:, None]

    gan = GAN(Same(), Shifted(), Normal(1), condition=torch.tensor([0, 1]))
    for sampler in (MALA(steps=25, step_size=1.0), Ex2MCMC(rounds=4, points=5, step_size=1.0)):
        z = sample(gan, sampler, N, width=1024).z[:, 0].numpy()
        assert stats.kstest(z[::2], stats.norm(-1, 1).cdf).pvalue > RARE
        assert stats.kstest(z[1::2], stats.norm(2, 1).cdf).pvalue > RARE


@pytest.mark.parametrize("points", [2, 3])
def test_one_exploring_move_is_enumerated(points):
    """From a proposal: one of N proposals with weights r, long before the law is the data's."""
    target, n = discrete(), 20_000
    still = Ex2MCMC(rounds=1, points=points, moves=1, step_size=1e-14)
    r, law = DATA / PROPOSAL, np.zeros(len(DATA))
    for states in product(range(len(DATA)), repeat=points):
        index = list(states)
        np.add.at(law, index, PROPOSAL[index].prod() * r[index] / r[index].sum())
    x = sample(target.gan, still, n, width=1024).x
    assert law.sum() == pytest.approx(1)
    assert chi_square(x, law) > RARE
    assert chi_square(x, DATA) < 1e-6


# -- ULA ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["logit", "critic"])
@pytest.mark.parametrize("steps", [1, 3, 40])
def test_ula_has_its_known_biased_law(output, steps):
    """On a Gaussian it is an AR(1) chain: z' = a z + (1 - a) mean + sqrt(eps) xi."""
    eps = 0.8
    out = sample(narrow(output), ULA(steps=steps, step_size=eps), 3_072, width=1024)
    a = 1 - eps * PRECISION / 2
    mean, variance = 0.0, 1.0
    for _ in range(steps):
        mean, variance = a * mean + (1 - a) * MEAN, a**2 * variance + eps
    z = out.z[:, 0].double().numpy()
    assert stats.kstest(z, stats.norm(mean, variance**0.5).cdf).pvalue > RARE
    assert stats.kstest(z, stats.norm(MEAN, PRECISION**-0.5).cdf).pvalue < 1e-8
    if steps == 40:
        assert variance == pytest.approx(1 / PRECISION / (1 - eps * PRECISION / 4))


def test_ula_tends_to_the_target_with_its_step():
    z = sample(narrow(), ULA(steps=80, step_size=0.05), N, width=1024).z[:, 0].numpy()
    assert stats.kstest(z, stats.norm(MEAN, PRECISION**-0.5).cdf).pvalue > RARE


def test_ula_follows_the_guide_and_mala_the_ratio():
    gan = narrow().with_guide(Formula(lambda x: 3 * x[:, 0]))
    ula = sample(gan, ULA(steps=60, step_size=0.1), 1_000, width=1024)
    mala = sample(gan, MALA(steps=60, step_size=0.5), 1_000, width=1024)
    assert float(ula.z.mean()) == pytest.approx(3, abs=0.15)
    assert float(mala.z.mean()) == pytest.approx(MEAN, abs=0.1)
    assert torch.allclose(ula.log_ratio, 3 * ula.z[:, 0].double())


@pytest.mark.parametrize("mover", [ULA(steps=30, step_size=0.5), MALA(steps=30, step_size=0.5)])
def test_nothing_leaves_the_support(mover):
    """On a flat target staying put at the border leaves the uniform law as it is."""
    out = sample(identity(lambda x: 0 * x[:, 0], Uniform(2)), mover, N, width=1024)
    assert float(out.z.abs().max()) <= 1
    assert 0.2 < accepted_share(out) < 0.8
    assert out.manifest["events"]["divergent"] == 0
    for column in out.z.numpy().T:
        assert stats.kstest(column, stats.uniform(-1, 2).cdf).pvalue > RARE
