"""Sizes of shaping and of fits: what the networks cost decides, or a budget of time."""

from __future__ import annotations

import logging
import re

import pytest
import torch
from torch import nn

from gantandem import GAN, Direct, Refine, fit_ratio, shape_discriminator
from gantandem.discriminator import sizes
from gantandem.errors import InputError
from gantandem.networks.score import Score

POINTS = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
GIVEN = {"updates": None, "batch": None, "check_samples": None, "check_every": None}


def pair(width: int = 8) -> GAN:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 2))
    return GAN(generator, nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 1)), 2)


def learners(gan: GAN) -> list:
    return [lambda: gan.guide.network]


def convolutions() -> GAN:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Unflatten(1, (4, 1, 1)), nn.ConvTranspose2d(4, 3, 8))
    return GAN(generator, nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten(), nn.Linear(4, 1)), 4)


def test_operations_are_counted_by_hand():
    cost = sizes.measure((gan := pair()).networks, gan.guide.network)
    assert cost.score == 2 * (2 * 8 + 8 * 1) and cost.whole == 2 * (2 * 8 + 8 * 2) + cost.score
    cost = sizes.measure((gan := convolutions()).networks, gan.guide.network)
    assert cost.score == 2 * (3 * 8 * 8 * 4 + 4) and cost.whole == cost.score + 2 * 4 * 3 * 64


def test_small_networks_have_the_largest_sizes_and_large_ones_smaller_ones(monkeypatch):
    networks = pair().networks
    sizes_of = [sizes.shaping_sizes(networks, 50, None, GIVEN, None)]
    assert sizes_of[0] == dict(zip(GIVEN, (3000, 512, 2000, 500), strict=True))
    for allowed in (5e8, 1e8, 1e3):
        monkeypatch.setattr(sizes, "ALLOWED", allowed)
        sizes_of.append(sizes.shaping_sizes(networks, 50, None, GIVEN, None))
    for more, less in zip(sizes_of, sizes_of[1:], strict=False):
        assert all(less[name] <= more[name] for name in more) and less != more
    assert sizes_of[-1] == dict(zip(GIVEN, (300, 64, 256, 100), strict=True))


def test_what_is_given_stays_and_the_rest_makes_up_for_it(monkeypatch):
    networks = pair().networks
    monkeypatch.setattr(sizes, "ALLOWED", 3e8)
    free = sizes.shaping_sizes(networks, 50, None, GIVEN, None)
    held = sizes.shaping_sizes(networks, 50, None, {**GIVEN, "updates": 2500}, None)
    assert held["updates"] == 2500 > free["updates"] and held["batch"] < free["batch"]
    assert held["check_every"] == 500 and free["check_every"] == min(500, -(-free["updates"] // 3))


def test_longer_proposals_leave_fewer_of_them(monkeypatch):
    gan = pair().replace(spread=1.0)
    given = {"n": None, "updates": None, "batch": None}
    monkeypatch.setattr(sizes, "ALLOWED", 1e8)
    found = [
        sizes.fitting_sizes(gan.networks, mover, learners(gan), 10_000, given, None)[1]
        for mover in (Direct(), Refine(steps=50, step_size=0.1))
    ]
    assert found[0]["n"] == 100_000 > found[1]["n"] >= 5000
    assert found[0]["updates"] == found[1]["updates"] < 1500


def test_a_budget_sets_the_sizes_and_they_are_told(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "gantandem.progress")
    monkeypatch.setattr(sizes, "WORTH_SAYING", 0.0)
    fast = sizes.measure(pair().networks, pair().guide.network)._replace(speed=lambda: 2e7)
    monkeypatch.setattr(sizes, "measure", lambda *given: fast)
    short, long = (
        sizes.shaping_sizes(pair().networks, 50, None, GIVEN, text) for text in ("8s", "1m")
    )
    assert all(short[name] < long[name] for name in short)
    assert re.search(r"shape: about [78] seconds here \(updates", caplog.text)
    with pytest.raises(
        InputError, match=r"shape budget: got '0.1s', but even the smallest sizes \(updates 300"
    ):
        sizes.shaping_sizes(pair().networks, 50, None, GIVEN, "0.1s")


@pytest.mark.parametrize("budget", ["soon", "", "0m", -3, True, "5 days", None])
def test_what_is_no_time_is_refused(budget):
    if budget is None:  # the words that are
        found = [sizes.seconds(text, "x") for text in ("90", 90, 1.5, "1.5h", " 10 M ")]
        assert found == [90, 90, 1.5, 5400, 600]
        return
    with pytest.raises(InputError, match="shape budget: got .*'10m'"):
        shape_discriminator(pair(), POINTS, budget=budget)


def test_fits_keep_the_sizes_that_they_took(monkeypatch):
    monkeypatch.setattr(sizes, "ALLOWED", 1e5)
    gan = shape_discriminator(
        pair(), POINTS, refine=Refine(steps=2), updates=2, batch=16, progress=False
    )
    assert gan.history[0]["sizes"]["check_samples"] == 256
    network = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 1))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fitted = fit_ratio(gan, POINTS, proposal=Direct(), network=network, batch=16, progress=False)
    (ratio,) = (one for one in fitted.ratios.values() if one.origin == "fitted")
    assert ratio.chosen["sizes"] == {"n": 5000, "updates": 300, "batch": 16}
    assert all(torch.equal(before[k], value) for k, value in network.state_dict().items())
    assert network.training


def test_few_real_samples_need_fewer_proposals_and_smaller_batches():
    gan = pair().replace(spread=1.0)
    asked = gan.networks, Direct(), learners(gan)
    given = {"n": None, "updates": None, "batch": None}
    found = [sizes.fitting_sizes(*asked, real, given, None)[1] for real in (40, 280, 700, 50_000)]
    assert [one["n"] for one in found] == [5_000, 5_600, 14_000, 100_000]
    assert [one["batch"] for one in found] == [128, 280, 700, 1_000]


def test_half_of_the_budget_is_for_proposals_and_the_whole_is_named(monkeypatch):
    gan = pair().replace(spread=1.0)
    slow = sizes.measure(gan.networks, gan.guide.network)._replace(speed=lambda: 1e5)
    monkeypatch.setattr(sizes, "measure", lambda *given: slow)
    monkeypatch.setattr(sizes, "WORTH_SAYING", 0.0)
    given = {"n": None, "updates": None, "batch": None}
    told = r"got '2s', but .*\(n 5,000\) take about 29 seconds here. Allow about 59 seconds in all"
    asked = gan.networks, Refine(steps=1, step_size=0.1), learners(gan)
    with pytest.raises(InputError, match=told):
        sizes.fitting_sizes(*asked, 10_000, given, "2s")


def test_a_smaller_network_learns_where_the_first_takes_too_long(monkeypatch):
    gan = pair().replace(spread=1.0)
    large = nn.Sequential(nn.Linear(2, 2000), nn.ReLU(), nn.Linear(2000, 1))
    both = [lambda: large, *learners(gan)]
    given = {"n": None, "updates": None, "batch": None}
    for allowed, wanted in ((1e12, 0), (1e9, 1)):
        monkeypatch.setattr(sizes, "ALLOWED", allowed)
        which, _ = sizes.fitting_sizes(gan.networks, Direct(), both, 10_000, given, None)
        assert which == wanted


def test_the_fit_of_a_costly_discriminator_trains_a_new_network(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "gantandem.progress")
    body = [nn.Linear(2, 300), nn.ReLU(), nn.Linear(300, 300), nn.ReLU(), nn.Linear(300, 1)]
    body[-1].bias.data.fill_(-1.0)
    gan = pair().replace(guide=Score(nn.Sequential(*body), "logit"))
    monkeypatch.setattr(sizes, "ALLOWED", 2e9)
    fit_ratio(gan, POINTS, schedule=[(5, 1e-3)], batch=64, progress=False)
    assert "A smaller network is fitted" not in caplog.text
    fitted = fit_ratio(gan, POINTS, progress=False)
    assert "A smaller network is fitted" in caplog.text
    (ratio,) = (one for one in fitted.ratios.values() if one.origin == "fitted")
    names = [row["name"] for row in ratio.chosen["candidates"]]
    assert names[:2] == ["shipped", "network"]


def test_a_diagnosis_keeps_to_a_part_of_the_budget(monkeypatch):
    networks = pair().networks
    one = sizes.measure(networks, None)._replace(speed=lambda: 1e6)
    monkeypatch.setattr(sizes, "measure", lambda *given: one)

    def asked(budget, real=10_000):
        return sizes.diagnosis_size(networks, Direct(), real, budget)

    assert asked(None) is None
    assert asked("1h") == 10_000 and asked("0.01s") == 1000 and asked("0.01s", 300) == 300
    assert asked(0.3) == pytest.approx(0.3 * 1e6 / one.whole, abs=1)
