"""A pilot has 10,000 proposals, or fewer where the networks cost much: by a count, not a clock."""

from __future__ import annotations

import logging

import pytest

from gantandem import DRS, OBRS, Direct, Refine, Rejection, prepare, sample
from gantandem.engine import piloting
from gantandem.engine.piloting import passes_of, pilot_size
from gantandem.networks.costs import measure
from gantandem.testing import toy_gan

REFINE = Refine(steps=4, stop="last", step_size=0.01)


@pytest.fixture
def gan():
    return toy_gan()


def cost_of(gan, mover):
    ratio = gan.ratio(mover, strict=False)
    return passes_of(mover) * measure(gan.networks, ratio.score.network).whole, ratio


def test_operations_of_a_proposal(gan):
    # 2 * (2 * 16 + 16 * 2) in the generator, 2 * (2 * 16 + 16) in the discriminator.
    assert cost_of(gan, Direct())[0] == passes_of(Direct()) * (128 + 96)
    assert passes_of(REFINE) == 1 + 3 * 5


def test_the_size_follows_the_cost(gan, monkeypatch):
    work, ratio = cost_of(gan, REFINE)
    found = []
    for proposals in (10**9, 10_000, 4_000, 10):
        monkeypatch.setattr(piloting, "ALLOWED", proposals * work)
        found.append(pilot_size(gan.networks, REFINE, ratio))
    assert found == [10_000, 10_000, 4_000, 2_000]


@pytest.mark.parametrize("selector", [OBRS, DRS, Rejection])
def test_cheap_networks_have_the_whole_pilot_and_costly_ones_the_least(selector, monkeypatch):
    frozen, passes = prepare(toy_gan(), selector())
    assert (frozen.pilot, passes) == (10_000, 10_000 * passes_of(Direct()))
    monkeypatch.setattr(piloting, "ALLOWED", 1.0)
    assert prepare(toy_gan(), selector())[0].pilot == 2_000
    given, passes = prepare(toy_gan(), selector(pilot=600))
    assert (given.pilot, passes) == (600, 600 * passes_of(Direct()))


def test_the_clock_decides_nothing(gan, monkeypatch):
    monkeypatch.setattr(piloting, "say_pilot", lambda *a: None)
    monkeypatch.setattr("time.perf_counter", lambda: 1 / 0)
    assert pilot_size(gan.networks, Direct(), gan.ratio(Direct())) == 10_000


def test_a_long_pilot_is_said_beforehand_and_its_error_after(gan, monkeypatch, caplog):
    monkeypatch.setattr(piloting, "WORTH_SAYING", 1.0)
    with caplog.at_level(logging.INFO, "gantandem"):
        prepare(gan, OBRS(pilot=500))
    assert "obrs: 500 pilot proposals first, about 1 second here" in caplog.text
    assert "(standard error 0." in caplog.text


@pytest.mark.parametrize("pilot", [300, 3_000])
def test_the_standard_error_is_that_of_the_pilot(pilot):
    out = sample(toy_gan(), OBRS(expected=1.01, pilot=pilot), 3_000, progress=False)
    told, spent = out.manifest["expected"], out.manifest["proposals"] / len(out)
    error = told["standard_error"]
    assert 0 < error < told["proposals_per_sample"] * (1 / pilot) ** 0.5
    own = (spent * (spent - 1) / len(out)) ** 0.5
    assert abs(told["proposals_per_sample"] - spent) < 4 * (error**2 + own**2) ** 0.5
