"""Wang-Landau chains: exact when reweighted, flat when not, and equal to their formulas."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from gantandem import GAN, MALA, Key, Normal, WangLandau, from_config, prepare, sample, to_config
from gantandem.errors import InputError
from gantandem.ratios.lookup import networks_for
from gantandem.samplers import latent_chain
from langevin_reference import SlowChain, normal_log_prior
from reference_networks import GAN_
from targets import DATA, PROPOSAL, TARGETS, Formula, discrete, gaussian

N, RARE = 1_000, 1e-4
SMALL = WangLandau(steps=240, bins=15, pilots=64, warm_up=200, t0=100)


def flat_gan(dim: int) -> GAN:
    """G the identity, D = 0: the target is the prior."""
    zero = Formula(lambda x: 0 * x.sum(1))
    return GAN(Formula(lambda z: z, torch.float32), zero, Normal(dim))


def energy_of(out, gan: GAN) -> torch.Tensor:
    return -(gan.latent.log_prob(out.z.double()) + out.log_ratio)


def shares(mover: WangLandau, out, gan: GAN) -> np.ndarray:
    """Share of samples in each energy bin, its edges written out."""
    low, high = mover.energy_range
    edges = np.linspace(low, high, mover.bins + 1)
    edges[0], edges[-1] = -np.inf, np.inf
    return np.histogram(energy_of(out, gan).numpy(), edges)[0] / len(out)


# -- the three laws -----------------------------------------------------------------------------


OFTEN = ("gaussian", "discrete")


@pytest.mark.parametrize(
    "name", [n if n in OFTEN else pytest.param(n, marks=pytest.mark.slow) for n in TARGETS]
)
@pytest.mark.slow
def test_reweighted_chains_follow_the_data(name):
    target = TARGETS[name]()
    out = sample(target.gan, SMALL, N, width=1024)
    assert target.worst(out.x) > RARE, target.p_values(out.x.double().numpy())
    assert bool((out.steps == SMALL.steps).all())
    assert out.manifest["events"]["divergent"] == 0
    ratio = target.gan.guide.network(out.x)  # what is kept belongs together
    assert torch.allclose(out.log_ratio, ratio, atol=1e-6)
    assert torch.equal(target.gan.decode(out.z), out.x)


@pytest.mark.slow
def test_any_weights_are_undone():
    """Exactness is the reservoir's, not theta's: a bad theta, and none, return the same law."""
    target = gaussian()
    mover = replace(SMALL, step_size=0.4, energy_range=(1.0, 5.0))
    for slope in (-1.5, 1.5):
        theta = tuple(np.linspace(-slope, slope, SMALL.bins).tolist())
        out = sample(target.gan, replace(mover, log_weights=theta), 600, width=640)
        assert target.worst(out.x) > RARE, slope


@pytest.mark.slow
def test_as_published_the_histogram_is_flat_and_the_law_is_not_the_datas():
    target = gaussian()
    mover, _ = prepare(target.gan, replace(SMALL, warm_up=300, bins=10, reweight=False))
    out = sample(target.gan, mover, N, width=1024)
    plain = sample(target.gan, MALA(steps=50), N, width=1024)
    uneven = [np.abs(shares(mover, o, target.gan) - 0.1).sum() / 2 for o in (out, plain)]
    assert uneven[0] < 0.1 < 0.3 < uneven[1], uneven
    assert target.worst(out.x) < 1e-12


@pytest.mark.slow
def test_the_toy_of_published_code():
    """N(0, I_100): their code gives E|z|^2 / 100 = 1.10 with standard deviation .28."""
    gan, n = flat_gan(100), 256
    mover = WangLandau(steps=250, bins=20, pilots=32, warm_up=300)
    radius = sample(gan, mover, n, width=256).z.double().square().mean(1)
    assert float(radius.mean()) == pytest.approx(1, abs=4 * 0.1414 / n**0.5)
    assert float(radius.std()) == pytest.approx(0.1414, rel=4 / (2 * n) ** 0.5)


# -- what prepare finds -------------------------------------------------------------------------


@pytest.mark.slow
def test_weights_are_the_log_masses_of_states():
    """Five states, five energies: theta of the bins they lie in is log DATA, up to a constant."""
    energy = -np.log(DATA / PROPOSAL)
    settings = {"pilots": 128, "warm_up": 1000, "t0": 200, "step_size": 0.5}
    span = (-1.0, 1.5)
    mover, _ = prepare(discrete().gan, WangLandau(energy_range=span, **settings))
    index = ((energy - span[0]) / (span[1] - span[0]) * mover.bins).astype(int)
    theta = np.array(mover.log_weights)[index]
    assert len(set(index)) == 5
    gap = theta - np.log(DATA)
    assert np.abs(gap - gap.mean()).max() < 0.15, gap
    # Where no state is, nothing was learned: the weight of the nearest bin with one.
    assert set(mover.log_weights) == set(theta)


@pytest.mark.slow
def test_weights_are_the_log_masses_of_shells():
    """N(0, I_2): the energy is log(2 pi) + |z|^2 / 2, an exponential variable."""
    mover = WangLandau(bins=8, pilots=128, warm_up=1000, t0=200, energy_range=(2.0, 6.0))
    mover, _ = prepare(flat_gan(2), mover)
    edges = np.linspace(2.0, 6.0, 9)
    edges[0], edges[-1] = 0, np.inf
    mass = np.diff(stats.expon.cdf(edges, loc=math.log(2 * math.pi)))
    gap = np.array(mover.log_weights) - np.log(mass)
    assert np.abs(gap - gap.mean()).max() < 0.15, gap
    assert np.exp(mover.log_weights).sum() == pytest.approx(1, abs=0.01)


@pytest.mark.slow
def test_the_range_covers_where_chains_settle_and_where_they_start():
    gan = flat_gan(2)
    mover, _ = prepare(gan, replace(SMALL, quantiles=(0.05, 0.5), reach=0.5))
    shift = math.log(2 * math.pi)
    assert mover.energy_range[0] == pytest.approx(stats.expon.ppf(0.05, shift), abs=0.05)
    assert mover.energy_range[1] == pytest.approx(stats.expon.ppf(0.5, shift), abs=0.25)
    far, _ = prepare(gan, replace(SMALL, quantiles=(0.05, 0.5), reach=1.0))
    assert far.energy_range[1] > mover.energy_range[1] + 2


@pytest.mark.parametrize("wanted", [0.3, pytest.param(0.6, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_the_step_size_reaches_its_target_on_the_tilted_chain(wanted):
    mover = replace(SMALL, warm_up=300, steps=60, target_acceptance=wanted)
    events = sample(gaussian().gan, mover, 256, width=256).manifest["events"]
    assert events["moves_accepted"] / events["moves"] == pytest.approx(wanted, abs=0.08)


@pytest.mark.slow
def test_passes_of_preparation_are_counted(monkeypatch):
    target, seen = gaussian(), []
    look = latent_chain.look
    monkeypatch.setattr(
        latent_chain, "look", lambda gan, z, cond: (seen.append(len(z)), look(gan, z, cond))[1]
    )
    fixed = replace(SMALL, step_size=0.2)
    for mover in (fixed, replace(fixed, energy_range=(0.0, 1.0))):
        seen.clear()
        done, spent = prepare(target.gan, mover)
        assert spent == 3 * (sum(seen) + mover.pilots)  # the start is not in ``seen``
        assert prepare(target.gan, done) == (done, 0)
        assert from_config(to_config(done)) == done


# -- against a slow version ---------------------------------------------------------------------


class SlowWangLandau(SlowChain):
    """One chain on L - theta[bin(-L)], its parts spelled out."""

    def __init__(self, mover: WangLandau, sample_id: int):
        super().__init__(GAN_, Key(3), sample_id, log_prior=normal_log_prior)
        self.mover, self.theta = mover, np.zeros(mover.bins)
        self.tau = mover.step_size

    def energy(self, z):
        return -(float(self.log_prior(torch.tensor(z).double())) + self.log_ratio(z))

    def bin(self, z):
        low, high = self.mover.energy_range
        place = math.floor((self.energy(z) - low) / (high - low) * self.mover.bins)
        return min(max(place, 0), self.mover.bins - 1)

    def log_pi(self, z):
        return super().log_pi(z) - self.theta[self.bin(z)]

    def move(self):
        longest = self.mover.max_drift * math.sqrt(self.tau * len(self.z))
        self.mala(self.tau, math.sqrt(self.tau), longest)

    def frozen(self):
        self.theta = np.array(self.mover.log_weights)
        total, kept = 0.0, None
        for t in range(1, self.mover.steps + 1):
            self.move()
            if t > self.mover.burned_in:
                weight = math.exp(self.theta[self.bin(self.z)])
                total += weight
                u = math.exp(float(self.key.fold("keep").log_uniform(self.id, 0, t)))
                kept = self.z if u < weight / total else kept
        return kept if self.mover.reweight else self.z


GIVEN = WangLandau(
    steps=32,
    bins=6,
    step_size=0.8,
    energy_range=(0.5, 5.0),
    log_weights=(-3.0, -1.0, -1.5, -2.0, -3.0, -4.5),
    max_drift=0.7,
)
CASES = {
    "reweighted": GIVEN,
    "burned in longer": replace(GIVEN, burn_in=24),
    "flat": replace(GIVEN, reweight=False),
}


@pytest.mark.parametrize("name", CASES)
def test_slow_version(name):
    mover, n = CASES[name], 5
    out = sample(GAN_, mover, n, seed=3, width=16)
    slow = [SlowWangLandau(mover, i) for i in range(n)]
    z = [s.frozen() for s in slow]
    assert np.allclose(out.z.numpy(), np.stack(z), atol=1e-4)
    assert out.manifest["events"]["moves_accepted"] == sum(s.accepted for s in slow)


# -- faults -------------------------------------------------------------------------------------


def test_what_is_not_allowed():
    for wrong, words in (
        ({"bins": 2}, "bins"),
        ({"burn_in": 640}, "burn_in"),
        ({"pilots": 20}, "pilots"),
        ({"quantiles": (0.9, 0.1)}, "quantiles"),
        ({"reach": 1.5}, "reach"),
        ({"energy_range": (1.0, 1.0)}, "energy_range"),
        ({"log_weights": (0.0,) * 50}, "energy_range"),
        ({"log_weights": (0.0,) * 49, "energy_range": (0.0, 1.0)}, "50 finite"),
        ({"target_acceptance": 1.0}, "target_acceptance"),
        ({"steps": 0}, "steps"),
    ):
        with pytest.raises(InputError, match=words):
            WangLandau(**wrong)
    mover, ids = WangLandau(step_size=0.1), torch.arange(16)
    networks = networks_for(GAN_, mover)
    state = mover.init(networks, Key(0), ids, torch.zeros_like(ids))
    with pytest.raises(InputError, match="not prepared"):
        mover.step(networks, Key(0), state)
