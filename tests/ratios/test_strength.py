"""Where acceptance by the whole ratio leads away from the data, less of it is used."""

from __future__ import annotations

import importlib
import logging
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem.discriminator import judging
from gantandem.discriminator.candidates import Candidate
from gantandem.discriminator.judging import STRENGTHS, TIE, Judged, best
from gantandem.errors import InputError
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.networks.score import Score
from gantandem.ratios.lookup import networks_for
from gantandem.ratios.ratio import Ratio

FIT = {"n": 6000, "schedule": [(1, 1e-12)], "batch": 50, "progress": False}
SHIFT, AT, WIDTH = 1.5, 3.0, 0.5


class Shifted(nn.Module):
    """N(1.5, 1), which reaches 3 and never -3."""

    def forward(self, z):
        return z + SHIFT


class Exact(nn.Module):
    """log p_data / p_G of data that are half N(-3, .5), half N(3, .5)."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        x = x[:, 0]
        near = torch.stack([-((x - m) ** 2) / (2 * WIDTH**2) for m in (-AT, AT)])
        log_data = near.logsumexp(0) - math.log(2 * WIDTH)
        return self.scale * (log_data + (x - SHIFT) ** 2 / 2)


def data(n: int, seed: int = 0) -> torch.Tensor:
    noise = torch.Generator().manual_seed(seed)
    side = torch.randint(2, (n, 1), generator=noise) * 2 - 1
    return AT * side + WIDTH * torch.randn(n, 1, generator=noise)


def fitted(**more) -> gt.GAN:
    return gt.fit_ratio(gt.GAN(Shifted(), None, 1), data(6000), network=Exact(), **FIT, **more)


def away(gan: gt.GAN, sampler) -> float:
    out = gt.sample(gan, sampler, 4000, width=256, progress=False)
    return sliced_wasserstein(out.x, data(4000, 9))


@pytest.mark.slow
def test_less_than_the_whole_ratio_is_used_and_said(caplog):
    with caplog.at_level(logging.WARNING):
        gan = fitted()
    ratio = gan.ratio(gt.Direct())
    assert ratio.strength in STRENGTHS and ratio.strength < 1
    (said,) = [m for m in caplog.messages if "farther from held-out real data" in m]
    assert f"r^{ratio.strength:g} of network" in said and "strength=1 uses r itself" in said
    found = gt.diagnose(gan, data(4000, 3))
    assert found.strength == ratio.strength
    assert any(f"acceptance uses r^{ratio.strength:g}" in one for one in found.warnings)
    x = data(50)
    whole = replace(ratio, strength=1.0)
    with torch.no_grad():
        assert torch.equal(ratio.log_ratio(x), ratio.strength * whole.log_ratio(x))
    # The whole ratio leads away; what is used instead does not, beyond noise.
    plain, used = away(gan, gt.Direct()), away(gan, gt.OBRS(expected=8))
    full = away(fitted(strength=1.0), gt.OBRS(expected=8))
    assert full > 1.25 * plain and used < (1 + TIE) * plain + 0.05


@pytest.mark.parametrize("strength", [1.0, 0.5, 0.0])
@pytest.mark.slow
def test_the_user_says_the_strength(strength, tmp_path, caplog):
    gan = fitted(strength=strength)
    assert gan.ratio(gt.Direct()).strength == strength
    out = gt.sample(gan, gt.OBRS(expected=8), 64, width=64, progress=False)
    assert (out.attempts == 1).all() == (strength == 0)


def test_a_strength_of_ones_own_takes_the_lowest_loss(monkeypatch, caplog):
    """Whatever the distance: the candidate that the distance chooses tells real data worse."""
    losses = {"near": 0.6, "clear": 0.4}
    ratio = Ratio(Score(Exact()), origin="fitted")
    made = [
        judged(name, loss, {1.0: 1.0 if name == "near" else 3.0, 0.5: 3.0, 0.0: 2.0}, 0.0)
        for name, loss in losses.items()
    ]
    made = [one._replace(ratio=ratio) for one in made]
    offered = [one.candidate for one in made]
    module = importlib.import_module("gantandem.discriminator.ratio")
    monkeypatch.setattr(module, "candidates", lambda *_, **__: iter(offered))
    monkeypatch.setattr(module, "judge", lambda one, *_: made[offered.index(one)])
    for strength, wanted in {None: "near", 1.0: "clear", 0.5: "clear"}.items():
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            gan = gt.fit_ratio(
                gt.GAN(Shifted(), None, 1), data(6000), strength=strength, n=400, progress=False
            )
        ratio = gan.ratio(gt.Direct())
        assert (ratio.chosen["name"], ratio.strength) == (wanted, strength or 1.0)
        told = [m for m in caplog.messages if "lowest loss (clear, loss 0.400)" in m]
        assert len(told) == (strength is None)


@pytest.mark.parametrize("strength", [-0.1, 1.5, math.nan, "half", True])
def test_a_strength_is_a_share(strength):
    with pytest.raises(InputError, match="fit_ratio strength: got"):
        fitted(strength=strength)


def test_where_the_ratio_helps_it_is_used_whole(caplog):
    """N(1, 1) from N(0, 1): the network knows x - 1/2."""
    line = nn.Linear(1, 1)
    with torch.no_grad():
        line.weight.fill_(1.0)
        line.bias.fill_(-0.5)
    noise = torch.Generator().manual_seed(1)
    gan = gt.GAN(nn.Identity(), None, 1)
    gan = gt.fit_ratio(gan, 1 + torch.randn(6000, 1, generator=noise), network=line, **FIT)
    assert gan.ratio(gt.Direct()).strength == 1
    assert "farther" not in caplog.text


def test_calibration_and_a_run_folder_keep_the_strength(tmp_path):
    spec = {"net": "mlp-discriminator", "data_dim": 1, "width": 8, "layers": 2}
    plain = {"net": "mlp-generator", "latent_dim": 1, "data_dim": 1, "width": 8, "layers": 2}
    from gantandem.nets import build

    gan = gt.GAN(build(plain), None, 1).replace(specs={"generator": plain})
    gan = gt.fit_ratio(gan, data(600), network=build(spec), spec=spec, strength=0.25, **FIT)
    gan = gt.calibrate(gan, data(600))
    gt.save_run(gan, tmp_path)
    back, _ = gt.load_run(tmp_path)
    (law,) = gan.ratios
    assert back.ratios[law].strength == gan.ratios[law].strength == 0.25
    assert back.ratios[law].chosen == gan.ratios[law].chosen
    pair = [gt.sample(g, gt.OBRS(pilot=500), 32, width=64, progress=False) for g in (gan, back)]
    assert torch.equal(pair[0].x, pair[1].x)


def test_chains_walk_on_the_power_and_their_law_tells_it():
    gan = gt.GAN(Shifted(), Exact(), 1)
    law = gan.law(gt.Direct())
    half = gan.with_ratio(law, replace(gan.ratios[law], strength=0.5))
    z = torch.randn(20, 1, generator=torch.Generator().manual_seed(0))
    chain = gt.MALA(steps=2, step_size=0.1)
    whole, less = (networks_for(g, chain).latent_ratio(z, None) for g in (gan, half))
    assert torch.allclose(less[1], 0.5 * whole[1]) and torch.allclose(less[2], 0.5 * whole[2])
    assert gan.law(chain) != half.law(chain)
    assert gan.law(gt.Direct()) == half.law(gt.Direct())


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_a_ratio_of_zero_stays_zero(strength):
    class Edge(nn.Module):
        def forward(self, x):
            return torch.where(x[:, 0] > 0, 1.0, -torch.inf)

    ratio = Ratio(Score(Edge()), strength=strength)
    assert ratio.log_ratio(torch.tensor([[1.0], [-1.0]])).tolist() == [strength, -math.inf]


def test_a_distance_at_a_strength_that_is_not_used_chooses_nothing():
    """The nearer candidates are used whole, though half of r would be nearer still."""

    def judged(name, loss, distances):
        candidate = judging.Candidate(name, None, {})
        return judging.Judged(candidate, None, loss, 0.001, distances)

    near = judged("near", 0.5, {1.0: 0.8, 0.5: 0.3, 0.0: 1.0})
    beside = judged("beside", 0.4, {1.0: 0.85, 0.5: 0.9, 0.0: 1.0})
    far = judged("far", 0.1, {1.0: 5.0, 0.5: 5.0, 0.0: 5.0})
    assert near.strength == beside.strength == 1.0
    assert judging.best([near, beside, far]) is beside


def test_what_chance_makes_of_distances_chooses_nothing():
    real = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    noise = judging.chance(real, sliced_wasserstein)
    assert 0.01 < noise < 0.1  # two halves of one law
    assert judging.chance(real[:1], sliced_wasserstein) == 0

    def judged(loss, distance):
        return judging.Judged(None, None, loss, 0.001, {1.0: distance, 0.0: 1.0})

    nearest, alike, beyond = judged(0.6, 0.02), judged(0.5, 0.02 + noise / 2), judged(0.4, 0.5)
    assert judging.best([nearest, alike, beyond], noise) is alike
    assert judging.best([nearest, alike, beyond]) is nearest


# -- never farther than the proposals ------------------------------------------------------------


def judged(name, loss, distances, noise):
    candidate = Candidate(name, None, {})
    return Judged(candidate, None, loss, 0.001, distances, noise)


@pytest.mark.parametrize(
    "distances, noise, wanted",
    [
        ({0.0: 0.557, 0.35: 0.568, 1.0: 0.686}, 0.05, 0.0),  # 2% farther, and chance makes .4%
        ({0.0: 0.557, 0.15: 0.5565, 0.35: 0.568, 1.0: 0.686}, 0.05, 0.15),
        ({0.0: 0.050, 1.0: 0.054}, 0.05, 1.0),  # all of it is chance
        ({0.0: 0.3, 1.0: 0.1}, 0.05, 1.0),
    ],
)
def test_no_strength_leads_farther_than_the_proposals_beyond_chance(distances, noise, wanted):
    assert judged("one", 0.5, distances, noise).strength == wanted


def test_a_candidate_that_brings_little_does_not_win_by_its_loss():
    line = judged("linear", 0.36, {0.0: 0.557, 0.75: 0.532, 1.0: 0.75}, 0.05)
    trees = judged("trees", 0.02, {0.0: 0.557, 0.15: 0.5536, 1.0: 0.69}, 0.05)
    assert best([line, trees], 0.1) is line
    near = judged("trees", 0.02, {0.0: 0.557, 0.75: 0.54, 1.0: 0.69}, 0.05)
    assert best([line, near], 0.1) is near, "alike: the lower loss decides"
